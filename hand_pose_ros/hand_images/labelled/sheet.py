"""Draws sheets of labelled hands: estimates in the fingers' colours beside labels in white, or labels alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import project

FINGER_BGR: Final = ((60, 60, 230), (50, 160, 250), (60, 220, 230), (80, 200, 80), (230, 140, 60))
"""Colour of each finger, thumb first."""
_LABEL_BGR: Final = (255, 255, 255)
_VERTEX_BGR: Final = (200, 230, 90)
_MARGIN: Final = 0.35  # of the hand's extent, around it
_SHIFT: Final = 4  # bits of a pixel's fraction


def labelled_sheet(
    hands: Sequence[LabelledHand],
    estimates_px: Sequence[np.ndarray],
    captions: Sequence[str],
    columns: int = 5,
    tile_px: int = 240,
) -> np.ndarray:
    """Draw hands with labelled mesh and joints, and estimated points (21, 2); returns (h, w, 3) uint8 BGR.

    Labels are white. Where the points are the labels themselves, these have the fingers' colours, which show the
    order of the joints.
    """
    tiles = []
    for one, points, caption in zip(hands, estimates_px, captions, strict=True):
        tile = _tile(one, points, tile_px)
        for colour, width in (((0, 0, 0), 3), (_LABEL_BGR, 1)):
            cv2.putText(tile, caption, (5, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, width, cv2.LINE_AA)
        tiles.append(tile)
    columns = min(columns, len(tiles))
    blank = np.zeros((tile_px, tile_px, 3), np.uint8)
    tiles += [blank] * (-len(tiles) % columns)
    return np.vstack([np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)])


def draw_skeleton(
    image: np.ndarray, points_px: np.ndarray, colour: tuple[int, int, int] | None = None
) -> None:
    """Draw the known bones and joints of points (21, 2) into an image; in the fingers' colours by default."""
    for parent, child in hand.BONES:
        of_finger = colour or FINGER_BGR[(child - 1) // 4]
        ends = points_px[[parent, child]]
        if np.isfinite(ends).all():
            start, end = np.round(ends * (1 << _SHIFT)).astype(int).tolist()
            cv2.line(image, start, end, of_finger, 1, cv2.LINE_AA, _SHIFT)
    for joint, point in enumerate(points_px):
        if np.isfinite(point).all():
            of_finger = colour or FINGER_BGR[max(joint - 1, 0) // 4]
            centre = np.round(point * (1 << _SHIFT)).astype(int).tolist()
            cv2.circle(image, centre, 2 << _SHIFT, of_finger, -1, cv2.LINE_AA, _SHIFT)


def _tile(one: LabelledHand, points: np.ndarray, size: int) -> np.ndarray:
    """Cut a square around the labels, or the estimate without any, and draw both."""
    image = one.image()
    shown = one.points_px if np.isfinite(one.points_px).all(1).sum() > 1 else points
    known = shown[np.isfinite(shown).all(1)]
    low, high = (
        (known.min(0), known.max(0)) if len(known) > 1 else (np.zeros(2), np.array(image.shape[1::-1]))
    )
    side = (1 + 2 * _MARGIN) * max(float((high - low).max()), 8.0)
    scale = size / side
    corner = (low + high) / 2 - side / 2
    move = np.array(((scale, 0, -scale * corner[0]), (0, scale, -scale * corner[1])))
    tile = cv2.warpAffine(image, move, (size, size), flags=cv2.INTER_LINEAR)
    if one.vertices_m is not None and one.camera is not None:
        vertices = scale * (project(one.camera, one.vertices_m) - corner)
        for x, y in vertices[np.isfinite(vertices).all(1)].round().astype(int).tolist():
            cv2.circle(tile, (x, y), 0, _VERTEX_BGR)
    if points is not one.points_px:
        draw_skeleton(tile, scale * (one.points_px - corner), _LABEL_BGR)
    draw_skeleton(tile, scale * (points - corner))
    return tile
