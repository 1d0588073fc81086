"""Hand images cut from real photos."""
