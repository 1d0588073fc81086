"""Networks that read an image crop."""
