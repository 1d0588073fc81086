"""The temporal transformer at run time."""
