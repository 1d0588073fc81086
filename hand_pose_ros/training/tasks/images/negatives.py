"""The module makes negative crops, without a right hand at the expected position, as after a lost track."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from hand_pose_ros.hand_images.augmentation.augment import AugmentationConfig, change_image, fill_outside
from hand_pose_ros.hand_images.augmentation.view_jitter import (
    ViewChange,
    homographies,
    view_change,
    warp_image,
)
from hand_pose_ros.hand_images.shards import STORED_MARGIN, HandImages

KINDS: Final = {"beside": 0.5, "left": 0.25, "turned": 0.15, "wide": 0.1}
"""Kinds of negatives and their frequencies.

beside: a window of 0.4 to 1.1 times the hand's size beside most of the hand. left: a left hand, the image
mirrored. turned: the fingers point sideways or down. wide: the hand is half as large as it should be, or smaller.
"""
_FARTHEST = 1.5  # half extents: much farther, nothing of the stored image remains
_TRIES = 12  # candidate windows; the one with the fewest joints is used


def off_the_hand(
    hands: HandImages,
    config: AugmentationConfig,
    generator: np.random.Generator,
    size_px: int,
    margin: float,
    shares: Mapping[str, float] = KINDS,
) -> np.ndarray:
    """Make one negative crop (n, size_px, size_px, 3) from each of n stored hands.

    ``shares``: the kinds, see ``KINDS``, and their frequencies.

    Only ``config.photometric`` is used: occluders and small changes of the view do not matter for negatives.
    """
    kinds = generator.choice(list(shares), hands.count, p=list(shares.values()))
    crops = np.empty((hands.count, size_px, size_px, 3), np.uint8)
    for row, kind in enumerate(kinds):
        hand = hands.rows(slice(row, row + 1))
        change = _change(hand, kind, generator)
        stored = (hand.image.shape[1], STORED_MARGIN)
        homography = homographies(hand.half_extent, change, stored, (size_px, margin))[0]
        image = hand.image[0][:, ::-1] if kind == "left" else hand.image[0]
        image = warp_image(np.ascontiguousarray(image), homography, size_px)
        image = fill_outside(image, hands, generator)  # black would reveal the wrong view
        if config.photometric is not None:
            image = change_image(image, config.photometric, generator)
        crops[row] = image
    return crops


def _change(hand: HandImages, kind: str, generator: np.random.Generator) -> ViewChange:
    """Draw the change from the stored view (n = 1) to the wrong one."""
    roll, shift, scale = 0.2 * generator.standard_normal(), 0.12 * generator.standard_normal(2), 1.0
    if kind == "turned":
        roll = generator.uniform(0.45, 1.0) * np.pi * generator.choice((-1, 1))
    elif kind == "wide":
        scale = generator.uniform(1.9, 3.0)
    elif kind == "beside":
        scale = generator.uniform(0.4, 1.1)
        shifts = generator.uniform(-_FARTHEST, _FARTHEST, (_TRIES, 2))
        inside = np.abs(hand.points - shifts[:, None]) < scale
        shift = shifts[np.argmin(inside.all(-1).sum(-1))]
    else:
        scale = np.exp(0.15 * generator.standard_normal())
    extent = hand.half_extent
    return view_change(extent, np.array([roll]), shift[None], np.array([scale]))
