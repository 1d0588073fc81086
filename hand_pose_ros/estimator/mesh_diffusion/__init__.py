"""The mesh diffusion estimator: a hand's mesh from the image, and the hand that fits it."""
