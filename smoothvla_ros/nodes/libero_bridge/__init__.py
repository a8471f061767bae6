"""LIBERO on topics."""
