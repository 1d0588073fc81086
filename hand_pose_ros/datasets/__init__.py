"""Labelled hands and the readers of the files that hold them."""
