"""Converts labelled hands to stored hand images (:mod:`hand_pose_ros.hand_images.shards`) for training.

The labels are kept as they are; the inverse kinematics adds angles, proportions and orientation, and fills in the
joints that a set does not label. Of hands that are labelled in 2D only, everything else stays unknown, as training
expects it.
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
from hand_pose_ros.mesh.joint_visibility import joints_visible
from hand_pose_ros.pose import Detection

IN_3D, IN_ANY, IN_2D = "3d", "any", "2d"
LABELS: Final = (IN_3D, IN_ANY, IN_2D)
"""Which labels are used: 3D, and hands without them are left out; 3D, or 2D where there is none; or 2D only."""
MIN_KNOWN: Final = 15
"""Labelled joints that a hand needs."""
NOISE_M: Final = 2e-3
"""Assumed noise of the labels: how far the fitted hand may be from them."""


class Converted(NamedTuple):
    """Hand images, and why each hand that is not among them was left out."""

    images: HandImages
    reasons: list[str]


def convertible(one: LabelledHand, labels: str = IN_3D) -> str:
    """Return why a hand cannot be converted; '' if it can. ``labels``: one of ``LABELS``."""
    if labels != IN_2D and one.camera is not None and _is_labelled(one.joints_with_wrist_m):
        return ""
    if labels != IN_3D:
        return (
            ""
            if _is_labelled(one.points_px)
            else f"fewer than {MIN_KNOWN} joints, or not the wrist, are labelled"
        )
    if one.camera is None:
        return "the set has no intrinsics"
    return f"fewer than {MIN_KNOWN} joints, or not the wrist, are labelled in 3D"


def convert(hands: Sequence[LabelledHand], source: int, labels: str = IN_3D) -> Converted:
    """Convert hands; those that cannot be are left out.

    Args:
        source: number in the field ``source`` of all rows. labels: one of ``LABELS``.

    Raises:
        MalformedFileError: an image is missing or malformed. ValueError: unknown ``labels``.
    """
    if labels not in LABELS:
        raise ValueError(f"labels must be one of {', '.join(LABELS)}, got {labels!r}")
    reasons = [reason for one in hands if (reason := convertible(one, labels))]
    chosen = [one for one in hands if not convertible(one, labels)]
    images = empty_hand_images(len(chosen))
    deep = [row for row, one in enumerate(chosen) if labels != IN_2D and not convertible(one)]
    why = dict.fromkeys(range(len(chosen)), "")
    if deep:
        why |= dict(zip(deep, _fill_in_3d(images, deep, [chosen[row] for row in deep]), strict=True))
    for row in set(why) - set(deep):
        why[row] = _fill_in_2d(images, row, chosen[row])
    images.source[:] = source
    kept = np.array([row for row, reason in why.items() if not reason], int)
    return Converted(images.rows(kept), reasons + [reason for reason in why.values() if reason])


def assumed_camera(image: np.ndarray) -> CameraModel:
    """Return the camera of a photo without intrinsics: its focal length is the larger side of the image."""
    height, width = image.shape[:2]
    focal = float(max(height, width))
    return CameraModel.pinhole(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)


def _is_labelled(points: np.ndarray) -> bool:
    known = np.isfinite(points).all(1)
    return bool(known[hand.WRIST] and known.sum() >= MIN_KNOWN)


def _fill_in_3d(images: HandImages, rows: Sequence[int], hands: Sequence[LabelledHand]) -> list[str]:
    """Fill rows with hands that are labelled in 3D; returns why not for each, '' where it is filled."""
    sign = torch.tensor(
        [[[1.0 if one.side == "right" else -1.0, 1.0, 1.0]] for one in hands], dtype=torch.float64
    )
    labels = torch.from_numpy(np.stack([one.joints_with_wrist_m for one in hands])) * sign
    fit = fit_hand(labels, noise_m=NOISE_M)
    joints = torch.where(labels.isfinite().all(-1, keepdim=True), labels, fit.frames.joints)
    return [
        _fill(images, row, number, one, camera, fit, joints[number])
        for number, (row, (one, camera)) in enumerate(zip(rows, _with_cameras(hands), strict=True))
    ]


def _fill_in_2d(images: HandImages, row: int, one: LabelledHand) -> str:
    """Fill a row with a hand whose 3D is not known; returns why not, '' if it is filled."""
    image = one.image()
    camera = one.camera or assumed_camera(image)
    return _fill_view(images, row, one, camera, image, one.points_px)[0]


def _with_cameras(hands: Sequence[LabelledHand]) -> Iterator[tuple[LabelledHand, CameraModel]]:
    for one in hands:
        assert one.camera is not None, "the hands must be convertible"
        yield one, one.camera


def _fill(
    images: HandImages,
    row: int,
    number: int,
    one: LabelledHand,
    camera: CameraModel,
    fit: HandFit,
    joints: torch.Tensor,
) -> str:
    """Fill a row with a hand whose joints (21, 3) are mirrored to a right one's; returns why not, else ''.

    ``number``: of the hand in the fit.
    """
    if not bool(fit.converged[number]):
        return "the inverse kinematics finds no hand"
    in_camera = joints * joints.new_tensor((1.0 if one.side == "right" else -1.0, 1.0, 1.0))
    points = camera.project(in_camera).numpy()
    if not np.isfinite(points).all():
        return "a joint is behind the camera"
    reason, rotation = _fill_view(images, row, one, camera, one.image(), points)
    if rotation is None:
        return reason
    anchor = fit.anchor_length_m[number]
    in_view = joints @ rotation.T / anchor
    images.joints[row] = (in_view - in_view[:1]).numpy()
    images.depth[row] = images.joints[row, :, 2]
    images.wrist[row] = in_view[0].numpy()
    images.angles[row] = fit.angles[number].numpy()
    images.proportions[row] = fit.proportions[number].numpy()
    images.rotation[row] = (rotation @ fit.frames.rotations[number, 0]).numpy()
    if one.visible is None:
        shown = joints_visible(joints[None].float(), anchor[None].float())[0].numpy()
        images.visible[row] = shown & images.inside[row]
    labelled = np.isfinite(one.joints_with_wrist_m).all(1)
    residual = float(fit.residual_m[number].nanmean() / anchor)
    images.sigma[row] = np.where(labelled, 0.0, residual)
    return ""


def _fill_view(
    images: HandImages,
    row: int,
    one: LabelledHand,
    camera: CameraModel,
    image: np.ndarray,
    points: np.ndarray,
) -> tuple[str, torch.Tensor | None]:
    """Fill what the image points (21, 2) tell; returns why not, and the view's rotation (3, 3) if it is filled."""
    detection = Detection(one.side, 1.0, box_around(points, 0.1), points)
    try:
        view, condition = keypoint_input(camera, detection)
    except ValueError as error:
        return str(error), None
    rotation, half_extent = view.rotation[0].double(), float(view.half_extent[0])
    # No pixel of the image is black, so that beyond its edge differs from dark areas.
    images.image[row] = hand_crop(
        np.maximum(image, 1), camera, rotation, half_extent, one.side, STORED_SIZE_PX, STORED_MARGIN
    )
    images.points[row] = view.points[0].numpy()
    images.half_extent[row] = half_extent
    images.inside[row] = condition.inside[0].numpy()
    images.visible[row] = images.inside[row] if one.visible is None else one.visible & images.inside[row]
    return "", rotation
