"""The tasks that train networks with an image encoder."""
