"""Measures 2.5D networks on hand images: the errors of the image points, and of the hands that they solve for."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.root_depth import joints_from_depths
from hand_pose_ros.camera.root_forms import root_closed_form_first
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.evaluation import metrics
from hand_pose_ros.evaluation.images.estimates import cut, jittered_views, points_in_stored_view
from hand_pose_ros.evaluation.images.scores import CROP_PX, hand_means, mean, median
from hand_pose_ros.hand_images.augmentation.view_jitter import ViewChange
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.heatmap.config import HeatmapConfig
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork, network_images
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig

AUC_MOST_PX: Final = 30.0
"""Upper threshold of the area under the curve of correct image points, pixels of a 128 px crop."""
AUC_MM: Final = (20.0, 50.0)
"""Thresholds between which the area under the curve of correct joints is computed."""
_CHUNK: Final = 32

FIGURES: Final = {
    "EPE px, mean": 1,
    "EPE px, median": 1,
    "AUC 0-30 px": 3,
    "3D EPE mm, mean": 1,
    "3D EPE mm, median": 1,
    "AUC 20-50 mm": 3,
    "PA mm": 1,
    "solved %": 1,
    "closed form %": 1,
}
"""Names and decimals of the figures of :func:`pose_figures`."""
POINT_FIGURES: Final = tuple(FIGURES)[:3]
"""The figures of the image points, which images labelled in 2D have, too."""


class HeatmapErrors(NamedTuple):
    """Errors of n hands; NaN where there is no label, or no solution.

    points_px: (n, 21) of the image points, pixels of a 128 px crop. relative_mm: (n, 21) after the wrists are
    superimposed, of hands scaled to the true bone and to the mean size; NaN for the wrist. aligned_mm: (n, 21)
    after the best similarity transform. solved, closed_form: (n,) whether the root depth is solved, and by eq. 6.
    """

    points_px: np.ndarray
    relative_mm: np.ndarray
    aligned_mm: np.ndarray
    solved: np.ndarray
    closed_form: np.ndarray


def crops_of(network: HeatmapConfig, images: HandImages, views: ViewChange) -> np.ndarray:
    """Cut the crops (n, s, s, 3) uint8 that a network takes, black outside of the hand images."""
    return cut(images, views, ImageEncoderConfig(size_px=network.image_size, margin=network.margin))


@torch.inference_mode()
def heatmap_errors(network: HeatmapNetwork, images: HandImages) -> HeatmapErrors:
    """Measure a network on hands whose crops are rolled, shifted and scaled at random as in training.

    The 3D pose is that of eq. 1, 6 and 7, or of least squares where they are not valid; nothing of the truth is
    used but the length of the network's bone.
    """
    config = network.config
    views = jittered_views(images, Seed.IMAGE_VIEWS)
    crops = crops_of(config, images, views)
    found = [network(network_images(crops[start : start + _CHUNK])) for start in range(0, len(crops), _CHUNK)]
    points = config.margin * torch.cat([one.points for one in found]).double()
    depths = torch.cat([one.depth for one in found]).double()

    rays = points * torch.from_numpy(views.half_extent.astype(np.float64))[:, None, None]
    root, closed_form = root_closed_form_first(rays, depths, bone=config.bone)
    joints = joints_from_depths(rays, depths, root.depth)
    joints = torch.where(root.valid[:, None, None], joints - joints[:, hand.WRIST, None], torch.nan)
    length = images.proportions[:, config.bone, None, None].astype(np.float64)  # anchor lengths
    if config.bone == hand.ANCHOR_BONE:
        length = np.ones_like(length)
    relative = (joints.numpy() * length) @ views.rotation
    truth = images.joints.astype(np.float64)
    errors = metrics.joint_errors(relative, truth)
    errors[:, hand.WRIST] = np.nan
    placed = points_in_stored_view(images, views, points.numpy())
    return HeatmapErrors(
        CROP_PX * metrics.joint_errors(placed, images.points.astype(np.float64)),
        hand.MEAN_ANCHOR_LENGTH_MM * errors,
        hand.MEAN_ANCHOR_LENGTH_MM * metrics.pa_joint_errors(relative, truth),
        root.valid.numpy(),
        closed_form.numpy(),
    )


def pose_figures(errors: HeatmapErrors) -> dict[str, float]:
    """Return ``FIGURES``: means and medians over hands of a hand's mean, areas over all joints,
    those of unsolved hands wrong.
    """
    of_points, of_joints = hand_means(errors.points_px), hand_means(errors.relative_mm)
    values = (
        mean(of_points),
        median(of_points),
        metrics.pck_auc(errors.points_px, 0.0, AUC_MOST_PX),
        mean(of_joints),
        median(of_joints),
        metrics.pck_auc(np.where(errors.solved[:, None], errors.relative_mm, np.inf), *AUC_MM),
        mean(hand_means(errors.aligned_mm)),
        100 * float(errors.solved.mean()),
        100 * float(errors.closed_form.mean()),
    )
    return dict(zip(FIGURES, values, strict=True))
