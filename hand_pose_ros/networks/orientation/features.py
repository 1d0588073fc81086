"""The features inside MediaPipe's landmark network from which the orientation network continues."""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np

from hand_pose_ros.networks.imported.tflite_outputs import with_output

NETWORK: Final = "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3"
"""SHA-256 of ``hand_landmark_full.tflite``, the only network with these features."""
SHAPE: Final = (192, 7, 7)
"""Channels, height and width."""
TENSOR: Final = 153
"""Index of the tensor in the file that holds them: the sum at the end of the last block but one."""
NEXT_OPERATION: Final = 50
"""Index of the first of the file's operations that need only this tensor."""


def has_features(content: bytes) -> bool:
    """Return whether ``content`` is that of the file which has these features."""
    return hashlib.sha256(content).hexdigest() == NETWORK


def with_features(content: bytes) -> bytes:
    """Return the content of the file with the features as the network's last output."""
    return with_output(content, TENSOR)


def channels_first(features: np.ndarray) -> np.ndarray:
    """Return features (192, 7, 7) float32 of a backend's output, which may have the channels last."""
    return np.ascontiguousarray(features if features.shape == SHAPE else features.transpose(2, 0, 1))
