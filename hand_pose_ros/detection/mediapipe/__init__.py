"""The package runs MediaPipe's two hand networks."""
