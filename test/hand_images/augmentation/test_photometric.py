"""Photometric changes keep shape and type, do nothing at strength 0, and more at higher strengths."""

from itertools import pairwise

import cv2
import numpy as np
import pytest

from hand_pose_ros.hand_images.augmentation import photometric


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    coarse = np.random.default_rng(0).integers(30, 226, (16, 16, 3), np.uint8)
    image = cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)
    cv2.rectangle(image, (30, 30), (60, 70), (200, 40, 90), -1)
    return image


def generator() -> np.random.Generator:
    return np.random.default_rng(1)


def detail(image: np.ndarray) -> float:
    """Mean difference between neighbours."""
    values = image.astype(float)
    return np.abs(np.diff(values, axis=0)).mean() + np.abs(np.diff(values, axis=1)).mean()


STEPS = {
    "defocus": photometric.defocus,
    "motion": lambda p, s: photometric.motion_blur(p, 4 * s, 0.7),
    "exposure": lambda p, s: photometric.tone(p, exposure=2**s),
    "contrast": lambda p, s: photometric.tone(p, contrast=1 + s),
    "gamma": lambda p, s: photometric.tone(p, gamma=1 + s / 3),
    "white balance": lambda p, s: photometric.tone(p, white_balance=(1 + s, 1, 1 / (1 + s))),
    "hue": lambda p, s: photometric.colour(p, hue_rad=s / 3),
    "saturation": lambda p, s: photometric.colour(p, saturation=1 + s / 3),
    "noise": lambda p, s: photometric.sensor_noise(p, 3 * s, 3 * s, generator()),
    "coarse noise": lambda p, s: photometric.sensor_noise(p, 3 * s, 3 * s, generator(), 2),
    "sharpen": photometric.sharpen,
    "low resolution": lambda p, s: photometric.low_resolution(p, 1 + s),
}


@pytest.mark.parametrize("name", STEPS)
def test_stronger_is_farther_from_the_image(image, name):
    before = image.copy()
    steps = [STEPS[name](image, strength) for strength in (0, 1, 2, 3)]
    for step in steps:
        assert step.shape == image.shape
        assert step.dtype == np.uint8
    np.testing.assert_array_equal(image, before)
    distances = [np.abs(step.astype(float) - image).mean() for step in steps]
    assert distances[0] < 0.5  # rounding, at most
    assert all(low < high for low, high in pairwise(distances))
    np.testing.assert_array_equal(STEPS[name](image, 2), steps[2])


def test_jpeg_is_farther_at_lower_quality(image):
    distances = [np.abs(photometric.jpeg(image, q).astype(float) - image).mean() for q in (100, 60, 20, 5)]
    assert distances == sorted(distances)
    assert distances[0] < 5  # colours are stored at half the resolution


def test_blurs_take_detail_and_sharpening_gives_it(image):
    assert detail(photometric.defocus(image, 1)) < 0.9 * detail(image)
    assert detail(photometric.motion_blur(image, 5, 0)) < 0.9 * detail(image)
    assert detail(photometric.sharpen(image, 1)) > 1.1 * detail(image)


def test_motion_blur_smears_along_its_angle():
    dot = np.zeros((41, 41, 3), np.uint8)
    dot[20, 20] = 255
    smeared = photometric.motion_blur(dot, 11, 0)
    assert (smeared[20, 15:26] > 15).all()
    assert smeared.sum() == pytest.approx(dot.sum(), rel=0.05)
    assert smeared[np.arange(41) != 20].max() == 0
    np.testing.assert_array_equal(photometric.motion_blur(dot, 11, np.pi / 2), smeared.transpose(1, 0, 2))


def test_noise_has_the_stated_sigma():
    grey = np.full((200, 200, 3), 64, np.uint8)
    for grain in (1, 2):
        noise = photometric.sensor_noise(grey, 6, 8, generator(), grain).astype(float) - 64
        assert noise.std() == pytest.approx((36 + 64 * 64 / 255) ** 0.5, rel=0.12)
        assert abs(noise.mean()) < 0.2


def test_exposure_clips_and_keeps_order():
    ramp = np.arange(256, dtype=np.uint8)[None, :, None].repeat(3, 2)
    bright = photometric.tone(ramp, exposure=4)[0, :, 0]
    assert (np.diff(bright.astype(int)) >= 0).all()
    assert (bright[150:] == 255).all()
    # Four times the light of half the light of white.
    half = round(255 * 0.25 ** (1 / 2.2))
    assert bright[half] >= 253
    np.testing.assert_array_equal(photometric.tone(ramp), ramp)


def test_grey_and_hue_keep_brightness(image):
    luma = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(float)
    grey = photometric.greyscale(image)
    assert (np.ptp(grey, axis=-1) == 0).all()
    for changed in (grey, photometric.colour(image, 0.0), photometric.colour(image, 0.8, 0.2)):
        assert np.abs(cv2.cvtColor(changed, cv2.COLOR_BGR2GRAY) - luma).mean() < 1.5
