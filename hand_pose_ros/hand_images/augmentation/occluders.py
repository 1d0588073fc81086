"""Draws occluders in front of a hand: random ovals, boxes and polygons, and hands cut out of other images.

The ovals and boxes follow the appendix of the diffusion + FK paper; cut-out hands resemble real occluders.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.hand_images.shards import HandImages, view_to_pixels

_BONES: Final = [joint for bone in hand.BONES for joint in bone]
_SHIFT = 4  # bits of the fractions of a pixel that OpenCV draws with
_BONE_WIDTH = (0.16, 0.26)  # of a cut-out hand's fingers, half extents


@dataclass(frozen=True)
class OccluderConfig:
    """Number and size of the occluders.

    share: share of the hands with occluders, 1 to ``most`` each. hand_share: share of occluders that are hands.
    radius_min, radius_max: radii of the others, half extents. hidden_most: an occluder is left out if more than
    this share of the joints would be hidden.
    """

    share: float = 0.35
    most: int = 3
    hand_share: float = 0.3
    radius_min: float = 0.12
    radius_max: float = 0.55
    hidden_most: float = 0.6

    def __post_init__(self) -> None:
        for name in ("share", "hand_share", "hidden_most"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in [0, 1], got {getattr(self, name)}")
        if self.most < 1:
            raise ValueError(f"most must be at least 1, got {self.most}")
        if not 0 < self.radius_min <= self.radius_max:
            raise ValueError(f"need 0 < radius_min <= radius_max, got {self.radius_min}, {self.radius_max}")


def add_occluders(
    image: np.ndarray,
    points_px: np.ndarray,
    unit_px: float,
    others: HandImages,
    config: OccluderConfig,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw 1 to ``most`` occluders into an image.

    Args:
        image: (s, s, 3). points_px: (21, 2) the hand's joints in it; NaN where unknown. unit_px: the hand's
        half extent. others: hand images from which occluders are cut.

    Returns:
        The image, and whether each joint is hidden by an occluder (21,) bool.
    """
    image, hidden = image.copy(), np.zeros(len(points_px), bool)
    for _ in range(generator.integers(1, config.most + 1)):
        if generator.random() < config.hand_share:
            mask, texture = other_hand(image.shape[0], unit_px, others, generator)
        else:
            mask = shape_mask(image.shape[0], points_px, unit_px, config, generator)
            texture = random_texture(image.shape[0], others, generator)
        behind = hidden | covered(mask, points_px)
        if behind.mean() <= config.hidden_most:
            image, hidden = paste(image, texture, mask, generator), behind
    return image, hidden


def shape_mask(
    size_px: int,
    points_px: np.ndarray,
    unit_px: float,
    config: OccluderConfig,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw a mask (s, s) uint8, 255 inside an oval, box or irregular polygon near one of the joints."""
    known = points_px[np.isfinite(points_px).all(1)]
    middle = known[generator.integers(len(known))] if len(known) else np.full(2, size_px / 2)
    middle = middle + 0.35 * unit_px * generator.standard_normal(2)
    radii = unit_px * np.exp(generator.uniform(math.log(config.radius_min), math.log(config.radius_max), 2))
    return draw_shape(
        size_px, middle, radii, generator.uniform(0, 180), int(generator.integers(3)), generator
    )


def draw_shape(
    size_px: int,
    middle_px: np.ndarray,
    radii_px: np.ndarray,
    angle_deg: float,
    kind: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Draw the mask (s, s) uint8 of an oval (kind 0), a box (1) or an irregular polygon (2)."""
    mask = np.zeros((size_px, size_px), np.uint8)
    if kind == 0:
        corners = np.asarray(cv2.ellipse2Poly((0, 0), (1000, 1000), 0, 0, 360, 15))[:-1] / 1000.0
    elif kind == 1:
        corners = np.array(((-1, -1), (1, -1), (1, 1), (-1, 1))) * 0.9
    else:
        turns = np.sort(generator.uniform(0, 2 * math.pi, 7))
        corners = np.stack((np.cos(turns), np.sin(turns)), 1) * generator.uniform(0.5, 1.3, (7, 1))
    cosine, sine = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    corners = (corners * radii_px) @ np.array(((cosine, sine), (-sine, cosine))) + middle_px
    cv2.fillPoly(mask, [_fixed(corners)], (255,), cv2.LINE_AA, _SHIFT)
    return mask


def other_hand(
    size_px: int, unit_px: float, others: HandImages, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a hand out of another image, moved, rotated or mirrored; returns its mask (s, s) and image (s, s, 3)."""
    chosen = generator.integers(others.count)
    stored = others.image[chosen]
    points = view_to_pixels(others.points[chosen], stored.shape[0])
    stored_unit = stored.shape[0] / 4
    mask = hand_mask(stored.shape[0], points, generator.uniform(*_BONE_WIDTH) * stored_unit)
    direction, turn = generator.uniform(0, 2 * math.pi, 2)
    middle = size_px / 2 + unit_px * generator.uniform(0.7, 1.6) * np.array(
        (math.cos(direction), math.sin(direction))
    )
    scale = unit_px / stored_unit * generator.uniform(0.75, 1.3)
    linear = scale * np.array(((math.cos(turn), -math.sin(turn)), (math.sin(turn), math.cos(turn))))
    if generator.random() < 0.5:
        linear = linear @ np.diag((-1.0, 1.0))
    move = np.concatenate((linear, (middle - linear @ np.full(2, stored.shape[0] / 2))[:, None]), axis=1)
    size = (size_px, size_px)
    return cv2.warpAffine(mask, move, size), cv2.warpAffine(stored, move, size, borderMode=cv2.BORDER_REFLECT)


def hand_mask(size_px: int, points_px: np.ndarray, width_px: float) -> np.ndarray:
    """Draw the approximate mask (s, s) uint8 of a hand: its bones ``width_px`` wide, and its palm."""
    mask = np.zeros((size_px, size_px), np.uint8)
    if not np.isfinite(points_px).all():
        return mask
    lines = list(_fixed(points_px[_BONES]).reshape(-1, 2, 2))
    cv2.polylines(mask, lines, False, (255,), max(1, round(width_px)), cv2.LINE_AA, _SHIFT)
    palm = cv2.convexHull(points_px[list(hand.PALM_JOINTS)].astype(np.float32))[:, 0]
    cv2.fillPoly(mask, [_fixed(palm)], (255,), cv2.LINE_AA, _SHIFT)
    return mask


def random_texture(size_px: int, others: HandImages, generator: np.random.Generator) -> np.ndarray:
    """Draw a texture (s, s, 3): one colour, a gradient, or a piece of another image."""
    kind = generator.random()
    if kind < 0.25:
        return np.full((size_px, size_px, 3), generator.integers(0, 256, 3), np.uint8)
    if kind < 0.5:
        few = generator.integers(0, 256, (2, 2, 3), np.uint8)
        return cv2.resize(few, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
    return piece(size_px, others, generator)


def piece(size_px: int, others: HandImages, generator: np.random.Generator) -> np.ndarray:
    """Cut a piece (s, s, 3) out of another image, randomly rotated and enlarged."""
    stored = others.image[generator.integers(others.count)]
    size = stored.shape[0]
    side = int(size * generator.uniform(0.3, 1.0))
    left, top = generator.integers(0, size - side + 1, 2)
    cut = np.rot90(stored[top : top + side, left : left + side], generator.integers(4))
    return cv2.resize(np.ascontiguousarray(cut), (size_px, size_px), interpolation=cv2.INTER_LINEAR)


def covered(mask: np.ndarray, points_px: np.ndarray) -> np.ndarray:
    """Return whether each joint lies in the mask (21,); joints outside of it or unknown do not."""
    places = np.floor(np.nan_to_num(points_px, nan=-1.0) + 0.5).astype(int)
    inside = ((places >= 0) & (places < mask.shape[0])).all(1)
    places = places.clip(0, mask.shape[0] - 1)
    return inside & (mask[places[:, 1], places[:, 0]] > 127)


def paste(
    image: np.ndarray, texture: np.ndarray, mask: np.ndarray, generator: np.random.Generator
) -> np.ndarray:
    """Draw ``texture`` over ``image`` where ``mask`` is 255, with an edge of random sharpness."""
    if generator.random() < 0.5:
        mask = cv2.GaussianBlur(mask, (0, 0), generator.uniform(0.4, 1.2))
    share = cv2.merge((mask, mask, mask))
    front = cv2.multiply(texture, share, scale=1 / 255)
    return cv2.add(front, cv2.multiply(image, cv2.bitwise_not(share), scale=1 / 255))


def _fixed(points: np.ndarray) -> np.ndarray:
    return np.round(np.asarray(points).clip(-4000, 4000) * (1 << _SHIFT)).astype(np.int32)
