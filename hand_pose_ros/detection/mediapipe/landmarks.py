"""MediaPipe's landmark network finds the 21 landmarks of one hand in a given square."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.networks.imported.backends import ImageNetwork
from hand_pose_ros.networks.orientation.features import channels_first


class CropLandmarks(NamedTuple):
    """Output of the network for a square.

    landmarks_px: (21, 2) in the image. world_m: (21, 3), metres, around the hand's middle, with the axes of
    ``Detection.landmarks_m``. presence: probability of a hand, in [0, 1]. right: likelihood of a right hand
    in an unmirrored image, in [0, 1]. features: of the network's inside, None if it does not give them.
    """

    landmarks_px: np.ndarray
    world_m: np.ndarray
    presence: float
    right: float
    features: np.ndarray | None = None


class LandmarkNetwork:
    """MediaPipe's landmark network. It always answers; the answer is meaningful only with high ``presence``."""

    def __init__(self, network: ImageNetwork) -> None:
        """``network``: opened from the file itself, or with features as one more output."""
        self._network = network

    def find(self, image_bgr: np.ndarray, square: RotatedSquare) -> CropLandmarks:
        """The hand in a square of an image (H, W, 3) uint8 BGR."""
        side = self._network.input_side_px
        screen, presence, right, world, *more = self._network.run(square.cut(image_bgr, side))
        shares = screen.reshape(hand.NUM_JOINTS, 3)[:, :2].astype(float) / side
        world_m = world.reshape(hand.NUM_JOINTS, 3).astype(float)
        return CropLandmarks(
            square.to_image(shares),
            square.directions_to_image(world_m),
            float(presence[0]),
            float(right[0]),
            channels_first(more[-1]) if more else None,
        )
