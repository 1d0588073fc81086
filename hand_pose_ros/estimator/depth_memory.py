"""The depths that are read of a hand, filtered over time while it keeps its shape.

Their errors differ from frame to frame more than those of image points, and a hand that is still shows the same
depths in every frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.estimator.landmark_motion import landmark_shape, shape_motion
from hand_pose_ros.pose import Detection

_MEMORY: Final = 0.7
"""Weight of the last frame's depths while the hand is still."""
_MOTION: Final = 0.15
"""Motion of the landmarks, see :func:`shape_motion`, at which that weight has fallen to 1 / e."""
_LONGEST_GAP_S: Final = 0.25


class _Last(NamedTuple):
    """side: of the hand. shape: (21, 2) of its landmarks. depth: (21,) filtered."""

    side: str
    time_s: float
    shape: np.ndarray
    depth: Tensor


class DepthMemory:
    """Filters the depths of each track; not those of hands without a track id, nor at times that are not known."""

    def __init__(self) -> None:
        self._tracks: dict[int, _Last] = {}

    def reset(self) -> None:
        """Forget all tracks."""
        self._tracks = {}

    def filtered(self, depth: Tensor, detections: Sequence[Detection], time_s: float | None) -> Tensor:
        """Return depths (n, 21) with those that a 2.5D network has read filtered; a missing one is the last one.

        Args:
            depth: relative to the wrist, NaN where missing. detections: of the same n hands.
            time_s: of the frame.
        """
        if time_s is None:
            return depth
        rows, tracks = list(depth.unbind(0)), {}
        for row, one in enumerate(detections):
            if one.read is None or one.track_id is None:
                continue
            shape, last = landmark_shape(one), self._tracks.get(one.track_id)
            if last is not None and last.side == one.side and 0 <= time_s - last.time_s <= _LONGEST_GAP_S:
                kept = _MEMORY * math.exp(-((shape_motion(shape, last.shape) / _MOTION) ** 2))
                before, now = last.depth.to(rows[row]), rows[row]
                mixed = kept * before + (1 - kept) * now
                rows[row] = mixed.where(mixed.isfinite(), now.where(now.isfinite(), before))
            tracks[one.track_id] = _Last(one.side, time_s, shape, rows[row])
        kept_tracks = {
            key: one for key, one in self._tracks.items() if 0 <= time_s - one.time_s <= _LONGEST_GAP_S
        }
        self._tracks = kept_tracks | tracks
        return torch.stack(rows)
