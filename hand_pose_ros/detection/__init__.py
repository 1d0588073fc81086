"""The package finds hands in images."""
