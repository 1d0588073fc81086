"""A detector without memory runs both finders on each image."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from hand_pose_ros.detection.finders import FoundHand, Palm
from hand_pose_ros.detection.suppression import suppress_duplicates
from hand_pose_ros.pose import Detection


def hands_of_palms(
    palms: Iterable[Palm], find: Callable[[Palm], FoundHand | None], min_score: float, max_hands: int
) -> list[Detection]:
    """Find the hands of palms, the best first, until there are ``max_hands`` distinct ones of ``min_score``."""
    found: list[Detection] = []
    for palm in palms:
        one = find(palm)
        if one is not None and one.detection.score >= min_score:
            found = suppress_duplicates([*found, one.detection], max_hands)
        if len(found) == max_hands:
            break
    return found
