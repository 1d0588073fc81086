"""Labels photos anew by several passes of a landmark network over jittered and mirrored crops of each hand.

The median of the passes replaces the stored landmarks; how far the passes disagree lowers the label's weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, Protocol

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.detection.mediapipe.landmarks import CropLandmarks
from hand_pose_ros.hand_images.real.labels import RealHandLabels, read_crops

MOST_PASSES: Final = 64
_TURN_RAD: Final = 0.25
_SHIFT: Final = 0.06  # of the square's side
_SCALE: Final = 1.2  # largest factor, and the inverse of the least
_LEAST_PRESENCE: Final = 0.5
_TYPICAL_SPREAD: Final = 0.08  # half extents: at this spread a third of the weight is left
_DEVIATION_OF_MEDIAN: Final = 1.4826  # of a normal distribution, divided by its median absolute deviation


class FindsLandmarks(Protocol):
    """A network that finds the landmarks of the hand in a square of an image."""

    def find(self, image_bgr: np.ndarray, square: RotatedSquare) -> CropLandmarks:
        """The hand in a square of an image (H, W, 3) uint8 BGR."""
        ...


class PassedHand(NamedTuple):
    """Consensus of the passes over one crop.

    xy: (21, 2) medians, pixels of the crop. world: (21, 3) medians, metres. seen: share of the passes that saw a
    hand. spread: mean over the joints of the passes' robust standard deviation, half extents of the hand.
    """

    xy: np.ndarray
    world: np.ndarray
    seen: float
    spread: float


def with_several_passes(
    labels: RealHandLabels,
    folder: str | Path,
    network: FindsLandmarks,
    passes: int,
    seed: int | Sequence[int],
) -> RealHandLabels:
    """Replace landmarks and weights of the labels of a folder.

    A hand that fewer than half of the passes see keeps its landmarks, with weight 0.

    Args:
        passes: crops of each hand, every other one mirrored. seed: of their jitter.

    Raises:
        ValueError: ``passes`` is out of range, or a crop is missing.
    """
    if not 2 <= passes <= MOST_PASSES:
        raise ValueError(f"passes must lie in [2, {MOST_PASSES}], got {passes}")
    generator = np.random.default_rng(seed)
    xy, world, weight = (np.array(values) for values in (labels.xy, labels.world, labels.weight))
    for row, crop in enumerate(read_crops(folder, labels.names)):
        found = pass_over(crop, labels.xy[row], network, passes, generator)
        weight[row] *= pass_weight(found)
        if found.seen >= _LEAST_PRESENCE:
            xy[row], world[row] = found.xy, found.world
    return replace(labels, xy=xy, world=world, weight=weight)


def pass_over(
    crop: np.ndarray, xy: np.ndarray, network: FindsLandmarks, passes: int, generator: np.random.Generator
) -> PassedHand:
    """Run ``network`` over ``passes`` jittered squares around landmarks (21, 2) of a crop (h, w, 3) uint8 BGR."""
    mirror = np.ascontiguousarray(crop[:, ::-1])
    width = crop.shape[1]
    points, worlds = [], []
    for number in range(passes):
        flip = number % 2 == 1
        square = _jittered(RotatedSquare.around_landmarks(_mirrored(xy, width) if flip else xy), generator)
        found = network.find(mirror if flip else crop, square)
        if found.presence < _LEAST_PRESENCE:
            continue
        points.append(_mirrored(found.landmarks_px, width) if flip else found.landmarks_px)
        worlds.append(found.world_m * ((-1, 1, 1) if flip else (1, 1, 1)))
    if not points:
        missing = np.full((hand.NUM_JOINTS, 3), np.nan)
        return PassedHand(missing[:, :2], missing, 0.0, np.inf)
    middle = np.median(points, axis=0)
    distances = np.abs(np.asarray(points) - middle)
    deviation = _DEVIATION_OF_MEDIAN * np.median(distances, axis=0)  # (21, 2)
    half_extent = float((middle.max(0) - middle.min(0)).max()) / 2
    spread = float(np.linalg.norm(deviation, axis=-1).mean()) / max(half_extent, 1e-6)
    return PassedHand(middle, np.median(worlds, axis=0), len(points) / passes, spread)


def pass_weight(found: PassedHand) -> float:
    """Return the factor on the weight of a label, in [0, 1]."""
    if found.seen < _LEAST_PRESENCE:
        return 0.0
    return float(np.exp(-np.square(found.spread / _TYPICAL_SPREAD)))


def _jittered(square: RotatedSquare, generator: np.random.Generator) -> RotatedSquare:
    shift = generator.uniform(-_SHIFT, _SHIFT, 2) * square.side_px
    scale = float(_SCALE ** generator.uniform(-1, 1))
    turn = float(generator.uniform(-_TURN_RAD, _TURN_RAD))
    return RotatedSquare(square.centre_px + shift, square.side_px * scale, square.angle_rad + turn)


def _mirrored(points: np.ndarray, width: int) -> np.ndarray:
    """Points (n, 2) of an image of this width in its mirror image."""
    return np.column_stack((width - 1 - points[:, 0], points[:, 1]))
