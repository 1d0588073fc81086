"""Simulates a detector on hand images: its keypoints, and the views that follow from them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.hand_images.augmentation.view_jitter import (
    ViewChange,
    ViewJitterConfig,
    random_view_change,
)
from hand_pose_ros.hand_images.augmentation.view_jitter import view_change as change_of
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.synthetic.detector.noise import DetectorNoise


def noisy_keypoints(
    hands: HandImages, noise: DetectorNoise, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Return noisy points (n, 21, 2), depth (n, 21) and confidence (n, 21), float32.

    Labels of photos come from a detector. They get the same errors as renders, because keypoints would otherwise
    be perfect on photos. Hands without known joints stay as they are.
    """
    points, depth = torch.from_numpy(np.array(hands.points)), torch.from_numpy(np.array(hands.depth))
    rotation = torch.from_numpy(np.array(hands.rotation))
    known = points.isfinite().all((-1, -2)) & depth.isfinite().all(-1) & rotation.isfinite().all((-1, -2))
    safe = torch.where(known[:, None], depth, torch.zeros_like(depth))
    eye = torch.eye(3).expand_as(rotation)
    noisy = noise(
        torch.where(known[:, None, None], points, _LINE.expand_as(points)),
        safe,
        torch.from_numpy(np.array(hands.visible)),
        torch.from_numpy(np.array(hands.inside)),
        torch.where(known[:, None, None], rotation, eye),
        generator,
    )
    return (
        torch.where(known[:, None, None], noisy.points, points).float(),
        torch.where(known[:, None], noisy.depth, depth).float(),
        torch.where(known[:, None], noisy.confidence, torch.full_like(depth, torch.nan)).float(),
    )


_LINE = torch.linspace(-1, 1, 21)[:, None].expand(-1, 2)  # in place of unknown hands, whose noise is not used


def crop_views(
    hands: HandImages,
    points: np.ndarray,
    detector_views: float,
    jitter: ViewJitterConfig | None,
    generator: np.random.Generator,
) -> ViewChange:
    """Return the change from the stored views to those of n crops, from detected points or by jitter.

    Args:
        points: (n, 21, 2) detected keypoints. detector_views: share of the views from these. jitter: of the other
            views; None keeps the stored views.
    """
    jittered = random_view_change(hands.half_extent, jitter or _NO_JITTER, generator)
    detector = generator.random(hands.count) < detector_views
    found = detected_view_change(hands.half_extent, points)
    # Views that are far off count as hands that are not found.
    usable = np.isfinite(found.rotation).all((1, 2)) & (np.abs(found.shift).max(-1) < 0.5)
    usable &= (found.scale > 0.6) & (found.scale < 1.6)
    detector &= usable
    return ViewChange(
        *(
            np.where(detector.reshape(-1, *[1] * (a.ndim - 1)), a, b)
            for a, b in zip(found, jittered, strict=True)
        )
    )


_NO_JITTER = ViewJitterConfig(0.0, 0.0, 0.0, 0.0, 1.0, 1.0)


def detected_view_change(half_extent: np.ndarray, points: np.ndarray) -> ViewChange:
    """Return the change from views of ``half_extent`` (n,) to the canonical views of keypoints (n, 21, 2)."""
    extent = np.asarray(half_extent, np.float64)
    rays = np.concatenate((points * extent[:, None, None], np.ones_like(points[..., :1])), axis=-1)
    view = view_keypoints(torch.from_numpy(rays.astype(np.float64)))
    rotation, found = view.rotation.numpy(), view.half_extent.numpy()
    shift = rotation[:, 2, :2] / rotation[:, 2, 2:] / extent[:, None]
    still = change_of(extent, np.zeros(len(extent)), np.nan_to_num(shift), np.ones(len(extent)))
    roll = rotation @ still.rotation.transpose(0, 2, 1)
    return ViewChange(rotation, found, np.arctan2(roll[:, 1, 0], roll[:, 0, 0]), shift, found / extent)
