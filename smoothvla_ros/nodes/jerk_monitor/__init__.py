"""The jerk monitor node; its estimator is in `smoothness`."""
