"""The protocol between simulated robots, policy and trainer, and each side of it."""
