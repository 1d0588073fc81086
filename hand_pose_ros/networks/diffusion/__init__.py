"""The diffusion networks of hands and their regression baselines."""
