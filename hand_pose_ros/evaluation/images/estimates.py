"""The networks on stored images of hands: crops in the views of a run, estimates in the stored view."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common import named_tensors
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.batch import lift
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.diffusion.fusion import fuse_samples
from hand_pose_ros.estimator.placement import place_hands
from hand_pose_ros.hand_images.augmentation.augment import AugmentationConfig, augment
from hand_pose_ros.hand_images.augmentation.view_jitter import (
    ViewChange,
    ViewJitterConfig,
    change_labels,
    random_view_change,
)
from hand_pose_ros.hand_images.detections import ImageDetections
from hand_pose_ros.hand_images.keypoints import detected_view_change
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.condition import KeypointCondition, unknown_keypoints
from hand_pose_ros.networks.diffusion.image_baseline import HandImageRegressor
from hand_pose_ros.networks.diffusion.image_network import HandImageDiffusion
from hand_pose_ros.networks.diffusion.sampling import HandDenoiser
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig, normalised

_CHUNK = 64  # crops that are encoded at once


class Estimates(NamedTuple):
    """n estimated hands in the view of their stored image; NaN where there is none.

    joints: (n, 21, 3) relative to the wrist, anchor lengths. projected: (n, 21, 2) the hand in the picture, half
    extents. points: (n, 21, 2) the image points that it was placed by: the detector's, or those of the heatmaps.
    """

    joints: np.ndarray
    projected: np.ndarray
    points: np.ndarray

    def rows(self, index: np.ndarray) -> Estimates:
        """Some of the hands."""
        return named_tensors.rows(self, index)


class CropEstimates(NamedTuple):
    """n estimated hands in the view of their crop.

    change: from the stored view. hands: valid ones, without samples. placed_m: (n, 21, 3) joints in metres, in the
    view's frame. points: (n, 21, 2) image points that they were placed by, half extents.
    """

    change: ViewChange
    hands: HandParameters
    placed_m: np.ndarray
    points: np.ndarray


def jittered_views(images: HandImages, seed: int, jitter: ViewJitterConfig | None = None) -> ViewChange:
    """Views of hands whose last pose was about this one; by default off by as much as crops in training are."""
    return random_view_change(images.half_extent, jitter or ViewJitterConfig(), np.random.default_rng(seed))


def keypoint_views(images: HandImages, points: np.ndarray) -> ViewChange:
    """The canonical views of keypoints (n, 21, 2), all known, in the stored views."""
    return detected_view_change(images.half_extent, points)


def cut(images: HandImages, change: ViewChange, encoder: ImageEncoderConfig) -> np.ndarray:
    """Crops (n, s, s, 3) uint8 of these views, as ``encoder`` wants them; black where the stored images end."""
    size = encoder.size_px, encoder.margin
    generator = np.random.default_rng(Seed.ARBITRARY)  # nothing is random without augmentation
    return augment(images, AugmentationConfig.none(), generator, *size, change).hands.image


def keypoint_condition(
    images: HandImages, detections: ImageDetections, change: ViewChange
) -> KeypointCondition:
    """What the networks are told of detections (n, all found), in the views of ``change``.

    As at run time, the detector's depths are not turned with the view.
    """
    moved = change_labels(images._replace(points=detections.points), change)
    points = torch.from_numpy(moved.points)
    return KeypointCondition(
        points,
        torch.from_numpy(detections.depth.astype(np.float32)),
        torch.full_like(points[..., 0], torch.nan),
        torch.from_numpy(detections.inside),
        torch.from_numpy(moved.half_extent),
    )


def estimate_from_keypoints(
    denoiser: HandDenoiser,
    images: HandImages,
    detections: ImageDetections,
    config: DiffusionEstimatorConfig,
    with_image: bool = False,
) -> CropEstimates:
    """Hands from a detector's keypoints (all found), ``with_image`` from the crop in their view as well."""
    change = keypoint_views(images, detections.points)
    condition = keypoint_condition(images, detections, change)
    image = None
    if with_image:
        assert isinstance(denoiser, HandImageDiffusion), "with_image needs a network with an image encoder"
        _, image = look(denoiser, cut(images, change, denoiser.crops), condition.half_extent)
    return _estimate(denoiser, change, condition, image, condition.points, config)


def estimate_from_images(
    network: HandImageDiffusion, images: HandImages, change: ViewChange, config: DiffusionEstimatorConfig
) -> CropEstimates:
    """Hands from crops alone, in the views of ``change``."""
    extent = torch.from_numpy(change.half_extent.astype(np.float32))
    points, image = look(network, cut(images, change, network.crops), extent)
    condition = unknown_keypoints(extent)
    return _estimate(network, change, condition, image, points, config)


@torch.inference_mode()
def look(
    network: HandImageDiffusion | HandImageRegressor, crops: np.ndarray | Tensor, half_extent: Tensor
) -> tuple[Tensor, Tensor]:
    """The heatmaps' points (n, 21, 2) in crops (n, s, s, 3), and the condition that the crops are."""
    points, conditions = [], []
    for start in range(0, len(crops), _CHUNK):
        rows = slice(start, start + _CHUNK)
        seen, condition = network.see(normalised(crops[rows], half_extent.device), half_extent[rows])
        points.append(seen.points)
        conditions.append(condition)
    return torch.cat(points), torch.cat(conditions)


def in_stored_view(images: HandImages, estimates: CropEstimates) -> Estimates:
    """Estimates where their labels are."""
    change, extent = estimates.change, images.half_extent.astype(np.float64)[:, None, None]
    return Estimates(
        estimates.hands.joints.double().numpy() @ change.rotation,
        _projected(estimates.placed_m @ change.rotation) / extent,
        points_in_stored_view(images, change, estimates.points),
    )


def points_in_stored_view(images: HandImages, change: ViewChange, points: np.ndarray) -> np.ndarray:
    """Points (n, 21, 2) of the views of ``change``, each in half extents, where the labels are."""
    rays = points.astype(np.float64) * change.half_extent[:, None, None]
    rays = np.concatenate((rays, np.ones_like(rays[..., :1])), axis=-1)
    return _projected(rays @ change.rotation) / images.half_extent.astype(np.float64)[:, None, None]


def scattered(estimates: Estimates, rows: np.ndarray, count: int) -> Estimates:
    """Those of ``rows`` among ``count`` hands, the others NaN."""
    every = no_estimates(count)
    for target, value in zip(every, estimates, strict=True):
        target[rows] = value
    return every


def no_estimates(count: int) -> Estimates:
    """Of ``count`` hands that nothing is known of."""
    return Estimates(*(np.full((count, hand.NUM_JOINTS, size), np.nan) for size in (3, 2, 2)))


def detector_estimates(detections: ImageDetections) -> Estimates:
    """The detector's own landmarks: in 3D in anchor lengths of their own, in 2D as they are.

    The 3D landmarks have the axes of the detector's crop, which are those of the stored view to a degree.
    """
    relative = detections.landmarks_m - detections.landmarks_m[:, :1]
    parent, child = hand.BONES[hand.ANCHOR_BONE]
    anchor = np.linalg.norm(relative[:, child] - relative[:, parent], axis=-1)
    return Estimates(relative / anchor[:, None, None], detections.points, detections.points)


def _estimate(
    denoiser: HandDenoiser,
    change: ViewChange,
    condition: KeypointCondition,
    image: Tensor | None,
    points: Tensor,
    config: DiffusionEstimatorConfig,
) -> CropEstimates:
    """As the diffusion estimator does it, all hands at once."""
    lifted = lift(denoiser, condition, config.samples, config.steps, config.seed, image)
    weights = torch.full(lifted.samples.angles.shape[:2], 1 / config.samples)
    with torch.inference_mode():
        fused = fuse_samples(lifted.samples, weights, config.fusion, denoiser, lifted.encoded)
        extent = torch.from_numpy(change.half_extent)
        placed = place_hands(fused.joints, points, extent, config.hand_size_m)
    return CropEstimates(change, fused, placed.joints.numpy(), points.numpy())


def _projected(joints: np.ndarray) -> np.ndarray:
    return joints[..., :2] / joints[..., 2:]
