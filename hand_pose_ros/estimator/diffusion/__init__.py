"""The package samples hands from the diffusion network."""
