"""The hand detector: a small anchor-free network that finds the hands in a whole image."""
