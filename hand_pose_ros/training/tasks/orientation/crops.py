"""Makes the landmark network's crops of hand images, as a detector or a tracker would cut them at run time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.hand_images.augmentation.augment import PhotometricConfig, change_image
from hand_pose_ros.hand_images.augmentation.edge import continued
from hand_pose_ros.hand_images.augmentation.occluders import OccluderConfig, add_occluders
from hand_pose_ros.hand_images.augmentation.view_jitter import (
    ViewChange,
    change_labels,
    homographies,
    view_change,
    warp_image,
)
from hand_pose_ros.hand_images.shards import (
    STORED_MARGIN,
    STORED_SIZE_PX,
    HandImages,
    pixels_to_view,
    view_to_pixels,
)

_MARGIN: Final = 1.0  # the new view's half extent is half the side of the square


@dataclass(frozen=True)
class CropConfig:
    """Random changes of the crops.

    roll_sigma_deg, log_scale_mean, log_scale_sigma, shift_sigma: of the square around the landmarks, degrees and
        shares of its side. A tracker's square comes from the last frame, a detector's from the palm.
    occluders, photometric: see the augmentation; None leaves them out.
    """

    roll_sigma_deg: float = 8.0
    log_scale_mean: float = 0.03
    log_scale_sigma: float = 0.12
    shift_sigma: float = 0.04
    occluders: OccluderConfig | None = field(default_factory=lambda: OccluderConfig(share=0.2))
    photometric: PhotometricConfig | None = field(default_factory=lambda: PhotometricConfig(strength=0.7))

    def exact(self) -> CropConfig:
        """The same without any randomness."""
        return replace(
            self, roll_sigma_deg=0.0, log_scale_sigma=0.0, shift_sigma=0.0, occluders=None, photometric=None
        )


def square_change(hands: HandImages, config: CropConfig, generator: np.random.Generator) -> ViewChange:
    """Return the change from the stored views to those of the landmark network's squares.

    The half extent of the new views is half the side of the square.
    """
    centres, angles, sides = np.zeros((hands.count, 2)), np.zeros(hands.count), np.zeros(hands.count)
    for row, points in enumerate(view_to_pixels(hands.points.astype(np.float64))):
        square = RotatedSquare.around_landmarks(points)
        centres[row], angles[row] = square.centre_px, square.angle_rad
        sides[row] = square.side_px * 2 * STORED_MARGIN / STORED_SIZE_PX
    centres = pixels_to_view(centres)
    sides = sides * np.exp(
        config.log_scale_mean + config.log_scale_sigma * generator.standard_normal(hands.count)
    )
    centres = centres + config.shift_sigma * sides[:, None] * generator.standard_normal(centres.shape)
    roll = np.radians(config.roll_sigma_deg) * generator.standard_normal(hands.count)
    # To turn the square upright, the image is turned against the square's angle.
    return view_change(hands.half_extent, roll - angles, centres, sides / 2)


def cut_crops(
    hands: HandImages, config: CropConfig, generator: np.random.Generator, size_px: int
) -> HandImages:
    """Cut the crops (n, size, size, 3) of hands; the labels are in the crops' axes, the points within [-1, 1].

    As at run time the image's edge is continued beyond it.

    Args:
        hands: with the stored size and margin. Occluders are cut from their images, so pass a batch.
    """
    change = square_change(hands, config, generator)
    changed = change_labels(hands, change)
    stored = (STORED_SIZE_PX, STORED_MARGIN)
    to_crop = homographies(hands.half_extent, change, stored, (size_px, _MARGIN))
    points_px = view_to_pixels(changed.points, size_px, _MARGIN)
    images = np.empty((hands.count, size_px, size_px, 3), np.uint8)
    for row in range(hands.count):
        image = continued(warp_image(hands.image[row], to_crop[row], size_px))
        if config.occluders is not None and generator.random() < config.occluders.share:
            unit_px = size_px / (2 * _MARGIN) / change.scale[row]
            image, _ = add_occluders(image, points_px[row], unit_px, hands, config.occluders, generator)
        if config.photometric is not None:
            image = change_image(image, config.photometric, generator)
        images[row] = image
    return changed._replace(image=images)
