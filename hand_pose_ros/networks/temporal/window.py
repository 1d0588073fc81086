"""A window holds the last frames of a hand in one reference frame; it is the input of the temporal transformer.

Every video frame has its own canonical view (:mod:`hand_pose_ros.camera.keypoint_view`), which turns from frame to
frame. A track therefore stores its frames in the camera's frame, and a window is rotated into the view of its
newest valid frame: ``R_view_camera`` of that frame applies to all. The window then shows the rotation of the hand
without that of the view, and does not depend on the hand's position in the image.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

TYPICAL_SIGMA: Final = 0.1175  # anchor lengths
_LEAST_VARIANCE: Final = 0.1  # in typical variances: no frame counts more than ten typical ones


class HandWindow(NamedTuple):
    """F frames of n tracks of right hands, oldest first.

    stamps_s: (n, F) not decreasing. valid: (n, F) bool; the other fields of an invalid frame are ignored.
    joints: (n, F, 21, 3) mean of the diffusion's samples, relative to the wrist, in anchor lengths.
    sigma: (n, F, 21) calibrated standard deviation of the samples, per axis, in anchor lengths; NaN where unknown.
    angles: (n, F, 38) rad and rotation: (n, F, 3, 3) of the IK head (D*); wrist frame -> frame of the joints.
    """

    stamps_s: Tensor
    valid: Tensor
    joints: Tensor
    sigma: Tensor
    angles: Tensor
    rotation: Tensor

    def turned(self, rotation: Tensor) -> HandWindow:
        """Rotate the window by ``rotation`` (n, 3, 3) or (n, F, 3, 3), from the current to the new frame."""
        if rotation.ndim == 3:
            rotation = rotation[:, None]
        return self._replace(
            joints=self.joints @ rotation.transpose(-1, -2), rotation=rotation @ self.rotation
        )


def newest_valid(valid: Tensor) -> Tensor:
    """Return (n,) index of the last valid frame of (n, F); the last frame if none is valid."""
    places = torch.arange(valid.shape[1], device=valid.device)
    last = torch.where(valid, places, -1).amax(1)
    return torch.where(last < 0, valid.shape[1] - 1, last)


def newest_view(views: Tensor, valid: Tensor) -> Tensor:
    """Select (n, 3, 3) ``R_view_camera`` of the newest valid frame from those of all frames (n, F, 3, 3)."""
    return views[torch.arange(len(views), device=views.device), newest_valid(valid)]


def samples_sigma(joints: Tensor, weights: Tensor | None = None) -> Tensor:
    """Return (..., 21) root mean variance over a joint's axes of samples (..., S, 21, 3); NaN for a single one.

    Args:
        weights: (..., S) summing to 1; equal weights if None.
    """
    samples = joints.shape[-3]
    if samples < 2:
        return torch.full_like(joints[..., 0, :, 0], torch.nan)
    if weights is None:
        return joints.var(-3).mean(-1).sqrt()
    weights = weights[..., None, None]
    deviations = joints - (weights * joints).sum(-3, keepdim=True)
    return (weights * deviations.square()).sum(-3).mean(-1).mul(samples / (samples - 1)).sqrt()


def certainty(sigma: Tensor) -> Tensor:
    """Return (...) the weight of a frame with ``sigma`` (..., 21) in a track's proportions; 1 if unknown."""
    mean_square = (sigma.square().mean(-1) / TYPICAL_SIGMA**2).nan_to_num(1.0)
    return 1 / mean_square.clamp(min=_LEAST_VARIANCE)


def running_proportions(proportions: Tensor, sigma: Tensor, valid: Tensor) -> Tensor:
    """Average the proportions (n, F, 20) over each track so far, weighted by certainty: bones do not grow.

    Frames before the first valid one get its proportions; all are NaN if there is none.
    """
    weights = torch.where(valid, certainty(sigma), 0.0)[..., None]
    total = weights.cumsum(1)
    mean = (torch.where(valid[..., None], proportions, 0.0) * weights).cumsum(1) / total
    first = torch.where(valid, 1, 0).argmax(1)
    of_first = mean[torch.arange(len(mean), device=mean.device), first][:, None]
    return torch.where(total > 0, mean, of_first)
