"""The package turns detected hands of an image into hands in space."""
