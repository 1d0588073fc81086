"""Statistics of a detector's errors, fitted to its answers, and the file that they ship in."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.files.safe_arrays import read_arrays

STATISTICS: Final = {
    "mediapipe": Path(__file__).with_name("mediapipe.npz"),
    "heatmap": Path(__file__).with_name("heatmap.npz"),
}
"""Files of the statistics of MediaPipe and of the fast 2.5D network, written by ``hand_pose noise-fit``."""
VISIBLE, HIDDEN, OUTSIDE = range(3)
"""States of a joint: seen, behind another part of the hand, outside the image."""

_SMALLEST_PALM: Final = 1e-2  # of squared lengths, half extents


class NoiseStatistics(NamedTuple):
    """Errors in x, y are in half extents, in depth in anchor lengths; "error" is the vector (21 x 3) of a hand.

    definition: (21, 3) where the detector's joints lie relative to ours, wrist frame, anchor lengths.
    weights, bias: (features, 63) and (63,), the systematic error as a linear function of :func:`error_features`.
    sigma: (3, 21, 2) standard deviation of the random error in each state, in x and y and in depth.
    cholesky: (63, 63) of the random error's correlations.
    level_weights, level_bias: (features, 2) and (2,), mean logarithm of a hand's error levels, in the image and
        in depth, as a linear function of :func:`level_features`.
    level_cholesky: (2, 2) of the correlation of what that mean leaves of the two logarithms, as normal variates.
    level_quantiles: (quantiles, 2) of what it leaves, at even steps from probability 0 to 1.
    level_highest: (2,) logarithms that no hand's level exceeds.
    finger_spread: () standard deviation of the logarithm of a finger's level within its hand, in the image.
    swapped: (5, 5) probability that fingers i and j are swapped (i < j).
    copied: (2, 5, 5) probability that finger i is placed on j, if i is seen, and if most of it is not.
    flipped: () probability that the depth of the whole hand has the wrong sign.
    """

    definition: Tensor
    weights: Tensor
    bias: Tensor
    sigma: Tensor
    cholesky: Tensor
    level_weights: Tensor
    level_bias: Tensor
    level_cholesky: Tensor
    level_quantiles: Tensor
    level_highest: Tensor
    finger_spread: Tensor
    swapped: Tensor
    copied: Tensor
    flipped: Tensor

    def save(self, path: Path) -> None:
        """Write the file that :func:`load_statistics` reads, in single precision."""
        np.savez_compressed(
            path, **{name: value.numpy().astype(np.float32) for name, value in self._asdict().items()}
        )


@lru_cache(maxsize=8)
def load_statistics(
    path: Path = STATISTICS["mediapipe"],
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> NoiseStatistics:
    """Statistics from a file, read once per path, dtype and device."""
    stored = read_arrays(path)
    values = [torch.from_numpy(stored[name]).to(device, dtype) for name in NoiseStatistics._fields]
    return NoiseStatistics(*values)


def anchor_in_half_extents(points: Tensor, depth: Tensor) -> Tensor:
    """(n,) the anchor's length in half extents, from points (n, 21, 2) and depth (n, 21), for a mean palm."""
    across = points[:, hand.LEVELS[0]] - points[:, :1]
    along = depth[:, hand.LEVELS[0]] - depth[:, :1]
    lengths = points.new_tensor(hand.PALM_LENGTHS)
    seen = (lengths.square() - along.square()).clamp(min=0).sum(-1).clamp(min=_SMALLEST_PALM)
    return (across.square().sum((-1, -2)).clamp(min=_SMALLEST_PALM) / seen).sqrt()


def error_features(joints: Tensor, view_rotation: Tensor) -> Tensor:
    """Features (n, features) of the systematic error: positions of the joints and orientation of the hand.

    Args:
        joints: (n, 21, 3) relative to the wrist, in anchor lengths, in the view.
        view_rotation: (n, 3, 3) wrist frame -> view frame.
    """
    depth = joints[:, 1:, 2]
    # The last row says how far each axis of the wrist points away from the camera.
    turned = (view_rotation[:, 2, :, None] * depth[:, None]).flatten(1)
    return torch.cat((joints[:, 1:].flatten(1), turned, _orientation_features(view_rotation)), dim=-1)


def level_features(joints: Tensor, view_rotation: Tensor, state: Tensor) -> Tensor:
    """Features (n, features) of the size of a hand's random error: orientation, bent fingers, visible joints."""
    reach = (joints[:, 4::4] - joints[:, (2, 5, 9, 13, 17)]).norm(dim=-1)
    shares = torch.stack([(state == value).to(joints).mean(-1) for value in (HIDDEN, OUTSIDE)], dim=-1)
    return torch.cat((_orientation_features(view_rotation), reach, shares), dim=-1)


def joint_states(visible: Tensor, inside: Tensor) -> Tensor:
    """(n, 21) long: VISIBLE, HIDDEN or OUTSIDE."""
    hidden = torch.where(visible, VISIBLE, HIDDEN)
    return torch.where(inside, hidden, OUTSIDE)


def _orientation_features(view_rotation: Tensor) -> Tensor:
    """(n, 54): the matrix and the products of its elements."""
    elements = view_rotation.flatten(1)
    first, second = torch.triu_indices(9, 9, device=elements.device)
    return torch.cat((elements, elements[:, first] * elements[:, second]), dim=-1)
