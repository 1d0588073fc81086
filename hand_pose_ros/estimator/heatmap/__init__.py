"""The heatmap estimator: a 2.5D pose from the image, its root depth in closed form, and a hand fitted to it."""
