"""The package runs a detection network from an ONNX file."""
