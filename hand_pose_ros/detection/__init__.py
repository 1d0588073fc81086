"""Finding hands in images."""
