"""The module suppresses duplicate detections, sorts the rest by score and limits their number.

The side hardly tells whether two detections show one hand, because an uncertain detector reports a hand as left
and as right. Landmarks tell more: those of two hands that touch or cover each other differ, however much the boxes
overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hand_pose_ros.detection.boxes import box_iou, box_sizes
from hand_pose_ros.pose import Detection

_SAME_LANDMARKS = (
    0.2  # mean distance as a share of the hand's size; the joints of one finger lie about that far apart
)
_LEAST_LANDMARKS = 5  # known in both detections, to compare landmarks
_SAME_BOX = 0.5  # overlap of two boxes of the same side that are one hand
_SAME_BOX_WITH_LANDMARKS = 0.7  # of the same side, although their landmarks differ
_SAME_BOX_OF_OTHER_SIDE = 0.8  # without landmarks: touching hands overlap less


def suppress_duplicates(detections: Sequence[Detection], max_hands: int) -> list[Detection]:
    """Return at most ``max_hands`` detections by falling score; each shows another hand.

    Of equal scores the earlier one counts as better.

    Raises:
        ValueError: ``max_hands`` is below 1.
    """
    if max_hands < 1:
        raise ValueError(f"max_hands must be at least 1, got {max_hands}")
    if not detections:
        return []
    remaining = sorted(detections, key=lambda one: -one.score)
    boxes = np.stack([one.box_px for one in remaining])
    kept: list[Detection] = []
    while remaining and len(kept) < max_hands:
        best = remaining[0]
        kept.append(best)
        iou = box_iou(boxes[0], boxes)
        others = [i for i in range(1, len(remaining)) if not _same_hand(best, remaining[i], iou[i])]
        remaining, boxes = [remaining[i] for i in others], boxes[others]
    return kept


def same_hand(first: Detection, second: Detection) -> bool:
    """Return whether two detections of one image show the same hand."""
    return _same_hand(first, second, box_iou(first.box_px, second.box_px[None])[0])


def _same_hand(first: Detection, second: Detection, iou: float) -> bool:
    distance = _landmark_distance(first, second)
    same_side = first.side == second.side
    if distance is None:
        return iou >= (_SAME_BOX if same_side else _SAME_BOX_OF_OTHER_SIDE)
    return distance < _SAME_LANDMARKS or (same_side and iou >= _SAME_BOX_WITH_LANDMARKS)


def _landmark_distance(first: Detection, second: Detection) -> float | None:
    """Mean distance of the landmarks that both have, as a share of the larger hand's size; None if too few."""
    if first.landmarks_px is None or second.landmarks_px is None:
        return None
    distances = np.linalg.norm(first.landmarks_px - second.landmarks_px, axis=1)
    distances = distances[np.isfinite(distances)]
    if len(distances) < _LEAST_LANDMARKS:
        return None
    return float(distances.mean() / max(box_sizes(first.box_px), box_sizes(second.box_px)))
