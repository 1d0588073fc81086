"""Stored images of hands with labels, for training."""
