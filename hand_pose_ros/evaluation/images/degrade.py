"""Degrades hand images by fixed steps of motion blur or occlusion.

Within a series only the strength changes: a hand is blurred in the same direction, and hidden by the same objects,
which grow.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np

from hand_pose_ros.hand_images.augmentation.occluders import covered
from hand_pose_ros.hand_images.augmentation.photometric import motion_blur
from hand_pose_ros.hand_images.shards import STORED_MARGIN, HandImages, view_to_pixels

STRENGTHS: Final = (0, 1, 2, 3, 4)
BLUR_EXTENTS: Final = (0.0, 0.1, 0.2, 0.4, 0.8)
"""Length of the blur in half extents of the hand at each strength; the last is the length of a finger."""
HIDDEN_SHARES: Final = (0.0, 0.1, 0.25, 0.4, 0.6)
"""Share of hidden joints at each strength."""
KINDS: Final = ("motion_blur", "occlusion")

_ASPECT = (0.5, 1.0)  # of an occluder's shorter half axis to its longer one
_SPOTS = 3  # occluders of one hand
_STEPS = 24  # of the search for the size that hides the wanted share


def degraded(hands: HandImages, kind: str, strength: int, seed: int) -> HandImages:
    """Return the hands with images degraded by a strength from 0 (unchanged) to 4.

    Images of any size that span +-``STORED_MARGIN`` half extents are accepted. Crop them afterwards.

    Args:
        kind: 'motion_blur' or 'occlusion'. seed: of directions, places and colours; use one for a series.

    Raises:
        ValueError: an unknown kind or strength.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
    if strength not in STRENGTHS:
        raise ValueError(f"strength must be one of {STRENGTHS}, got {strength!r}")
    return blurred(hands, strength, seed) if kind == "motion_blur" else occluded(hands, strength, seed)


def blurred(hands: HandImages, strength: int, seed: int) -> HandImages:
    """Blur by ``BLUR_EXTENTS[strength]`` in a direction that each hand keeps; labels hold at the blur's middle."""
    unit_px = hands.image.shape[1] / (2 * STORED_MARGIN)
    images = np.empty_like(hands.image)
    for row, generator in enumerate(_generators(hands, seed)):
        images[row] = motion_blur(
            hands.image[row], BLUR_EXTENTS[strength] * unit_px, generator.uniform(0, math.pi)
        )
    return hands._replace(image=images)


def occluded(hands: HandImages, strength: int, seed: int) -> HandImages:
    """Draw ovals and boxes that hide at least ``HIDDEN_SHARES[strength]`` of the joints, and hardly more.

    The hidden joints are no longer ``visible``.
    """
    images, visible = np.array(hands.image), np.array(hands.visible)
    size_px = images.shape[1]
    points_px = view_to_pixels(hands.points.astype(np.float64), size_px)
    for row, generator in enumerate(_generators(hands, seed)):
        mask, colours = occlusion_mask(points_px[row], HIDDEN_SHARES[strength], size_px, generator)
        images[row] = np.where(mask[..., None] > 127, colours, images[row])
        visible[row] &= ~covered(mask, points_px[row])
    return hands._replace(image=images, visible=visible)


def occlusion_mask(
    points_px: np.ndarray, share: float, size_px: int, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the smallest of growing masks (s, s) that hides ``share`` of the joints, and its colours (s, s, 3).

    The generator decides the family and its colours; a larger share gives a mask that contains the smaller one's.

    Args:
        points_px: (21, 2), NaN where unknown: these count as not hidden.
    """
    known = np.flatnonzero(np.isfinite(points_px).all(1))
    spots = generator.choice(known, _SPOTS) if len(known) else np.zeros(_SPOTS, int)
    middles = np.nan_to_num(points_px[spots]) + 0.03 * size_px * generator.standard_normal((_SPOTS, 2))
    aspects = generator.uniform(*_ASPECT, _SPOTS)
    angles, boxes = generator.uniform(0, 180, _SPOTS), generator.random(_SPOTS) < 0.5
    few = generator.integers(20, 236, (3, 3, 3), np.uint8)
    colours = cv2.resize(few, (size_px, size_px), interpolation=cv2.INTER_LINEAR)

    def mask_of(radius_px: float) -> np.ndarray:
        mask = np.zeros((size_px, size_px), np.uint8)
        for middle, aspect, angle, box in zip(middles, aspects, angles, boxes, strict=True):
            _draw(mask, middle, (radius_px, aspect * radius_px), angle, bool(box))
        return mask

    wanted = share * len(points_px)
    if wanted <= 0 or not len(known):
        return np.zeros((size_px, size_px), np.uint8), colours
    low, high = 0.0, float(size_px)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        enough = covered(mask_of(middle), points_px).sum() >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return mask_of(high), colours


def _draw(
    mask: np.ndarray, middle: np.ndarray, half_axes: tuple[float, float], angle_deg: float, box: bool
) -> None:
    if box:
        corners = cv2.boxPoints((middle.tolist(), (2 * half_axes[0], 2 * half_axes[1]), angle_deg))
    else:
        turns = np.linspace(0, 2 * math.pi, 48, endpoint=False)
        oval = np.stack((half_axes[0] * np.cos(turns), half_axes[1] * np.sin(turns)), 1)
        cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
        corners = oval @ np.array(((cosine, sine), (-sine, cosine))) + middle
    cv2.fillPoly(mask, [np.round(np.asarray(corners) * 16).astype(np.int32)], (255,), cv2.LINE_8, 4)


def _generators(hands: HandImages, seed: int) -> list[np.random.Generator]:
    """Return a generator for each hand, the same at every strength."""
    return [np.random.default_rng((seed, row)) for row in range(hands.count)]
