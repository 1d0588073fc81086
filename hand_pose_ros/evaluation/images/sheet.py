"""Draws contact sheets: crops with the estimate's skeleton and the outline of its mesh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.evaluation.images.estimates import CropEstimates
from hand_pose_ros.hand_images.labelled.sheet import FINGER_BGR
from hand_pose_ros.hand_images.shards import HandImages, view_to_pixels
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.mesh.skinning import mesh_faces, skin
from hand_pose_ros.mesh.template import HandTemplate
from hand_pose_ros.rendering.text import draw_text

_OUTLINE_BGR: Final = (255, 255, 255)
_SHIFT: Final = 4  # bits of a pixel's fraction


def spread_choice(images: HandImages, count: int, seed: int) -> np.ndarray:
    """Choose up to ``count`` rows, evenly from all sources."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(images.count)
    turn = np.zeros(images.count, int)
    for number in np.unique(images.source):
        rows = order[images.source[order] == number]
        turn[rows] = np.arange(len(rows))
    chosen = np.argsort(turn, kind="stable")[:count]
    return chosen[np.argsort(images.source[chosen], kind="stable")]


def contact_sheet(
    crops: np.ndarray,
    estimates: CropEstimates,
    margin: float,
    columns: int,
    tile_px: int = 200,
    captions: Sequence[str] = (),
    template: HandTemplate | None = None,
) -> np.ndarray:
    """Draw each crop with and without its estimate, in rows of ``columns``; returns (h, w, 3) uint8 BGR.

    Args:
        crops: (n, s, s, 3) of the estimates. margin: half extents that crops span to either side.
        captions: written over the estimate. template: float64, the mesh to draw; None for the shipped one.
    """
    tiles = []
    extents = estimates.change.half_extent
    rotations = estimates.hands.rotations.double().numpy()
    for row, crop in enumerate(crops):
        plain = cv2.resize(crop, (tile_px, tile_px), interpolation=cv2.INTER_CUBIC)
        drawn = plain.copy()
        draw_hand(drawn, estimates.placed_m[row], rotations[row], float(extents[row]), margin, template)
        if captions:
            draw_text(drawn, captions[row], (5, 14), (255, 255, 255), 0.42)
        tiles.append(np.hstack((plain, drawn)))
    blank = np.zeros_like(tiles[0])
    tiles += [blank] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])


def draw_hand(
    image: np.ndarray,
    joints_m: np.ndarray,
    rotations: np.ndarray,
    half_extent: float,
    margin: float,
    template: HandTemplate | None = None,
) -> None:
    """Draw a right hand into the image (s, s, 3) of its view; nothing if the hand is not placed.

    Args:
        joints_m: (21, 3), rotations: (21, 3, 3) of its bones, in the view's frame.
    """
    if not np.isfinite(joints_m).all():
        return
    size = image.shape[0]

    def pixels(points: np.ndarray) -> np.ndarray:
        ahead = np.where(points[:, 2:] > 0, points[:, 2:], np.nan)
        places = view_to_pixels(points[:, :2] / ahead / half_extent, size, margin)
        return np.where(np.abs(places) < 20 * size, places, np.nan)

    frames = HandFrames(torch.from_numpy(joints_m), torch.from_numpy(rotations))
    triangles = pixels(skin(frames, "right", template).numpy())[mesh_faces("right", template).numpy()]
    silhouette = np.zeros(image.shape[:2], np.uint8)
    for triangle in _fixed(triangles[np.isfinite(triangles).all((1, 2))]):
        cv2.fillConvexPoly(silhouette, triangle, (255,), shift=_SHIFT)
    contours, _ = cv2.findContours(silhouette, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, contours, -1, _OUTLINE_BGR, 1, cv2.LINE_AA)
    places = pixels(joints_m)
    for parent, child in hand.BONES:
        if np.isfinite(places[[parent, child]]).all():
            start, end = _fixed(places[[parent, child]]).tolist()
            cv2.line(image, start, end, FINGER_BGR[(child - 1) // 4], 2, cv2.LINE_AA, _SHIFT)


def _fixed(pixels: np.ndarray) -> np.ndarray:
    return np.round(pixels * (1 << _SHIFT)).astype(np.int32)
