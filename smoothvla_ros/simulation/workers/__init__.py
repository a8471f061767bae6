"""Processes that simulate, and the one that owns them."""
