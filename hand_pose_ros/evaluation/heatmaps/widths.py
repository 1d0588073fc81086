"""Measures how wide the heatmaps of each joint are: latent maps may learn another width for each."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.evaluation.heatmaps.measures import crops_of
from hand_pose_ros.evaluation.images.estimates import jittered_views
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork, network_images

_CHUNK: Final = 32
_REFERENCE_PX: Final = 128

WIDTH_GROUPS: Final = {
    "wrist": (hand.WRIST,),
    **dict(zip(("first joints", "second joints", "third joints", "tips"), hand.LEVELS, strict=True)),
}
"""Joints whose widths a table averages, from the wrist outwards."""


@torch.inference_mode()
def map_widths(network: HeatmapNetwork, images: HandImages) -> np.ndarray:
    """Return the median width (21,) of each joint's heatmap, pixels of a 128 px crop; NaN without heatmaps.

    The width is the diameter of a disc as large as the part of the map that has at least half of its maximum: 2.35
    standard deviations of a normal distribution. The crops are those of
    :func:`~hand_pose_ros.evaluation.heatmaps.measures.heatmap_errors`.
    """
    config = network.config
    if not config.map_size:
        return np.full(hand.NUM_JOINTS, np.nan)
    views = jittered_views(images, Seed.IMAGE_VIEWS)
    crops = crops_of(config, images, views)
    parts = [
        widths_of(network(network_images(crops[start : start + _CHUNK])).log_heat)
        for start in range(0, len(crops), _CHUNK)
    ]
    return torch.cat(parts).median(0).values.numpy()


def widths_of(log_heat: Tensor) -> Tensor:
    """Return the widths (n, 21), pixels of a 128 px crop, of square maps (n, 21, s, s), logarithms."""
    heat = log_heat.flatten(2)
    above = heat >= heat.amax(-1, keepdim=True) - np.log(2)
    return (above.sum(-1) * (4 / np.pi)).sqrt() * (_REFERENCE_PX / log_heat.shape[-1])


def width_figures(widths: np.ndarray) -> dict[str, float]:
    """Return the mean widths of ``WIDTH_GROUPS``, and the widest joint's divided by the narrowest's."""
    figures = {name: float(widths[list(joints)].mean()) for name, joints in WIDTH_GROUPS.items()}
    return {**figures, "widest / narrowest": float(widths.max() / widths.min())}
