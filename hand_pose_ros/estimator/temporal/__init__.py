"""The package runs the temporal transformer on the tracks of a video."""
