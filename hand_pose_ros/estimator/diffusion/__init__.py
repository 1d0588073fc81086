"""The estimator that samples hands from the diffusion network."""
