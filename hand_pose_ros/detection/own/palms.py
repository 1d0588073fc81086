"""The hand detector searches a whole image for hands."""

from __future__ import annotations

from typing import Final

import numpy as np

from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.finders import PALM_KEYPOINTS, Palm
from hand_pose_ros.detection.onnx.letterbox import Letterbox
from hand_pose_ros.networks.hand_detector.decoding import decode, distinct
from hand_pose_ros.networks.runtime.hand_detector import RunnableDetector

_PALM_MARGIN: Final = 0.15  # around the palm's keypoints, as a share of their box's larger side


class HandPalms:
    """A :class:`~hand_pose_ros.detection.finders.PalmFinder`; its palms have rough joints and a side."""

    def __init__(self, network: RunnableDetector, min_score: float) -> None:
        """``min_score``: from which a hand counts as found."""
        self._network, self._min_score = network, min_score

    def find(self, image_bgr: np.ndarray) -> list[Palm]:
        """The palms in an image (H, W, 3) uint8 BGR, best first."""
        side = self._network.image_size
        letterbox = Letterbox((image_bgr.shape[1], image_bgr.shape[0]), (side, side))
        found = distinct(decode(self._network.run(letterbox.apply(image_bgr)), self._min_score))
        palms = []
        for score, right, points in zip(*found, strict=True):
            joints_px = letterbox.to_image(points)
            keypoints = joints_px[list(PALM_KEYPOINTS)]
            palms.append(
                Palm(box_around(keypoints, _PALM_MARGIN), keypoints, float(score), joints_px, float(right))
            )
        return palms
