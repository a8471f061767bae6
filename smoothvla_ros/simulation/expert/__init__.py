"""A scripted expert that knows where everything is, and what it demonstrates."""
