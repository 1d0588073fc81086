"""The module computes upright boxes x0, y0, x1, y1 in pixels and their overlap."""

from __future__ import annotations

import numpy as np

_SMALLEST_SIDE_PX = 1.0


def box_around(landmarks_px: np.ndarray, margin: float) -> np.ndarray:
    """The box (4,) around landmarks (N, 2), widened on each side by ``margin`` times its larger side.

    Landmarks are centres of joints: without a margin the box cuts off the flesh around the outer joints. Each side
    is at least a pixel long.

    Raises:
        ValueError: no landmark is known.
    """
    known = landmarks_px[np.isfinite(landmarks_px).all(axis=1)]
    if not len(known):
        raise ValueError("there is no box around landmarks that are all NaN")
    low, high = known.min(axis=0), known.max(axis=0)
    centre = (low + high) / 2
    half = np.maximum((high - low) / 2 + margin * (high - low).max(), _SMALLEST_SIDE_PX / 2)
    return np.concatenate((centre - half, centre + half))


def box_sizes(boxes_px: np.ndarray) -> np.ndarray:
    """The larger side (...) of boxes (..., 4)."""
    return np.maximum(boxes_px[..., 2] - boxes_px[..., 0], boxes_px[..., 3] - boxes_px[..., 1])


def box_centres(boxes_px: np.ndarray) -> np.ndarray:
    """The centres (..., 2) of boxes (..., 4)."""
    return (boxes_px[..., :2] + boxes_px[..., 2:]) / 2


def box_iou(box_px: np.ndarray, others_px: np.ndarray) -> np.ndarray:
    """Intersection over union (N,) of one box (4,) with others (N, 4)."""
    sides = np.minimum(box_px[2:], others_px[:, 2:]) - np.maximum(box_px[:2], others_px[:, :2])
    intersection = sides.clip(min=0).prod(axis=1)
    areas = (others_px[:, 2:] - others_px[:, :2]).prod(axis=1)
    return intersection / ((box_px[2:] - box_px[:2]).prod() + areas - intersection)
