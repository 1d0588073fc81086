"""Compares the samples' spread with the errors of estimates from images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.placement import COMMON_SPREAD
from hand_pose_ros.evaluation.images.estimates import (
    cut,
    encode_crops,
    jittered_views,
    keypoint_condition,
    keypoint_views,
)
from hand_pose_ros.evaluation.images.methods import BOTH, IMAGE, KEYPOINTS
from hand_pose_ros.evaluation.reliability import ShapeErrors, shape_and_covariance
from hand_pose_ros.hand_images.augmentation.view_jitter import ViewChange
from hand_pose_ros.hand_images.detections import ImageDetections
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.condition import KeypointCondition, unknown_keypoints
from hand_pose_ros.networks.diffusion.image_network import HandImageDiffusion

_SIZE_M = hand.MEAN_ANCHOR_LENGTH_M


def image_errors(
    network: HandImageDiffusion, images: HandImages, config: DiffusionEstimatorConfig, view_seed: int
) -> dict[str, ShapeErrors]:
    """Return the errors of n hands of the mean size: ``IMAGE``, and for detected hands ``KEYPOINTS`` and ``BOTH``.

    Args:
        view_seed: seed of the views of ``IMAGE``.
    """
    views = jittered_views(images, view_seed)
    unknown = unknown_keypoints(torch.from_numpy(views.half_extent.astype(np.float32)))
    errors = {IMAGE: _errors(network, images, views, unknown, _seen(network, images, views), config)}
    some = images.rows(np.flatnonzero(images.has_detection))
    if some.count:
        views = keypoint_views(some, some.detected[..., :2].astype(np.float64))
        keypoints = keypoint_condition(some, _as_detections(some), views)
        seen = _seen(network, some, views)
        errors[KEYPOINTS] = _errors(network, some, views, keypoints, None, config)
        errors[BOTH] = _errors(network, some, views, keypoints, seen, config)
    return errors


def _seen(network: HandImageDiffusion, images: HandImages, views: ViewChange) -> Tensor:
    extent = torch.from_numpy(views.half_extent.astype(np.float32))
    return encode_crops(network, cut(images, views, network.crops), extent)[1]


def _as_detections(images: HandImages) -> ImageDetections:
    """Return the stored detections; the detector's own 3D is not stored."""
    return ImageDetections(
        images.detected[..., :2].astype(np.float64),
        images.detected[..., 2].astype(np.float64),
        np.full(images.joints.shape, np.nan),
        np.asarray(images.inside),
        np.ones(images.count, bool),
    )


def _errors(
    network: HandImageDiffusion,
    images: HandImages,
    views: ViewChange,
    condition: KeypointCondition,
    seen: Tensor | None,
    config: DiffusionEstimatorConfig,
) -> ShapeErrors:
    """Return the errors in the frames of the views."""
    joints, covariance = shape_and_covariance(network, condition, config, seen)
    truth = images.joints.astype(np.float64) @ views.rotation.transpose(0, 2, 1)
    error = _SIZE_M * (joints.double().numpy() - truth)
    spread = _SIZE_M * covariance.double().diagonal(dim1=-2, dim2=-1).sqrt().numpy()
    common = np.full((images.count, 1, 1), COMMON_SPREAD * _SIZE_M)
    state = np.where(images.inside, np.where(images.visible, 0, 1), 2)
    return ShapeErrors(error[:, 1:], spread[:, 1:], common, state[:, 1:])
