"""Jitter and lag on videos."""
