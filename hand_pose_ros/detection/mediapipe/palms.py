"""MediaPipe's palm network finds palms in an image: anchors, decoding, and weighted suppression."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from hand_pose_ros.detection.boxes import box_iou
from hand_pose_ros.detection.finders import Palm
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.networks.imported.backends import ImageNetwork

# (cells along a side, anchors in each cell) of the network's two maps, for its input of 192 px.
_MAPS: Final = ((24, 2), (12, 6))
_NUM_KEYPOINTS: Final = 7
_SAME_PALM: Final = 0.3  # overlap from which two boxes are of one palm
_LARGEST_LOGIT: Final = 100.0


class PalmDetector:
    """MediaPipe's palm network, a :class:`~hand_pose_ros.detection.finders.PalmFinder`."""

    def __init__(self, network: ImageNetwork, min_score: float = 0.5) -> None:
        self._network = network
        self._min_score = min_score
        self._anchors = _anchors()

    def find(self, image_bgr: np.ndarray) -> list[Palm]:
        """The palms in an image (H, W, 3) uint8 BGR, best first."""
        square = RotatedSquare.around_image(image_bgr)
        side = self._network.input_side_px
        raw, logits = self._network.run(square.cut(image_bgr, side, cv2.BORDER_CONSTANT))
        scores = 1 / (1 + np.exp(-np.clip(logits[:, 0].astype(float), -_LARGEST_LOGIT, _LARGEST_LOGIT)))
        chosen = np.flatnonzero(scores >= self._min_score)
        chosen = chosen[np.argsort(-scores[chosen], kind="stable")]
        points = raw[chosen].astype(float).reshape(-1, 2 + _NUM_KEYPOINTS, 2) / side
        anchors, half = self._anchors[chosen], points[:, 1] / 2
        boxes = np.concatenate((anchors + points[:, 0] - half, anchors + points[:, 0] + half), axis=1)
        keypoints = anchors[:, None] + points[:, 2:]
        return [
            Palm(square.to_image(box.reshape(2, 2)).ravel(), square.to_image(points), score)
            for box, points, score in _merged(boxes, keypoints, scores[chosen])
        ]


def _merged(boxes: np.ndarray, keypoints: np.ndarray, scores: np.ndarray):
    """The weighted means of boxes (N, 4) and keypoints (N, 7, 2) that overlap, each with its best score."""
    while len(scores):
        same = box_iou(boxes[0], boxes) > _SAME_PALM
        same[0] = True
        weights = scores[same] / scores[same].sum()
        yield (
            weights @ boxes[same],
            np.tensordot(weights, keypoints[same], axes=1),
            float(scores[0]),
        )
        boxes, keypoints, scores = boxes[~same], keypoints[~same], scores[~same]


def _anchors() -> np.ndarray:
    """(2016, 2) centres of the network's anchors, as shares of its input."""
    rows = []
    for cells, count in _MAPS:
        along = (np.arange(cells) + 0.5) / cells
        centres = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
        rows.append(np.repeat(centres, count, axis=0))
    return np.concatenate(rows)
