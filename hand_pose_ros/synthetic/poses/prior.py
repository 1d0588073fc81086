"""The shipped statistics of hand poses: a mixture fitted to real poses, and a bank of poses made by rule.

``hand_pose prior-fit`` makes the file; docs/how/pose_prior.md tells how and from what.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.files.safe_arrays import read_arrays
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.synthetic.poses.mixture import Mixture

SHIPPED: Final = Path(__file__).with_name("prior.npz")
VARIED: Final = tuple(i for i, angle in enumerate(hand.ANGLES) if angle.max_deg > angle.min_deg)
"""Indices of the 36 angles whose range is more than one value: those that the mixture is over."""

_STEPS = 255  # the bank's numbers are stored as bytes: steps from the lower to the upper limit
_ARRAYS = ("share", "mean", "factor", "bank_angles", "bank_proportions")


class PosePrior(NamedTuple):
    """mixture: over the angles ``VARIED``, radians. bank_angles: (m, 38) radians. bank_proportions: (m, 20)."""

    mixture: Mixture
    bank_angles: Tensor
    bank_proportions: Tensor


def save_prior(prior: PosePrior, path: Path = SHIPPED) -> None:
    """Write the statistics, rounded to what they are good for."""
    lower = torch.ones_like(prior.mixture.factor[0]).tril().bool()
    np.savez_compressed(
        path,
        share=prior.mixture.share.numpy().astype(np.float32),
        mean=prior.mixture.mean.numpy().astype(np.float16),
        factor=prior.mixture.factor[:, lower].numpy().astype(np.float16),
        bank_angles=_to_bytes(prior.bank_angles, angle_bounds()),
        bank_proportions=_to_bytes(prior.bank_proportions, proportion_bounds()),
    )


def load_prior(path: Path = SHIPPED) -> PosePrior:
    """Read the statistics.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not one of these, or damaged.
    """
    try:
        stored = read_arrays(path)
        arrays = {name: torch.from_numpy(stored[name]) for name in _ARRAYS}
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{path} does not hold pose statistics: {error}") from error
    share, mean = arrays["share"], arrays["mean"].float()
    size = len(VARIED)
    if mean.shape != (len(share), size) or arrays["factor"].shape != (len(share), size * (size + 1) // 2):
        raise ValueError(f"{path} must hold a mixture over {size} angles, got means {tuple(mean.shape)}")
    factor = torch.zeros(len(share), size, size)
    factor[:, torch.ones(size, size).tril().bool()] = arrays["factor"].float()
    return PosePrior(
        Mixture(share / share.sum(), mean, factor),
        _from_bytes(arrays["bank_angles"], angle_bounds()),
        _from_bytes(arrays["bank_proportions"], proportion_bounds()),
    )


def _to_bytes(values: Tensor, bounds) -> np.ndarray:
    span = (bounds.maximum - bounds.minimum).clamp(min=1e-9)
    steps = (values.float() - bounds.minimum) / span * _STEPS
    return steps.round().clamp(0, _STEPS).to(torch.uint8).numpy()


def _from_bytes(steps: Tensor, bounds) -> Tensor:
    return bounds.clamp(bounds.minimum + (bounds.maximum - bounds.minimum) * steps.float() / _STEPS)
