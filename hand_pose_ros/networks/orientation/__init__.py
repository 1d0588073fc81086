"""The orientation network tells the tilt of a hand, and its depths, from the landmark network's features."""
