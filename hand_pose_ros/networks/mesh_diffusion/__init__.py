"""The mesh diffusion network denoises the vertices of a hand's mesh under an image (DiffHand)."""
