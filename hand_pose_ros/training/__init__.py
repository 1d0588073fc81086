"""The package trains networks: configuration, trainer, checkpoints, curves, and the tasks."""
