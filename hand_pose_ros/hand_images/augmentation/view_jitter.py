"""Replaces the view of hand images by that of another virtual camera, exactly for the image and its labels.

At run time the view of a hand comes from a detector or from the last pose, so it differs from the canonical view.
This module draws views that are shifted, rolled, and wider or narrower. Both cameras share their centre, so pixels
map by the homography ``K_new R K_stored^-1`` at any depth, and points in space by the rotation ``R`` alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np

from hand_pose_ros.hand_images.shards import HandImages


@dataclass(frozen=True)
class ViewJitterConfig:
    """Distribution of the views around the canonical one.

    roll_sigma_deg: standard deviation of the roll. wide_roll_share: share of the hands whose roll
        is instead uniform up to wide_roll_deg. shift_sigma: standard deviation of the shift along x and y,
        half extents.
    scale_min, scale_max: factor on the half extent, log-uniform; above 1 the hand becomes smaller.
    """

    roll_sigma_deg: float = 12.0
    wide_roll_share: float = 0.06
    wide_roll_deg: float = 60.0
    shift_sigma: float = 0.12
    scale_min: float = 0.75
    scale_max: float = 1.3

    def __post_init__(self) -> None:
        if not 0 < self.scale_min <= self.scale_max < math.inf:
            raise ValueError(f"need 0 < scale_min <= scale_max, got {self.scale_min} and {self.scale_max}")
        if not 0 <= self.wide_roll_share <= 1:
            raise ValueError(f"wide_roll_share must lie in [0, 1], got {self.wide_roll_share}")
        for name in ("roll_sigma_deg", "wide_roll_deg", "shift_sigma"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be finite and not negative, got {getattr(self, name)}")


class ViewChange(NamedTuple):
    """Change from n views to others with the same centre.

    rotation: (n, 3, 3) R_new_old. half_extent: (n,) of the new views. roll_rad: (n,) rotation of the
    image, positive from x to y, so clockwise. shift: (n, 2) the point in the old view, in its half extents, that
    becomes the middle. scale: (n,) new half extent / old one. Equivariant losses undo the last three.
    """

    rotation: np.ndarray
    half_extent: np.ndarray
    roll_rad: np.ndarray
    shift: np.ndarray
    scale: np.ndarray


def view_change(
    half_extent: np.ndarray, roll_rad: np.ndarray, shift: np.ndarray, scale: np.ndarray
) -> ViewChange:
    """Centre views of ``half_extent`` (n,) on ``shift`` (n, 2), roll them, and widen them by ``scale`` (n,)."""
    half_extent = np.asarray(half_extent, np.float64)
    look = _rotation_to_z(np.concatenate((shift * half_extent[:, None], np.ones_like(shift[:, :1])), axis=1))
    cosine, sine = np.cos(roll_rad), np.sin(roll_rad)
    zero, one = np.zeros_like(sine), np.ones_like(sine)
    roll = np.stack((cosine, -sine, zero, sine, cosine, zero, zero, zero, one), axis=1).reshape(-1, 3, 3)
    return ViewChange(
        roll @ look, half_extent * scale, np.asarray(roll_rad), np.asarray(shift), np.asarray(scale)
    )


def random_view_change(
    half_extent: np.ndarray, config: ViewJitterConfig, generator: np.random.Generator
) -> ViewChange:
    """Draw a change for each hand of ``half_extent`` (n,)."""
    count = len(half_extent)
    roll = np.radians(config.roll_sigma_deg) * generator.standard_normal(count)
    wide = np.radians(config.wide_roll_deg) * generator.uniform(-1, 1, count)
    roll = np.where(generator.random(count) < config.wide_roll_share, wide, roll)
    shift = config.shift_sigma * generator.standard_normal((count, 2))
    scale = np.exp(generator.uniform(math.log(config.scale_min), math.log(config.scale_max), count))
    return view_change(half_extent, roll, shift, scale)


def intrinsics(half_extent: np.ndarray | float, size_px: int, margin: float) -> np.ndarray:
    """Return K (..., 3, 3) of square images of ``size_px`` that span +-``margin`` half extents of views (...)."""
    K = np.zeros((*np.shape(half_extent), 3, 3))
    K[..., 0, 0] = K[..., 1, 1] = size_px / (2 * margin * np.asarray(half_extent, np.float64))
    K[..., :2, 2] = (size_px - 1) / 2
    K[..., 2, 2] = 1
    return K


def homographies(
    half_extent: np.ndarray,
    change: ViewChange,
    old: tuple[int, float],
    new: tuple[int, float],
) -> np.ndarray:
    """Return homographies (n, 3, 3) from pixels of the old images to pixels of the new ones.

    Args:
        half_extent: (n,) of the old views. old, new: size in pixels and margin in half extents of the images.
    """
    return (
        intrinsics(change.half_extent, *new) @ change.rotation @ np.linalg.inv(intrinsics(half_extent, *old))
    )


def warp_image(image: np.ndarray, homography: np.ndarray, size_px: int) -> np.ndarray:
    """Warp the image (h, w, 3) to the new camera, (size_px, size_px, 3); black outside of it."""
    return cv2.warpPerspective(image, homography, (size_px, size_px), flags=cv2.INTER_LINEAR)


def change_labels(hands: HandImages, change: ViewChange) -> HandImages:
    """Convert all labels to the new views; the images stay. Points may leave [-1, 1].

    The rotation of the image axis changes depths by the x and y of ``joints``, exactly if ``depth`` is that of
    ``joints``. If these are unknown, the depth stays: the rotation is a degree or two.
    """
    turn = change.rotation
    old_extent = hands.half_extent.astype(np.float64)[:, None, None]
    rays = np.concatenate((hands.points * old_extent, np.ones_like(hands.points[..., :1])), axis=-1)
    rays = rays @ turn.transpose(0, 2, 1)
    points = rays[..., :2] / rays[..., 2:] / change.half_extent[:, None, None]
    sideways = np.einsum("nji,ni->nj", hands.joints[..., :2].astype(np.float64), turn[:, 2, :2])
    depth = np.where(np.isfinite(sideways), turn[:, 2, 2, None] * hands.depth + sideways, hands.depth)
    changed = {
        "points": points,
        "depth": depth,
        "half_extent": change.half_extent,
        "joints": hands.joints @ turn.transpose(0, 2, 1),
        "wrist": np.einsum("nij,nj->ni", turn, hands.wrist.astype(np.float64)),
        "rotation": turn @ hands.rotation,
    }
    return hands._replace(**{name: value.astype(np.float32) for name, value in changed.items()})


def _rotation_to_z(direction: np.ndarray) -> np.ndarray:
    """Return the rotations (n, 3, 3) of least angle from directions (n, 3), with z > 0, to the z axis."""
    x, y, z = (direction / np.linalg.norm(direction, axis=1, keepdims=True)).T
    k = 1 / (1 + z)
    elements = (1 - x * x * k, -x * y * k, -x, -x * y * k, 1 - y * y * k, -y, x, y, z)
    return np.stack(elements, axis=1).reshape(-1, 3, 3)
