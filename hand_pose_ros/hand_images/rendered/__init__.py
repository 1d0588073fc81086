"""Hand images drawn by the renderer."""
