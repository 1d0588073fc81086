"""Layers of composed scenes, drawn without the renderer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hand_pose_ros.hand_images.scenes.layers import empty_layers, save_layers


def write_blob_layers(folder: Path, count: int = 20) -> str:
    """Write layers whose hands are blobs of one colour, brighter on the right side; returns the folder's name."""
    made = empty_layers(count)
    generator = np.random.default_rng(3)
    for row in range(made.count):
        middle, side = generator.uniform(70, 150, 2), generator.uniform(60, 110)
        made.points[row, 0] = middle + side * (generator.random((21, 2)) - 0.5)
        low, high = made.points[row, 0].min(0).astype(int), made.points[row, 0].max(0).astype(int)
        made.right[row, 0], made.shown[row, 0] = row % 2, 1
        colour = (200, 60, 255, 255) if row % 2 else (30, 250, 60, 255)
        made.bgra[row, low[1] : high[1], low[0] : high[0]] = colour
    save_layers(folder, made, {})
    return str(folder)
