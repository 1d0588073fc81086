"""The module publishes the result of a frame on all topics of the hand_estimator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState, PointCloud2
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster

from hand_pose_ros import hand
from hand_pose_ros.pipeline import FrameResult
from hand_pose_ros.ros.hand_estimator.display import HandDisplay, ShownFrame
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.messages.cloud import hands_cloud
from hand_pose_ros.ros.messages.joints import joint_state, serialised_joint_poses, wrist_pose
from hand_pose_ros.ros.messages.selection import HandSelector, PublishedHand
from hand_pose_ros.ros.messages.transforms import serialised_hand_transforms

# Reliable, so that subscribers of either reliability connect; shallow, because only the newest is of use.
_QOS: Final = QoSProfile(depth=5)
_SIDE_TOPICS: Final = {
    "wrist": (PoseWithCovarianceStamped, wrist_pose),
    "joints": (PoseArray, serialised_joint_poses),
    "joint_states": (JointState, joint_state),
}
_BEFORE_HANDS: Final = ("wrist",)
_AFTER_HANDS: Final = ("joints", "joint_states")
"""Topics of a side; a robot waits for ``wrist`` and ``hands`` alone."""


class HandPublishers:
    """The publishers of a lifecycle node, and their state between frames."""

    def __init__(self, node: LifecycleNode, display: HandDisplay) -> None:
        """Create the publishers.

        Args:
            display: made on the same node; shows what is published here, and is closed with it.
        """
        self._node = node
        self._display = display
        self._of_side = {
            (side, topic): node.create_lifecycle_publisher(kind, f"{side}/{topic}", _QOS)
            for side in hand.SIDES
            for topic, (kind, _) in _SIDE_TOPICS.items()
        }
        self._hands = node.create_lifecycle_publisher(PointCloud2, "hands", _QOS)
        self._transforms = TransformBroadcaster(node)
        self._selector = HandSelector()

    def publish(self, result: FrameResult, header: Header, parameters: HandEstimatorParameters) -> None:
        """Publish the result of a frame; a frame without hands gives an empty cloud.

        Markers and overlay take milliseconds, so the display draws them in a thread of its own.
        """
        published = self._selector.select(result.hands)
        self._publish_sides(published, header, _BEFORE_HANDS)
        self._hands.publish(hands_cloud([item.pose for item in published], header))
        self._publish_sides(published, header, _AFTER_HANDS)
        self._publish_transforms(published, header, parameters.publish_tf)
        self._display.show(ShownFrame(published, result, header, parameters))

    def start(self, frame_prefix: str) -> None:
        """Begin to show frames. ``frame_prefix`` begins the name of all hands' TF frames."""
        self._selector.frame_prefix = frame_prefix
        self._display.start()

    def stop(self) -> None:
        """End the display, and remove all markers from it."""
        self._display.stop()

    def reset(self) -> None:
        """Forget which hands were primary."""
        self._selector.reset()

    def close(self) -> None:
        """Destroy the publishers, those of the display too."""
        for publisher in self._lifecycle_publishers():
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_publisher(self._transforms.pub_tf)

    def _lifecycle_publishers(self) -> Iterable[LifecyclePublisher]:
        # create_lifecycle_publisher states the base class.
        return (*self._of_side.values(), self._hands, *self._display.publishers)  # pyright: ignore[reportReturnType]

    def _publish_sides(self, published: list[PublishedHand], header: Header, topics: Iterable[str]) -> None:
        for primary in (item for item in published if item.primary):
            for topic in topics:
                _, build = _SIDE_TOPICS[topic]
                self._of_side[primary.pose.side, topic].publish(build(primary, header))

    def _publish_transforms(self, published: list[PublishedHand], header: Header, which: str) -> None:
        # A transform needs a parent: images without a frame give none.
        if which == "none" or not published or not header.frame_id:
            return
        # The broadcaster would take messages only, whose making takes most of a frame's publication.
        self._transforms.pub_tf.publish(serialised_hand_transforms(published, header, which == "all"))
