"""The temporal transformer."""
