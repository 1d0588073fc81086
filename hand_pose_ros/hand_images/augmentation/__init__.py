"""Random changes of hand images in training."""
