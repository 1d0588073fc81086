"""The package defines the diffusion networks of hands and their regression baselines."""
