"""The package's own detector: a hand detector and a landmark finder that need no file of another project."""
