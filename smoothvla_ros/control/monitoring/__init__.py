"""Which samples a monitor looks at, and whose they are."""
