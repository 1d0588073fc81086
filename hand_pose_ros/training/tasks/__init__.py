"""The package holds the training tasks, their data and their losses."""
