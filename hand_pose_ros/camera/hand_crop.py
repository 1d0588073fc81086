"""The picture that goes with a canonical view: a hand's crop as image encoders take it, always of a right hand."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.camera.virtual import VirtualCamera

_MIRROR = torch.diag(torch.tensor((-1.0, 1.0, 1.0), dtype=torch.float64))


def hand_crop(
    image_bgr: np.ndarray,
    camera: CameraModel,
    view_rotation: Tensor,
    half_extent: float,
    side: str,
    size_px: int,
    margin: float,
) -> np.ndarray:
    """Cut a hand out of the camera's image, seen by the camera of its canonical view.

    A point of the view, in its half extents, is shown at pixel ``(p / margin + 1) / 2 * size_px - 0.5``. Where the
    image ends, the crop is black; where the crop has fewer pixels than the image, it is averaged first.

    Args:
        image_bgr: (height, width, 3) uint8.
        view_rotation: (3, 3) of :class:`~hand_pose_ros.camera.keypoint_view.KeypointView`; of a left hand
            that of its mirrored rays, as :func:`~hand_pose_ros.estimator.keypoint_input.keypoint_input` gives it.
        half_extent: of the view, the tangent of half the angle that the hand fills.
        side: 'left' or 'right'; a left hand's crop is mirrored, and shows a right one.
        size_px, margin: of the crop, which spans +-margin half extents.

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
    picture = VirtualCamera(camera, crop, rotation).warp(image_bgr)
    return cv2.flip(picture, 1) if side == "left" else picture
