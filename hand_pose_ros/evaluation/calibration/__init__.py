"""Calibration of the published covariance."""
