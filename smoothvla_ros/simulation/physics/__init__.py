"""One control step, bit for bit robosuite's, without its redundant work."""
