"""The package turns a network in a TFLite file into a PyTorch module with the same weights."""
