"""Evaluates 2.5D heatmap networks on hand images and as estimators on labelled photos."""
