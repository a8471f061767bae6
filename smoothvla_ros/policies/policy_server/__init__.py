"""Policies that run in another program, maybe on another machine, and are asked over a socket."""
