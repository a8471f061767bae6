"""From a batch of chunks to new weights."""
