"""The package defines the temporal transformer and its input window."""
