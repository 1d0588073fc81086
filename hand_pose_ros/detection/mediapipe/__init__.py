"""The detector that runs MediaPipe's two hand networks."""
