"""Training, generic over the task: configuration, trainer, checkpoints, curves, and the tasks themselves."""
