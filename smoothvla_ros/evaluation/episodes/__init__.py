"""Episodes on disk, and the table that is computed from them."""
