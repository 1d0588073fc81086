"""Networks in PyTorch, and how their weights are kept in files."""
