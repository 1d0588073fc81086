"""The task trains the 2.5D networks on hand images (heatmap_25d.txt)."""
