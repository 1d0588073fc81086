"""Random augmentation of hand images in training."""
