"""Files of a run that one layer writes and another one reads, by name."""

METRICS = 'metrics.csv'
"""The figures of every iteration of a training."""
