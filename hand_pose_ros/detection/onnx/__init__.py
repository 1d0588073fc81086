"""The detector that runs a network from an ONNX file."""
