"""The message of the hands' sizes, and their text for diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from std_msgs.msg import Float64MultiArray, MultiArrayDimension, MultiArrayLayout

from hand_pose_ros import hand
from hand_pose_ros.estimator.hand_size import POPULATION_SPREAD, HandSize

COLUMNS: Final = ("track_id", "hand_size_m", "sigma_m", "hand_length_m")
MEAN_ADULT: Final = HandSize(hand.MEAN_ANCHOR_LENGTH_M, POPULATION_SPREAD * hand.MEAN_ANCHOR_LENGTH_M)
"""The values of a hand of unknown size."""


def sizes_message(sizes: Mapping[int | None, HandSize | None]) -> Float64MultiArray:
    """A row of ``COLUMNS`` for each track: bone wrist -> index MCP, its standard deviation, length of the hand.

    A hand of unknown size has the mean adult's; one without a track id has -1.
    """
    rows = []
    for track_id, known in sizes.items():
        size = known or MEAN_ADULT
        rows += [-1.0 if track_id is None else float(track_id), size.size_m, size.sigma_m, size.length_m]
    dimensions = [
        MultiArrayDimension(label="track", size=len(sizes), stride=len(rows)),
        MultiArrayDimension(label=",".join(COLUMNS), size=len(COLUMNS), stride=len(COLUMNS)),
    ]
    return Float64MultiArray(layout=MultiArrayLayout(dim=dimensions), data=rows)


def sizes_text(sizes: Mapping[int | None, HandSize | None]) -> str:
    """The sizes in a line."""
    return "; ".join(
        f"track {track_id}: {'unknown, the mean of adults' if size is None else _text(size)}"
        for track_id, size in sizes.items()
    )


def _text(size: HandSize) -> str:
    return f"{size.size_m:.4f} m, standard deviation {size.sigma_m:.4f} m"
