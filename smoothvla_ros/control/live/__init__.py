"""A real arm, or the twin: parts that each have their own clock."""
