"""Evaluation of networks with an image encoder."""
