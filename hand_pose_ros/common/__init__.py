"""Plumbing that knows no hand: files, configurations, devices, ONNX sessions, shapes."""
