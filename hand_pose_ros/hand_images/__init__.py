"""Hand images with labels, for training and evaluation."""
