"""Networks that map a crop of a hand to its 2.5D pose: latent, direct, holistic and fast (heatmap_25d.txt)."""
