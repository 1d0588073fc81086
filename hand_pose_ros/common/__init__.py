"""Utilities that do not depend on hands: configurations, devices, ONNX sessions, shapes."""
