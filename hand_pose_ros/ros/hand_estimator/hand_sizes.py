"""The module publishes the sizes of the hands when they change; the last message is kept for late subscribers."""

from __future__ import annotations

from typing import Final

from rclpy.node import Node
from std_msgs.msg import Float64MultiArray

from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.pipeline import FrameResult
from hand_pose_ros.ros.messages.hand_sizes import MEAN_ADULT, sizes_message
from hand_pose_ros.ros.shared.latched import LATCHED

_CHANGE: Final = 0.002  # of a size or its standard deviation, as a share of the size, that is published


class HandSizePublisher:
    """Publishes ``hand_sizes``, in the worker's thread."""

    def __init__(self, node: Node) -> None:
        self._publisher = node.create_publisher(Float64MultiArray, "hand_sizes", LATCHED)
        self._last: dict[int | None, HandSize] = {}

    def publish(self, result: FrameResult) -> None:
        """Publish the sizes of a frame's hands, if they are others than before."""
        sizes = {track_id: size or MEAN_ADULT for track_id, size in result.sizes.items()}
        if sizes.keys() == self._last.keys() and not any(
            _differ(sizes[track_id], self._last[track_id]) for track_id in sizes
        ):
            return
        self._last = sizes
        self._publisher.publish(sizes_message(result.sizes))


def _differ(first: HandSize, second: HandSize) -> bool:
    changes = abs(first.size_m - second.size_m), abs(first.sigma_m - second.sigma_m)
    return max(changes) > _CHANGE * second.size_m
