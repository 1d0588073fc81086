"""Evaluation of detectors: hands found and false alarms, near and far, and on images without hands."""
