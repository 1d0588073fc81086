"""Shadows by depth maps seen from the lights: coarser than rays, and much faster."""

from __future__ import annotations

import numpy as np

from hand_pose_ros.rendering.lighting import Light
from hand_pose_ros.rendering.mesh_part import frame_along
from hand_pose_ros.rendering.rasteriser import at, depth_map

_SIZE = 96
_BIAS_M = 0.005  # a surface this close behind another is not in its shadow
_FAR = 10.0  # how far away the light's picture is taken from, in windows: rays are parallel
_TAPS = np.float32(((0.8, 0.3), (-0.3, 0.8), (-0.8, -0.3), (0.3, -0.8)))


def light_reaches(
    light: Light, vertices: np.ndarray, faces: np.ndarray, centre: np.ndarray, radius: float
) -> np.ndarray:
    """How much of a light reaches vertices (V, 3) of triangles (F, 3): (V,) in [0, 1].

    Only what lies within ``radius`` of ``centre`` (3,) across the light casts and receives shadows.
    """
    x, y, z = light.direction
    across = (1.0, 0.0, 0.0) if abs(x) < abs(y) + abs(z) else (0.0, 1.0, 0.0)
    # Columns: right and down in the light's picture, and away from the light.
    turn = frame_along((-x, -y, -z), across)[:, [1, 2, 0]]
    turned = (vertices - centre) @ (turn / radius).astype(np.float32)
    pixels = (turned[:, :2] + 1) * np.float32(_SIZE / 2) - np.float32(0.5)
    depth = turned[:, 2] + np.float32(_FAR)
    nearest = np.pad(depth_map(pixels, depth, faces, (_SIZE, _SIZE)), 1, constant_values=np.inf)
    reach = np.zeros(len(vertices), dtype=np.float32)
    limit = depth - np.float32(_BIAS_M / radius)
    softness = max(1.0, float(np.tan(light.radius_rad)) * 10)
    for tap in _TAPS * np.float32(softness):
        # The border is lit: what casts no shadow there is far from the hand.
        place = (pixels + (tap + np.float32(1.5))).astype(np.intp)
        np.minimum(np.maximum(place, 0, out=place), _SIZE + 1, out=place)
        reach += at(nearest, place[:, 1] * (_SIZE + 2) + place[:, 0]) > limit
    return reach / np.float32(len(_TAPS))
