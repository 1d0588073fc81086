"""The module reads depth images: the Image messages of depth cameras."""

from __future__ import annotations

from typing import Final

import numpy as np
from sensor_msgs.msg import Image

from hand_pose_ros.files.image_limits import MOST_PIXELS

_UNITS_M: Final = {"16UC1": (np.uint16, 1e-3), "mono16": (np.uint16, 1e-3), "32FC1": (np.float32, 1.0)}
"""Encoding -> type of a pixel and its unit (REP 118)."""


def depth_image(message: Image) -> np.ndarray:
    """Depths (H, W) float32, metres; NaN where the camera measured none.

    Raises:
        ValueError: another encoding than 16UC1 (millimetres) or 32FC1 (metres), or data of the wrong size.
    """
    if message.encoding not in _UNITS_M:
        raise ValueError(
            f"the encoding of a depth image must be 16UC1 or 32FC1, got {message.encoding[:40]!r}"
        )
    if message.width * message.height > MOST_PIXELS:
        raise ValueError(f"a depth image of {message.width}x{message.height} pixels is too large")
    kind, unit_m = _UNITS_M[message.encoding]
    pixel = np.dtype(kind).newbyteorder(">" if message.is_bigendian else "<")
    row = message.width * pixel.itemsize
    data = np.frombuffer(message.data, np.uint8)
    if not message.width or not message.height or message.step < row:
        raise ValueError(f"rows of {message.step} bytes cannot hold {message.width} depths")
    if len(data) < message.step * (message.height - 1) + row:
        raise ValueError(f"{len(data)} bytes are too few for {message.width}x{message.height} depths")
    padded = np.zeros(message.step * message.height, np.uint8)
    padded[: len(data)] = data[: len(padded)]
    values = padded.reshape(message.height, message.step)[:, :row].copy().view(pixel)
    depth_m = values.astype(np.float32) * np.float32(unit_m)
    return np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, np.float32(np.nan))
