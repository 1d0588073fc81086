"""Simulates lens, sensor and storage: blur, exposure, colour, noise, sharpening, compression.

Every function takes one image (h, w, 3) uint8 BGR and strengths, and returns a new image of the same shape; the
same arguments give the same image. :mod:`hand_pose_ros.hand_images.augmentation.augment` draws random strengths.
Lengths are in pixels of the given image.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

_LEVELS = np.arange(256, dtype=np.float32)
# Rotation about the grey axis keeps brightness and changes hue: NTSC's YIQ, for BGR order.
_YIQ_BGR = np.array(((0.114, 0.587, 0.299), (-0.322, -0.274, 0.596), (0.312, -0.523, 0.211)))
_BGR_YIQ = np.linalg.inv(_YIQ_BGR)


def defocus(image: np.ndarray, sigma_px: float) -> np.ndarray:
    """Apply a Gaussian blur of ``sigma_px``; none at 0."""
    return cv2.GaussianBlur(image, (0, 0), sigma_px) if sigma_px > 0 else image.copy()


def motion_blur(image: np.ndarray, length_px: float, angle_rad: float) -> np.ndarray:
    """Blur evenly along a line of ``length_px``; none at 0."""
    if length_px <= 0:
        return image.copy()
    return cv2.filter2D(image, -1, _line_kernel(length_px, angle_rad), borderType=cv2.BORDER_REPLICATE)


def tone(
    image: np.ndarray,
    exposure: float = 1.0,
    gamma: float = 1.0,
    contrast: float = 1.0,
    brightness: float = 0.0,
    white_balance: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> np.ndarray:
    """Scale the light by exposure and white balance (BGR) and clip it; then apply gamma, contrast and brightness.

    The light is the level to the power of 2.2. Exposure above 1 clips the bright parts for good, as a sensor
    does. contrast: about the middle level. brightness: in levels.
    """
    light = (_LEVELS[:, None] / 255) ** 2.2 * exposure * np.asarray(white_balance, np.float32)
    level = 255 * light.clip(0, 1) ** (gamma / 2.2)
    level = (level - 127.5) * contrast + 127.5 + brightness
    return cv2.LUT(image, level.clip(0, 255).round().astype(np.uint8)[None])


def colour(image: np.ndarray, saturation: float = 1.0, hue_rad: float = 0.0) -> np.ndarray:
    """Scale colours by ``saturation`` (0 is grey) and rotate them by ``hue_rad``; brightness stays."""
    cosine, sine = saturation * math.cos(hue_rad), saturation * math.sin(hue_rad)
    turn = np.array(((1, 0, 0), (0, cosine, -sine), (0, sine, cosine)))
    return cv2.transform(image, (_BGR_YIQ @ turn @ _YIQ_BGR).astype(np.float32))


def sensor_noise(
    image: np.ndarray, read: float, shot: float, generator: np.random.Generator, grain_px: int = 1
) -> np.ndarray:
    """Add normal noise of variance ``read`` squared plus ``shot`` squared times the level relative to white.

    Args:
        read, shot: levels. grain_px: 2 for the coarser noise after demosaicing or scaling up.
    """
    if read <= 0 and shot <= 0:
        return image.copy()
    height, width = image.shape[:2]
    noise = generator.standard_normal((-(-height // grain_px), -(-width // grain_px), 3), np.float32)
    if grain_px > 1:
        noise = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
        noise *= 1.5  # what the interpolation takes away
    sigma = np.sqrt(read**2 + shot**2 * _LEVELS / 255)
    noise *= cv2.LUT(image, sigma[None])
    return cv2.add(image, noise, dtype=cv2.CV_8U)


def sharpen(image: np.ndarray, amount: float, sigma_px: float = 1.0) -> np.ndarray:
    """Apply an unsharp mask: add ``amount`` times the difference from the blurred image."""
    if amount <= 0:
        return image.copy()
    return cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, (0, 0), sigma_px), -amount, 0)


def low_resolution(image: np.ndarray, factor: float) -> np.ndarray:
    """Reduce the resolution by ``factor`` along each side and enlarge the image again."""
    if factor <= 1:
        return image.copy()
    height, width = image.shape[:2]
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    small_image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    return cv2.resize(small_image, (width, height), interpolation=cv2.INTER_LINEAR)


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Encode as JPEG of ``quality`` (1 to 100) and decode."""
    _, data = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, int(quality)))
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def greyscale(image: np.ndarray) -> np.ndarray:
    """Remove colour; the image keeps three channels."""
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)


def _line_kernel(length_px: float, angle_rad: float) -> np.ndarray:
    """Return the weights (k, k) float32, summing to 1, of a line of ``length_px`` through the middle."""
    return _rounded_line_kernel(round(length_px, 1), round(math.degrees(angle_rad)) % 180)


@lru_cache(maxsize=4096)
def _rounded_line_kernel(length_px: float, angle_deg: int) -> np.ndarray:
    reach = math.ceil(length_px / 2)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    steps = max(2, math.ceil(4 * length_px))
    along = (np.arange(steps) + 0.5) / steps - 0.5
    x = reach + length_px * along * math.cos(math.radians(angle_deg))
    y = reach + length_px * along * math.sin(math.radians(angle_deg))
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    for column, row in ((0, 0), (1, 0), (0, 1), (1, 1)):
        share = (1 - abs(left + column - x)) * (1 - abs(top + row - y))
        kept = share > 0
        np.add.at(kernel, ((top + row)[kept], (left + column)[kept]), share[kept].astype(np.float32))
    return kernel / kernel.sum()
