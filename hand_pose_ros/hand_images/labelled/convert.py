"""Converts labelled hands to stored hand images (:mod:`hand_pose_ros.hand_images.shards`) for training.

The labels are kept as they are; the inverse kinematics adds angles, proportions and orientation, and fills in the
joints that a set does not label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.hand_crop import hand_crop
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.estimator.keypoint_input import keypoint_input
from hand_pose_ros.hand_images.shards import (
    STORED_MARGIN,
    STORED_SIZE_PX,
    HandImages,
    empty_hand_images,
)
from hand_pose_ros.kinematics.inverse import HandFit, fit_hand
from hand_pose_ros.pose import Detection
from hand_pose_ros.synthetic.joint_visibility import joints_visible

MIN_KNOWN: Final = 15
"""Labelled joints that a hand needs."""
NOISE_M: Final = 2e-3
"""Assumed noise of the labels: how far the fitted hand may be from them."""


class Converted(NamedTuple):
    """Hand images, and why each hand that is not among them was left out."""

    images: HandImages
    reasons: list[str]


def convertible(one: LabelledHand) -> str:
    """Return why a hand cannot be converted; '' if it can."""
    if one.camera is None:
        return "the set has no intrinsics"
    known = np.isfinite(one.joints_with_wrist_m).all(1)
    if not known[hand.WRIST] or known.sum() < MIN_KNOWN:
        return f"fewer than {MIN_KNOWN} joints, or not the wrist, are labelled in 3D"
    return ""


def convert(hands: Sequence[LabelledHand], source: int) -> Converted:
    """Convert hands; those that cannot be are left out.

    Args:
        source: number in the field ``source`` of all rows.

    Raises:
        MalformedFileError: an image is missing or malformed.
    """
    reasons = [reason for one in hands if (reason := convertible(one))]
    chosen = [one for one in hands if not convertible(one)]
    if not chosen:
        return Converted(empty_hand_images(0), reasons)
    sign = torch.tensor(
        [[[1.0 if one.side == "right" else -1.0, 1.0, 1.0]] for one in chosen], dtype=torch.float64
    )
    labels = torch.from_numpy(np.stack([one.joints_with_wrist_m for one in chosen])) * sign
    fit = fit_hand(labels, noise_m=NOISE_M)
    joints = torch.where(labels.isfinite().all(-1, keepdim=True), labels, fit.frames.joints)
    images = empty_hand_images(len(chosen))
    kept = []
    for row, (one, camera) in enumerate(_with_cameras(chosen)):
        reason = _fill(images, row, one, camera, fit, joints[row])
        if reason:
            reasons.append(reason)
        else:
            kept.append(row)
    images.source[:] = source
    return Converted(images.rows(np.array(kept, int)), reasons)


def _with_cameras(hands: Sequence[LabelledHand]) -> Iterator[tuple[LabelledHand, CameraModel]]:
    for one in hands:
        assert one.camera is not None, "the hands must be convertible"
        yield one, one.camera


def _fill(
    images: HandImages, row: int, one: LabelledHand, camera: CameraModel, fit: HandFit, joints: torch.Tensor
) -> str:
    """Fill a row with a hand whose joints (21, 3) are mirrored to a right one's; returns why not, else ''."""
    if not bool(fit.converged[row]):
        return "the inverse kinematics finds no hand"
    in_camera = joints * joints.new_tensor((1.0 if one.side == "right" else -1.0, 1.0, 1.0))
    points = camera.project(in_camera).numpy()
    if not np.isfinite(points).all():
        return "a joint is behind the camera"
    detection = Detection(one.side, 1.0, box_around(points, 0.1), points)
    try:
        view, condition = keypoint_input(camera, detection)
    except ValueError as error:
        return str(error)
    rotation = view.rotation[0].double()
    half_extent = float(view.half_extent[0])
    anchor = fit.anchor_length_m[row]
    in_view = joints @ rotation.T / anchor
    inside = condition.inside[0].numpy()
    shown = joints_visible(joints[None].float(), anchor[None].float())[0].numpy()
    visible = shown if one.visible is None else one.visible
    # No pixel of the image is black, so that beyond its edge differs from dark areas.
    image = np.maximum(one.image(), 1)
    images.image[row] = hand_crop(
        image, camera, rotation, half_extent, one.side, STORED_SIZE_PX, STORED_MARGIN
    )
    images.points[row] = view.points[0].numpy()
    images.half_extent[row] = half_extent
    images.joints[row] = (in_view - in_view[:1]).numpy()
    images.depth[row] = images.joints[row, :, 2]
    images.wrist[row] = in_view[0].numpy()
    images.angles[row] = fit.angles[row].numpy()
    images.proportions[row] = fit.proportions[row].numpy()
    images.rotation[row] = (rotation @ fit.frames.rotations[row, 0]).numpy()
    images.inside[row] = inside
    images.visible[row] = visible & inside
    labelled = np.isfinite(one.joints_with_wrist_m).all(1)
    residual = float(fit.residual_m[row].nanmean() / anchor)
    images.sigma[row] = np.where(labelled, 0.0, residual)
    return ""
