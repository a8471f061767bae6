"""What the jerk monitor node is made of; its estimator is in `smoothness`."""
