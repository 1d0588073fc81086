"""How good the poses are: metrics, readers of labelled photos, and the command that compares estimators."""
