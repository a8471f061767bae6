"""What suites there are: LIBERO's own, and those of its users."""
