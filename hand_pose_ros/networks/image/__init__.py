"""The package defines the networks that encode an image crop."""
