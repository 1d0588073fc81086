"""The module cuts crops of hands and reads their 2.5D poses in the hands' canonical views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.estimator.keypoint_input import keypoint_input, view_in_box, why_not
from hand_pose_ros.estimator.placement import NOISE_RATIO
from hand_pose_ros.networks.runtime.heatmap import RunnableHeatmap
from hand_pose_ros.networks.runtime.heatmap_crops import read_views
from hand_pose_ros.pose import Detection, Frame

_SIGMA_PER_ERROR: Final = math.sqrt(math.pi / 2)
"""Standard deviation of a normal distribution, divided by its mean absolute deviation."""


class ViewedPoses(NamedTuple):
    """2.5D poses of n right hands in their views, float64.

    The crop was warped into the view, a pinhole camera, so the points are undistorted.

    points: (n, 21, 2) normalised image points of the view. depths: (n, 21) relative to the wrist, anchor lengths.
    sigma: (n, 21) standard deviation of each coordinate of a point, normalised.
    depth_sigma: (n, 21) standard deviation of the depth, anchor lengths; zero for the wrist, the root.
    known: (n,) whether everything is finite.
    """

    points: Tensor
    depths: Tensor
    sigma: Tensor
    depth_sigma: Tensor
    known: Tensor


class HandReader:
    """Reads the 2.5D poses of detected hands with one network."""

    def __init__(self, network: RunnableHeatmap) -> None:
        self._network = network

    def view(self, frame: Frame, detection: Detection) -> KeypointView:
        """Return the view of one hand, with a leading dimension of 1, mirrored if it is a left hand's.

        A hand of which only the box is known is read twice: in the box, and around the points found there.

        Raises:
            ValueError: the hand cannot be viewed; the message says why.
        """
        reason = why_not(detection, frame.camera)
        if not reason:
            return to(keypoint_input(frame.camera, detection)[0], torch.float64)
        if detection.landmarks_px is not None:
            raise ValueError(reason)
        return view_in_box(frame.camera, detection, partial(self._points_in, frame, detection.side))

    def _points_in(self, frame: Frame, side: str, view: KeypointView) -> Tensor:
        """Return the points (1, 21, 2) that the network finds in a view, in its half extents."""
        found = self.read(frame, [side], view)
        if not bool(found.known.all()):
            raise ValueError("the network's maps are not finite")
        return found.points / view.half_extent[:, None, None]

    def read(self, frame: Frame, sides: Sequence[str], view: KeypointView) -> ViewedPoses:
        """Read hands of ``sides`` in the crops of their views (n, ...)."""
        margin = self._network.config.margin
        found = read_views(self._network, frame.image_bgr, frame.camera, view, sides)
        span = margin * view.half_extent.double()
        depths = found.depth - found.depth[:, hand.WRIST, None]
        error = _SIGMA_PER_ERROR * found.log_sigma.exp()
        depth_sigma = NOISE_RATIO * margin * error
        depth_sigma[:, hand.WRIST] = 0.0
        known = found.points.isfinite().all(-1) & depths.isfinite() & error.isfinite()
        return ViewedPoses(
            span[:, None, None] * found.points, depths, span[:, None] * error, depth_sigma, known.all(-1)
        )
