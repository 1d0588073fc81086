"""Noise of a landmark detector: its measurement and its model."""
