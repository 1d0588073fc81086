"""Hand crops for the image encoders: the image that belongs to a canonical view, always of a right hand."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.camera.virtual import VirtualCamera
from hand_pose_ros.common.shapes import Array

_MIRROR = torch.diag(torch.tensor((-1.0, 1.0, 1.0), dtype=torch.float64))


def hand_crop(
    image_bgr: Array,
    camera: CameraModel,
    view_rotation: Tensor,
    half_extent: float,
    side: str,
    size_px: int,
    margin: float,
) -> Array:
    """Warp the camera's image into a crop taken by the camera of the hand's canonical view.

    A view point p, in half extents, lies at pixel ``(p / margin + 1) / 2 * size_px - 0.5``. The crop is black
    beyond the image's edge. If the crop has fewer pixels than the image, the image is averaged first.

    Args:
        image_bgr: (height, width, 3) uint8.
        view_rotation: (3, 3) of :class:`~hand_pose_ros.camera.keypoint_view.KeypointView`; for a left hand, the
            rotation of its mirrored rays from :func:`~hand_pose_ros.estimator.keypoint_input.keypoint_input`.
        half_extent: tangent of half the angle that the hand fills in the view.
        side: 'left' or 'right'; a left hand's crop is mirrored, so that it shows a right hand.
        size_px: width and height of the crop.
        margin: the crop spans +-margin half extents.

    Returns:
        (size_px, size_px, 3) uint8, contiguous.

    Raises:
        ValueError: another side, a half extent or margin that is not positive, a view that is not finite, or an
            image that does not have the camera's size.
    """
    if side not in ("left", "right"):
        raise ValueError(f"side must be 'left' or 'right', got {side!r}")
    span = float(half_extent) * margin
    if not (np.isfinite(span) and half_extent > 0 and margin > 0):
        raise ValueError(f"half_extent and margin must be positive, got {float(half_extent)} and {margin}")
    rotation = torch.as_tensor(view_rotation, dtype=torch.float64).detach().cpu()
    if rotation.shape != (3, 3) or not bool(rotation.isfinite().all()):
        raise ValueError("view_rotation must be a finite (3, 3) rotation")
    if side == "left":
        rotation = _MIRROR @ rotation @ _MIRROR
    focal, middle = size_px / (2 * span), (size_px - 1) / 2
    crop = CameraModel.pinhole(focal, focal, middle, middle, size_px, size_px)
    crop_bgr = VirtualCamera(camera, crop, rotation).warp(image_bgr)
    return cv2.flip(crop_bgr, 1) if side == "left" else crop_bgr


def hand_crops(
    image_bgr: Array,
    camera: CameraModel,
    view: KeypointView,
    sides: Sequence[str],
    size_px: int,
    margin: float,
) -> Array:
    """Warp the image into one crop for each of n hands, see :func:`hand_crop`.

    Args:
        view: (n, ...) of the hands. sides: n of 'left' or 'right'.

    Returns:
        (n, size_px, size_px, 3) uint8.

    Raises:
        ValueError: as :func:`hand_crop`, or another number of sides than of views.
    """
    return np.stack(
        [
            hand_crop(image_bgr, camera, rotation, float(half_extent), side, size_px, margin)
            for rotation, half_extent, side in zip(view.rotation, view.half_extent, sides, strict=True)
        ]
    )
