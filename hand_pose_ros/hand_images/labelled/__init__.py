"""Hands of the public data sets: shown for checking, and converted to training images."""
