"""Makes training crops from hand images.

The order is physical: the view changes (:mod:`view_jitter`, exact for image and labels), occluders are added
(:mod:`occluders`), then lens, exposure, sensor, sharpening and storage are simulated (:mod:`photometric`).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import cv2
import numpy as np

from hand_pose_ros.hand_images.augmentation import photometric
from hand_pose_ros.hand_images.augmentation.occluders import OccluderConfig, add_occluders, piece
from hand_pose_ros.hand_images.augmentation.view_jitter import (
    ViewChange,
    ViewJitterConfig,
    change_labels,
    homographies,
    random_view_change,
    view_change,
    warp_image,
)
from hand_pose_ros.hand_images.shards import STORED_MARGIN, HandImages, view_to_pixels

CROP_SIZE_PX: Final = 128
CROP_MARGIN: Final = 1.5
"""Half extents of the crop's own view that crops span to either side, in training and at run time."""

_REFERENCE_PX = 128  # crop size to which lengths in pixels refer
_AREA = np.ones((5, 5), np.uint8)
_AREA_AND_EDGE = np.ones((7, 7), np.uint8)  # one pixel more, because resampling blends black into it
_MOST_LIGHT, _LEAST_LIGHT = 0.55, 0.004  # range of the mean light after exposure; white is 1


@dataclass(frozen=True)
class PhotometricConfig:
    """Probability of each photometric change, and its largest strength or, for normal draws, its sigma.

    Lengths are in pixels of a 128 px crop. ``*_share``: share of the crops.
    defocus_px: largest sigma. motion_px: longest blur. exposure_stops, gamma_log, contrast_log,
    white_balance_log, saturation_log, hue_deg, brightness: sigmas. clipping_share: crops over-exposed by up
    to clipping_stops. read_noise, shot_noise: largest sigmas in levels. sharpen: largest amount.
    low_resolution: largest factor. jpeg_quality: lowest. strength: factor on all of these strengths, 0 for
    none.
    """

    defocus_share: float = 0.25
    defocus_px: float = 2.0
    motion_share: float = 0.2
    motion_px: float = 14.0
    tone_share: float = 0.9
    exposure_stops: float = 0.45
    gamma_log: float = 0.15
    contrast_log: float = 0.15
    brightness: float = 8.0
    white_balance_log: float = 0.08
    clipping_share: float = 0.08
    clipping_stops: float = 2.0
    colour_share: float = 0.5
    saturation_log: float = 0.3
    hue_deg: float = 7.0
    grey_share: float = 0.05
    noise_share: float = 0.5
    read_noise: float = 8.0
    shot_noise: float = 14.0
    sharpen_share: float = 0.15
    sharpen: float = 1.5
    low_resolution_share: float = 0.15
    low_resolution: float = 3.0
    jpeg_share: float = 0.3
    jpeg_quality: int = 20
    strength: float = 1.0

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value = getattr(self, item.name)
            if value < 0 or (item.name.endswith("share") and value > 1):
                raise ValueError(f"{item.name} must not be negative, nor a share above 1, got {value}")
        if not 1 <= self.jpeg_quality <= 100 or self.low_resolution < 1:
            raise ValueError("jpeg_quality must lie in [1, 100] and low_resolution be at least 1")


@dataclass(frozen=True)
class AugmentationConfig:
    """Settings of all augmentation; None leaves a part out.

    fill_share: share of the crops with black outside of their image in which something else replaces it, so that
        black corners, which rolled crops of small images have, carry no information.
    """

    view: ViewJitterConfig | None = field(default_factory=ViewJitterConfig)
    occluders: OccluderConfig | None = field(default_factory=OccluderConfig)
    photometric: PhotometricConfig | None = field(default_factory=PhotometricConfig)
    fill_share: float = 0.7

    @classmethod
    def none(cls) -> AugmentationConfig:
        """Return the settings of validation crops: the canonical view without changes."""
        return cls(None, None, None, 0.0)


class Augmented(NamedTuple):
    """Augmented crops.

    hands: images (n, size, size, 3) and labels in the changed views. change: from the stored views to these.
    """

    hands: HandImages
    change: ViewChange


def augment(
    hands: HandImages,
    config: AugmentationConfig,
    generator: np.random.Generator,
    size_px: int = CROP_SIZE_PX,
    margin: float = CROP_MARGIN,
    change: ViewChange | None = None,
) -> Augmented:
    """Make training crops of hand images; the same generator state gives the same crops.

    A joint behind an occluder is no longer ``visible``; ``inside`` stays that of the original image. Images with a
    stored detection only change their view, because the detection holds for the image as it is.

    Args:
        hands: n hands, with the stored size and margin. Occluders are cut from their images, so pass a batch.
        size_px, margin: of the crops. change: change of the views, instead of a draw by ``config.view``.
    """
    if change is not None:
        pass
    elif config.view is None:
        still = np.zeros(hands.count)
        change = view_change(hands.half_extent, still, np.zeros((hands.count, 2)), still + 1)
    else:
        change = random_view_change(hands.half_extent, config.view, generator)
    stored = (hands.image.shape[1], STORED_MARGIN)
    to_crop = homographies(hands.half_extent, change, stored, (size_px, margin))
    changed = change_labels(hands, change)
    points_px = view_to_pixels(changed.points, size_px, margin)
    images = np.empty((hands.count, size_px, size_px, 3), np.uint8)
    visible, shown_before = np.array(changed.visible), hands.has_detection
    for row in range(hands.count):
        image = warp_image(hands.image[row], to_crop[row], size_px)
        if shown_before[row]:
            images[row] = image
            continue
        if generator.random() < config.fill_share:
            image = fill_outside(image, hands, generator)
        if config.occluders is not None and generator.random() < config.occluders.share:
            # The half extent of a jittered view is not that of the hand, which scales the occluders.
            unit_px = size_px / (2 * margin) / change.scale[row]
            image, hidden = add_occluders(image, points_px[row], unit_px, hands, config.occluders, generator)
            visible[row] &= ~hidden
        if config.photometric is not None:
            image = change_image(image, config.photometric, generator)
        images[row] = image
    return Augmented(changed._replace(image=images, visible=visible), change)


def change_image(image: np.ndarray, config: PhotometricConfig, generator: np.random.Generator) -> np.ndarray:
    """Simulate a random camera and random light on one crop."""
    strength = config.strength
    pixel = strength * image.shape[0] / _REFERENCE_PX

    def happens(share: float) -> bool:
        return strength > 0 and generator.random() < share

    def drawn(sigma: float) -> float:
        return strength * sigma * generator.standard_normal()

    if happens(config.motion_share):
        # Long blurs are rarer than short ones.
        length = config.motion_px * pixel * generator.random() ** 1.5
        image = photometric.motion_blur(image, length, generator.uniform(0, np.pi))
    if happens(config.defocus_share):
        image = photometric.defocus(image, config.defocus_px * pixel * generator.random() ** 1.5)
    if happens(config.tone_share):
        stops = drawn(config.exposure_stops)
        if generator.random() < config.clipping_share:
            stops = strength * config.clipping_stops * generator.random()
        light = (max(np.mean(cv2.mean(image)[:3]), 1.0) / 255) ** 2.2
        brightest, darkest = np.log2(_MOST_LIGHT / light), np.log2(_LEAST_LIGHT / light)
        stops = min(
            max(stops, min(darkest, 0.0)), max(brightest, 0.0)
        )  # an image outside of the range may stay there
        image = photometric.tone(
            image,
            float(2**stops),
            float(np.exp(drawn(config.gamma_log))),
            float(np.exp(drawn(config.contrast_log))),
            float(drawn(config.brightness)),
            tuple(np.exp(strength * config.white_balance_log * generator.standard_normal(3))),
        )
    if happens(config.colour_share):
        saturation = float(np.exp(drawn(config.saturation_log)))
        image = photometric.colour(image, saturation, float(np.radians(drawn(config.hue_deg))))
    if happens(config.noise_share):
        read, shot = strength * generator.random(2) ** 2 * (config.read_noise, config.shot_noise)
        image = photometric.sensor_noise(image, read, shot, generator, int(generator.integers(1, 3)))
    if happens(config.sharpen_share):
        image = photometric.sharpen(image, strength * config.sharpen * generator.random())
    if happens(config.low_resolution_share):
        factor = 1 + strength * (config.low_resolution - 1) * generator.random()
        image = photometric.low_resolution(image, factor)
    if happens(config.grey_share):
        image = photometric.greyscale(image)
    if happens(config.jpeg_share):
        quality = 100 - strength * (100 - config.jpeg_quality) * generator.random()
        image = photometric.jpeg(image, max(1, round(quality)))
    return image


def fill_outside(image: np.ndarray, others: HandImages, generator: np.random.Generator) -> np.ndarray:
    """Replace the black outside of the original image by a colour or a piece of another image.

    Only black areas at least five pixels wide are replaced; single black pixels of dark images stay.
    """
    black = cv2.inRange(image, (0, 0, 0), (0, 0, 0))  # pyright: ignore[reportCallIssue, reportArgumentType]
    black = cv2.erode(black, _AREA)  # the border is replicated
    if not black.any():
        return image
    black = cv2.dilate(black, _AREA_AND_EDGE)
    if generator.random() < 0.4:
        wall = generator.uniform(0, 255) + 30 * generator.standard_normal(3)
        filling = np.full_like(image, wall.clip(0, 255))
    else:
        filling = piece(image.shape[0], others, generator)
    return cv2.copyTo(filling, black, image.copy())
