"""Draws the heatmaps of several networks beside the crops that they are of (heatmap_25d, Fig. 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.evaluation.heatmaps.measures import crops_of
from hand_pose_ros.evaluation.images.estimates import jittered_views
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork, network_images
from hand_pose_ros.rendering.text import draw_text

_WHITE: Final = (255, 255, 255)
_HEAT_BGR: Final = (40, 150, 255)
_DIMMED: Final = 0.45
_BAND_PX, _BAND_GREY, _LEFT_PX, _TEXT_SIZE = 44, 40, 5, 0.5
_JOINTS: Final = {
    "wrist": hand.WRIST,
    "index MCP": hand.ANCHOR_JOINT,
    "index tip": hand.JOINT_INDEX["index_tip"],
}
"""The joints whose maps are drawn: from the widest to the most exact of good networks."""


@torch.inference_mode()
def maps_picture(
    networks: Mapping[str, HeatmapNetwork], images: HandImages, tile_px: int = 160
) -> np.ndarray:
    """Draw a row for each hand: its crop, and for each network with maps those of three joints over the crop.

    Each map is scaled to its own maximum; a dot shows the point that is read. Two lines above each column name its
    network and joint.

    Returns:
        (rows, columns, 3) uint8 BGR.
    """
    columns: list[np.ndarray] = []
    views = jittered_views(images, Seed.IMAGE_VIEWS)
    for name, network in networks.items():
        config = network.config
        crops = crops_of(config, images, views)
        if not columns:
            columns.append(_titled([_scaled(crop, tile_px) for crop in crops], "crop", ""))
        if not config.map_size:
            continue
        found = network(network_images(crops))
        for title, joint in _JOINTS.items():
            tiles = [
                _with_map(_scaled(crop, tile_px), log_heat[joint].exp().numpy(), points[joint].numpy())
                for crop, log_heat, points in zip(crops, found.log_heat, found.points, strict=True)
            ]
            columns.append(_titled(tiles, name, title))
    return np.hstack(columns)


def _titled(tiles: Sequence[np.ndarray], first: str, second: str) -> np.ndarray:
    """Stack the tiles of a column below a dark band with two lines, which are made as narrow as a tile."""
    width = tiles[0].shape[1]
    band = np.full((_BAND_PX, width, 3), _BAND_GREY, np.uint8)
    for line, text in enumerate((first, second)):
        (length, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, _TEXT_SIZE, 1)
        size = _TEXT_SIZE * min(1.0, (width - 2 * _LEFT_PX) / max(length, 1))
        draw_text(band, text, (_LEFT_PX, 17 + 19 * line), _WHITE, size)
    return np.vstack([band, *tiles])


def _with_map(tile: np.ndarray, heat: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Draw a map (h, w) and its point (2,), from -1 to 1, over a tile."""
    size = len(tile)
    strength = cv2.resize(heat / heat.max(), (size, size), interpolation=cv2.INTER_LINEAR)
    shown = _DIMMED * tile.astype(np.float32) + strength[..., None] * np.array(_HEAT_BGR, np.float32)
    drawn = np.clip(shown, 0, 255).astype(np.uint8)
    x, y = (point + 1) * size / 2 - 0.5
    cv2.circle(drawn, (round(float(x)), round(float(y))), 1, _WHITE, -1, cv2.LINE_AA)
    return drawn


def _scaled(crop: np.ndarray, tile_px: int) -> np.ndarray:
    return cv2.resize(crop, (tile_px, tile_px), interpolation=cv2.INTER_CUBIC)
