"""The module turns a detection's landmarks into a keypoint condition: a right hand in the canonical view."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView, view_box, view_keypoints, view_rays
from hand_pose_ros.camera.keypoint_view_of_one import view_keypoints_of_one
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.camera.pixel_view import MAX_HALF_EXTENT, mirrored_rays
from hand_pose_ros.detection.relative_depth import relative_depth
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.pose import Detection

MIN_KEYPOINTS = 6
_MIN_EXTENT_PX = 4.0
_TOO_WIDE = "the hand does not fit into one view of the camera"


def why_not(detection: Detection, camera: CameraModel) -> str:
    """Return why the landmarks of a detection cannot be lifted; empty if they can."""
    if detection.landmarks_px is None:
        return "the detector gives no landmarks"
    known = np.isfinite(detection.landmarks_px).all(1)
    if known.sum() < MIN_KEYPOINTS:
        return f"only {known.sum()} of {hand.NUM_JOINTS} landmarks are known, {MIN_KEYPOINTS} are needed"
    extent = np.ptp(detection.landmarks_px[known], axis=0).max()
    if extent < _MIN_EXTENT_PX:
        return f"the landmarks span {extent:.1f} px, too few to tell a pose"
    size = max(camera.width, camera.height)
    if extent > 4 * size or np.abs(detection.landmarks_px[known]).max() > 10 * size:
        return "the landmarks lie far outside the image"
    return ""


def check_view(half_extent: torch.Tensor) -> None:
    """Raise ValueError if the half extent of a hand is too large or NaN."""
    if not bool((half_extent <= MAX_HALF_EXTENT).all()):
        raise ValueError(_TOO_WIDE)


def keypoint_input(camera: CameraModel, detection: Detection) -> tuple[KeypointView, KeypointCondition]:
    """The canonical view of one detection, with a leading dimension of 1, mirrored if it is a left hand's.

    Raises:
        ValueError: the landmarks do not fit into one view.
    """
    pixels = torch.from_numpy(np.asarray(detection.landmarks_px, dtype=np.float64))
    rays = mirrored_rays(camera, pixels, detection.side)
    one = view_keypoints_of_one(rays.numpy())
    if np.isfinite(one.points).all(-1).sum() < MIN_KEYPOINTS:
        raise ValueError("the landmarks do not fit into one view of the camera")
    if not one.half_extent <= MAX_HALF_EXTENT:
        raise ValueError(_TOO_WIDE)
    depth = torch.full_like(rays[:, 0], torch.nan)
    if detection.landmarks_m is not None:
        depth = relative_depth(torch.from_numpy(np.asarray(detection.landmarks_m, dtype=np.float64)))
    x, y = pixels.unbind(-1)
    inside = (x >= -0.5) & (x <= camera.width - 0.5) & (y >= -0.5) & (y <= camera.height - 0.5)
    view = KeypointView(
        torch.from_numpy(one.rotation).float()[None],
        torch.tensor([one.half_extent]),
        torch.from_numpy(one.points).float()[None],
    )
    confidence = torch.full_like(view.points[..., 0], torch.nan)
    if detection.landmark_scores is not None:
        confidence[0] = torch.from_numpy(np.asarray(detection.landmark_scores, dtype=np.float32))
    return view, KeypointCondition(
        view.points, depth[None].float(), confidence, inside[None], view.half_extent
    )


def view_in_box(
    camera: CameraModel, detection: Detection, read: Callable[[KeypointView], torch.Tensor]
) -> KeypointView:
    """The view of a hand of which only the box is known, with a leading dimension of 1, float64.

    It is looked at twice: in the box, and around the points that are found there.

    Args:
        read: finds the points (1, 21, 2) in a view, in its half extents.

    Raises:
        ValueError: the hand does not fit into one view; and what ``read`` raises.
    """
    x0, y0, x1, y1 = detection.box_px.tolist()
    corners = torch.tensor(((x0, y0), (x1, y0), (x1, y1), (x0, y1)), dtype=torch.float64)
    view = view_box(mirrored_rays(camera, corners, detection.side)[None])
    check_view(view.half_extent)
    view = view_keypoints(view_rays(view, read(view)))
    check_view(view.half_extent)
    return view
