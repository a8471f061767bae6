"""Intervals of means, of rates and of changes between policies on the same episodes."""
