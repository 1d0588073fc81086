"""Networks as they run in a pipeline: in PyTorch, or in onnxruntime from a cached export."""
