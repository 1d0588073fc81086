"""Depths of a hand's joints that the orientation network tells from the landmark network's features."""
