"""Runs the networks on hand images: it cuts crops and estimates hands in the stored view."""

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

_CHUNK = 64  # crops in a batch of the encoder


class Estimates(NamedTuple):
    """n estimated hands in the view of their hand image; NaN without an estimate.

    joints: (n, 21, 3) relative to the wrist, anchor lengths. projected: (n, 21, 2) its projection, half
    extents. points: (n, 21, 2) the image points that placed it, from the detector or the heatmaps.
    """

    joints: np.ndarray
    projected: np.ndarray
    points: np.ndarray

    def rows(self, index: np.ndarray) -> Estimates:
        """Return some of the hands."""
        return named_tensors.rows(self, index)


class CropEstimates(NamedTuple):
    """n estimated hands in the view of their crop.

    change: from the stored view. hands: the fused, valid hands. placed_m: (n, 21, 3) joints in metres, in the
    view's frame. points: (n, 21, 2) image points that placed them, half extents.
    """

    change: ViewChange
    hands: HandParameters
    placed_m: np.ndarray
    points: np.ndarray


def jittered_views(images: HandImages, seed: int, jitter: ViewJitterConfig | None = None) -> ViewChange:
    """Draw views that differ from the canonical ones as in training, or by ``jitter``."""
    return random_view_change(images.half_extent, jitter or ViewJitterConfig(), np.random.default_rng(seed))


def keypoint_views(images: HandImages, points: np.ndarray) -> ViewChange:
    """Return the canonical views of keypoints (n, 21, 2), all known, in the stored views."""
    return detected_view_change(images.half_extent, points)


def cut(images: HandImages, change: ViewChange, encoder: ImageEncoderConfig) -> np.ndarray:
    """Cut the crops (n, s, s, 3) uint8 that ``encoder`` takes; they are black outside of the hand images."""
    size = encoder.size_px, encoder.margin
    generator = np.random.default_rng(Seed.ARBITRARY)  # nothing is random without augmentation
    return augment(images, AugmentationConfig.none(), generator, *size, change).hands.image


def keypoint_condition(
    images: HandImages, detections: ImageDetections, change: ViewChange
) -> KeypointCondition:
    """Return the condition of detections (n, all found) in the views of ``change``.

    As at run time, the detector's depths are not rotated with the view.
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
    """Estimate hands from keypoints (all found) and, ``with_image``, from the crops in their views."""
    change = keypoint_views(images, detections.points)
    condition = keypoint_condition(images, detections, change)
    image = None
    if with_image:
        assert isinstance(denoiser, HandImageDiffusion), "with_image needs a network with an image encoder"
        _, image = encode_crops(denoiser, cut(images, change, denoiser.crops), condition.half_extent)
    return _estimate(denoiser, change, condition, image, condition.points, config)


def estimate_from_images(
    network: HandImageDiffusion, images: HandImages, change: ViewChange, config: DiffusionEstimatorConfig
) -> CropEstimates:
    """Estimate hands from crops only, in the views of ``change``."""
    extent = torch.from_numpy(change.half_extent.astype(np.float32))
    points, image = encode_crops(network, cut(images, change, network.crops), extent)
    condition = unknown_keypoints(extent)
    return _estimate(network, change, condition, image, points, config)


@torch.inference_mode()
def encode_crops(
    network: HandImageDiffusion | HandImageRegressor, crops: np.ndarray | Tensor, half_extent: Tensor
) -> tuple[Tensor, Tensor]:
    """Encode crops (n, s, s, 3); returns the heatmaps' points (n, 21, 2) and the condition."""
    points, conditions = [], []
    for start in range(0, len(crops), _CHUNK):
        rows = slice(start, start + _CHUNK)
        seen, condition = network.encode_images(
            normalised(crops[rows], half_extent.device), half_extent[rows]
        )
        points.append(seen.points)
        conditions.append(condition)
    return torch.cat(points), torch.cat(conditions)


def in_stored_view(images: HandImages, estimates: CropEstimates) -> Estimates:
    """Move estimates to the view of their labels."""
    change, extent = estimates.change, images.half_extent.astype(np.float64)[:, None, None]
    return Estimates(
        estimates.hands.joints.double().numpy() @ change.rotation,
        _projected(estimates.placed_m @ change.rotation) / extent,
        points_in_stored_view(images, change, estimates.points),
    )


def points_in_stored_view(images: HandImages, change: ViewChange, points: np.ndarray) -> np.ndarray:
    """Move points (n, 21, 2) from the views of ``change`` to those of the labels, both in half extents."""
    rays = points.astype(np.float64) * change.half_extent[:, None, None]
    rays = np.concatenate((rays, np.ones_like(rays[..., :1])), axis=-1)
    return _projected(rays @ change.rotation) / images.half_extent.astype(np.float64)[:, None, None]


def scattered(estimates: Estimates, rows: np.ndarray, count: int) -> Estimates:
    """Spread estimates of ``rows`` to ``count`` hands; the others get NaN."""
    every = no_estimates(count)
    for target, value in zip(every, estimates, strict=True):
        target[rows] = value
    return every


def no_estimates(count: int) -> Estimates:
    """Return NaN for ``count`` hands."""
    return Estimates(*(np.full((count, hand.NUM_JOINTS, size), np.nan) for size in (3, 2, 2)))


def detector_estimates(detections: ImageDetections) -> Estimates:
    """Return the detector's own landmarks, the 3D ones in units of their anchor length.

    The 3D landmarks have the axes of the detector's crop, which agree with the stored view within a degree.
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
    """Estimate all hands in one batch, as the diffusion estimator does."""
    lifted = lift(denoiser, condition, config.samples, config.steps, config.seed, image)
    weights = torch.full(lifted.samples.angles.shape[:2], 1 / config.samples)
    with torch.inference_mode():
        fused = fuse_samples(lifted.samples, weights, config.fusion, denoiser, lifted.encoded)
        extent = torch.from_numpy(change.half_extent)
        placed = place_hands(fused.joints, points, extent, config.hand_size_m)
    return CropEstimates(change, fused, placed.joints.numpy(), points.numpy())


def _projected(joints: np.ndarray) -> np.ndarray:
    return joints[..., :2] / joints[..., 2:]
