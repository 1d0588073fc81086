"""Utilities that do not depend on hands: files, configurations, devices, ONNX sessions, shapes."""
