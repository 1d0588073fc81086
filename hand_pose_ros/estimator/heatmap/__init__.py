"""The heatmap estimator: a 2.5D pose from the image, its root depth from bone lengths, and a hand fitted to it."""
