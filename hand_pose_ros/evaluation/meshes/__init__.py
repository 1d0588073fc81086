"""Scores the meshes of the mesh diffusion estimator on renders, and its joints on photos."""
