"""The package defines the PyTorch networks, their weight files and their export to ONNX."""
