"""Metrics of poses, and the commands that measure estimators."""
