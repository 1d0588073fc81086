"""The fast renderer of training crops."""
