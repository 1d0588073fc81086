"""Computes the canonical views of pseudo-labelled hands for an assumed camera, and warps their crops."""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
import torch

from hand_pose_ros.camera.keypoint_view import KeypointView, view_keypoints
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.detection.relative_depth import relative_depth
from hand_pose_ros.hand_images.augmentation.view_jitter import intrinsics
from hand_pose_ros.hand_images.real.labels import RealHandLabels
from hand_pose_ros.hand_images.shards import STORED_MARGIN, STORED_SIZE_PX
from hand_pose_ros.networks.condition import KeypointCondition

FOCAL_LENGTH: Final = 1.0
"""Assumed focal length in multiples of the image's larger side: a field of view of 53 degrees, as of webcams."""
NEAREST: Final = 2.5
"""Least focal length in multiples of the hand's extent in it: a hand of 18 cm is at least 45 cm away. Some
images are cut out around the hand; their size does not depend on the lens."""
_OVERSAMPLING = 2
_INSET_PX = 1.5  # of a crop's pixels: there JPEG has mixed the image's edge with the black around it


class RealHandViews(NamedTuple):
    """Views of n hands, mirrored to right ones.

    view, condition: as :func:`hand_pose_ros.estimator.keypoint_input.keypoint_input` makes them. to_crop: (n,
    3, 3) from normalised coordinates of the view to pixels of the crop. to_image: the same, to pixels of the
    image.
    """

    view: KeypointView
    condition: KeypointCondition
    to_crop: np.ndarray
    to_image: np.ndarray


def real_hand_views(labels: RealHandLabels) -> RealHandViews:
    """Compute the views for a pinhole camera centred on the image, with the assumed focal length."""
    width, height = labels.sizes.T.astype(np.float64)
    focal = np.maximum(FOCAL_LENGTH * np.maximum(width, height), NEAREST * labels.extents)
    camera = np.zeros((labels.count, 3, 3))
    camera[:, 0, 0] = camera[:, 1, 1] = focal
    camera[:, 0, 2], camera[:, 1, 2], camera[:, 2, 2] = (width - 1) / 2, (height - 1) / 2, 1
    # Flipping the sign of the camera's x makes a left hand a right one.
    mirror = np.where(labels.sides == "left", -1.0, 1.0)
    points = labels.image_points.astype(np.float64)
    rays = (points - camera[:, None, :2, 2]) / focal[:, None, None]
    rays[..., 0] *= mirror[:, None]
    rays = np.concatenate((rays, np.ones_like(rays[..., :1])), axis=-1)
    view = view_keypoints(torch.from_numpy(rays))
    to_mirror = view.rotation.numpy().transpose(0, 2, 1) * _flip_x(mirror)[..., None]
    to_image = camera @ to_mirror
    limit = np.stack((width, height), 1)[:, None] - 0.5
    inside = torch.from_numpy(((points >= -0.5) & (points <= limit)).all(-1))
    view = to(view, torch.float32)
    depth = relative_depth(torch.from_numpy(labels.world.astype(np.float64))).float()
    condition = KeypointCondition(
        view.points, depth, torch.full_like(depth, torch.nan), inside, view.half_extent
    )
    return RealHandViews(view, condition, labels.crop_of_image @ to_image, to_image)


def view_image(
    crop: np.ndarray,
    to_crop: np.ndarray,
    to_image: np.ndarray,
    half_extent: float,
    image_size: tuple[int, int],
    crop_of_image: np.ndarray,
) -> np.ndarray:
    """Warp a crop to the hand image (160, 160, 3).

    It is black outside of the original image, as at run time. Between the crop and the image's edge, in the
    corners of strongly rotated hands, the crop is continued by reflection.

    Args:
        crop: (192, 192, 3). to_crop, to_image: (3, 3), see :class:`RealHandViews`. half_extent: of the
        view. image_size: its width and height. crop_of_image: (3, 3) from its pixels to the crop's.
    """
    corners = np.array(((-0.5, -0.5, 1), (image_size[0] - 0.5, image_size[1] - 0.5, 1)))
    low, high = (corners @ crop_of_image.T)[:, :2]
    left, top = np.ceil(np.maximum(low + _INSET_PX, 0)).astype(int)
    right, bottom = np.floor(np.minimum(high - _INSET_PX, np.array(crop.shape[1::-1]) - 1)).astype(int)
    shown = crop[top : bottom + 1, left : right + 1]
    fine = STORED_SIZE_PX * _OVERSAMPLING
    to_fine = intrinsics(half_extent, fine, STORED_MARGIN)
    move = np.array(((1, 0, -left), (0, 1, -top), (0, 0, 1)))
    matrix = move @ to_crop @ np.linalg.inv(to_fine)
    image = cv2.warpPerspective(
        shown,
        matrix,
        (fine, fine),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    image = cv2.resize(image, (STORED_SIZE_PX, STORED_SIZE_PX), interpolation=cv2.INTER_AREA)
    grid = np.stack(np.meshgrid(np.arange(STORED_SIZE_PX), np.arange(STORED_SIZE_PX)), -1)
    grid = np.concatenate((grid, np.ones_like(grid[..., :1])), -1).astype(np.float64)
    K = intrinsics(half_extent, STORED_SIZE_PX, STORED_MARGIN)
    pixels = grid @ (to_image @ np.linalg.inv(K)).T
    pixels = pixels[..., :2] / pixels[..., 2:]
    outside = ((pixels < corners[0, :2]) | (pixels > corners[1, :2])).any(-1)
    # No pixel inside is black, so that the outside differs from dark areas.
    image = np.maximum(image, 1)
    image[outside] = 0
    return image


def _flip_x(sign: np.ndarray) -> np.ndarray:
    """Return diagonals (n, 3) that multiply x by sign (n,)."""
    return np.stack((sign, np.ones_like(sign), np.ones_like(sign)), axis=1)
