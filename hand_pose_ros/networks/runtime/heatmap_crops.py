"""The module cuts the crops of hands out of an image, as in training, and reads them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from hand_pose_ros.camera.hand_crop import hand_crops
from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.common.shapes import Array
from hand_pose_ros.networks.heatmap.network import network_images
from hand_pose_ros.networks.runtime.heatmap import Read2d5, RunnableHeatmap


def read_views(
    network: RunnableHeatmap, image_bgr: Array, camera: CameraModel, view: KeypointView, sides: Sequence[str]
) -> Read2d5:
    """Read hands of ``sides`` in the crops of their views (n, ...) of an image (H, W, 3); float64.

    Raises:
        ValueError: as :func:`~hand_pose_ros.camera.hand_crop.hand_crop`.
    """
    config = network.config
    crops = hand_crops(image_bgr, camera, view, sides, config.image_size, config.margin)
    return to(network.read(network_images(crops)), torch.float64)
