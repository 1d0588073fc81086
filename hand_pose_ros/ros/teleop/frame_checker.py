"""The frame checker publishes the human hand's vectors over the robot's, with their distances."""

from __future__ import annotations

from typing import Final

from builtin_interfaces.msg import Time
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from hand_pose_ros.retargeting.frame_check import largest_residuals, vector_parts
from hand_pose_ros.retargeting.retargeter import RetargetedHand, Retargeter
from hand_pose_ros.ros.messages.frame_check import frame_check_markers

_QOS: Final = QoSProfile(depth=2)


class FrameChecker:
    """Publishes ``frame_checker`` in the robot's base frame; builds markers only while someone subscribes."""

    def __init__(self, node: LifecycleNode, retargeter: Retargeter, frame_prefix: str) -> None:
        """Advertise the topic.

        Args:
            frame_prefix: of the robot's frames, as robot_state_publisher's.
        """
        self._node = node
        self._parts = vector_parts(retargeter.vector_joints)
        self._frame = f"{frame_prefix}{retargeter.robot.root_link}"
        self._publisher = node.create_publisher(MarkerArray, "frame_checker", _QOS)

    def check(self, result: RetargetedHand, stamp: Time) -> dict[str, float]:
        """Publish the vectors of an image with the stamp; returns the largest residual of each part, metres."""
        if self._publisher.get_subscription_count():
            header = Header(stamp=stamp, frame_id=self._frame)
            self._publisher.publish(frame_check_markers(result, self._parts, header))
        return largest_residuals(self._parts, result.residuals_m)

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)
