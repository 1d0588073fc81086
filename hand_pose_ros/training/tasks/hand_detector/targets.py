"""The module turns the hands of scenes into the maps that the detector is trained with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.hand_images.scenes.compose import SceneHands
from hand_pose_ros.networks.hand_detector.config import STRIDE

LEAST_SHOWN: Final = 0.5
"""Share of the joints from which a hand is to be found."""
LEAST_EXTENT: Final = 0.06
"""Extent of a hand from which it is to be found, as a share of the image's side."""
_IGNORED_SHOWN: Final = 0.1  # hands that show less count as not there
_IGNORED_MARGIN: Final = 0.1  # around the joints of hands that are neither to be found nor to be missed
_SIGMA, _LEAST_SIGMA = 0.07, 0.65  # of the heat, as a share of the hand's extent, and cells
_TRAINED_HEAT: Final = 0.3  # cells with this heat learn size and joints


class DetectorTargets(NamedTuple):
    """Targets of n images.

    heat: (n, 2, h, w) in [0, 1], 1 at the cell of a hand's middle. counted: (n, 2, h, w) bool, where the heat is
    trained. log_size: (n, 1, h, w) and points: (n, 42, h, w), as the network's maps; NaN where no hand is near.
    weight: (n, 1, h, w) of size and joints.
    """

    heat: Tensor
    counted: Tensor
    log_size: Tensor
    points: Tensor
    weight: Tensor


def wanted(hands: SceneHands, size_px: int) -> np.ndarray:
    """Return whether each of k hands is to be found (k,) bool: large enough, and enough of it shown."""
    return (hands.shown >= LEAST_SHOWN) & (extents(hands.points) >= LEAST_EXTENT * size_px)


def extents(points: np.ndarray) -> np.ndarray:
    """Return the larger side (k,) of the boxes around joints (k, 21, 2)."""
    return np.ptp(points, axis=1).max(-1) if len(points) else np.zeros(0)


def middle_of(points: np.ndarray, size_px: int) -> np.ndarray:
    """Return the middle (2,) of the box around those of the joints (21, 2) that are inside the image."""
    inside = points[((points >= -0.5) & (points <= size_px - 0.5)).all(-1)]
    return (inside.min(0) + inside.max(0)) / 2


def detector_targets(scenes: Sequence[SceneHands], size_px: int) -> DetectorTargets:
    """Make the targets of scenes of ``size_px``."""
    cells = size_px // STRIDE
    count = len(scenes)
    heat = np.zeros((count, 2, cells, cells), np.float32)
    counted = np.ones((count, 2, cells, cells), bool)
    log_size = np.full((count, 1, cells, cells), np.nan, np.float32)
    points = np.full((count, 2 * hand.NUM_JOINTS, cells, cells), np.nan, np.float32)
    weight = np.zeros((count, 1, cells, cells), np.float32)
    along = np.arange(cells) + 0.5
    for row, hands in enumerate(scenes):
        chosen = wanted(hands, size_px)
        for joints, shown in zip(hands.points[~chosen], hands.shown[~chosen], strict=True):
            if shown > _IGNORED_SHOWN:
                _ignore(counted[row], (joints + 0.5) / STRIDE)
        # The smaller a hand, the later: it may not be buried in the heat of a large one.
        order = np.argsort(-extents(hands.points[chosen]))
        for pixels, right in zip(hands.points[chosen][order], hands.right[chosen][order], strict=True):
            middle = (middle_of(pixels, size_px) + 0.5) / STRIDE
            joints = (pixels + 0.5) / STRIDE
            extent = float(np.ptp(joints, axis=0).max())
            sigma = max(_SIGMA * extent, _LEAST_SIGMA)
            column, line = np.floor(middle).astype(int).clip(0, cells - 1)
            away = (along[None] - along[column]) ** 2 + (along[:, None] - along[line]) ** 2
            spot = np.exp(-away / (2 * sigma**2)).astype(np.float32)
            np.maximum(heat[row, int(right)], spot, out=heat[row, int(right)])
            counted[row, :, line, column] = True
            near = (spot >= _TRAINED_HEAT) & (spot >= weight[row, 0])
            log_size[row, 0, near] = np.log(extent)
            lines, columns = np.nonzero(near)
            cell = np.stack((along[columns], along[lines]), axis=-1)
            offsets = (joints[None] - cell[:, None]) / extent
            points[row][:, lines, columns] = offsets.reshape(len(lines), -1).T
            weight[row, 0][near] = spot[near]
    fields = (heat, counted, log_size, points, weight)
    return DetectorTargets(*(torch.from_numpy(one) for one in fields))


def _ignore(counted: np.ndarray, joints: np.ndarray) -> None:
    """Mark the cells of a hand (21, 2), cells, as not counted."""
    low, high = joints.min(0), joints.max(0)
    margin = _IGNORED_MARGIN * float((high - low).max()) + 0.5
    cells = counted.shape[-1]
    x0, y0 = np.floor(low - margin).astype(int).clip(0, cells)
    x1, y1 = np.ceil(high + margin).astype(int).clip(0, cells)
    counted[:, y0:y1, x0:x1] = False
