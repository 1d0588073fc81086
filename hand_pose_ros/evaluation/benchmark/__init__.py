"""Estimators on the public data sets, by the papers' protocols."""
