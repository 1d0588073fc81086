"""The module publishes the result of a frame on all topics of the hand_estimator."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image, JointState, PointCloud2
from std_msgs.msg import Header
from tf2_ros import TransformBroadcaster
from visualization_msgs.msg import MarkerArray

from hand_pose_ros import hand
from hand_pose_ros.mesh.skinning import hand_mesh
from hand_pose_ros.pipeline import FrameResult
from hand_pose_ros.pose import HandPose
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.messages.camera import image_message
from hand_pose_ros.ros.messages.cloud import hands_cloud
from hand_pose_ros.ros.messages.joints import joint_poses, joint_state, wrist_pose
from hand_pose_ros.ros.messages.markers import MarkerKey, delete_all, keys, markers
from hand_pose_ros.ros.messages.overlay import draw_overlay
from hand_pose_ros.ros.messages.selection import HandSelector, PublishedHand
from hand_pose_ros.ros.messages.transforms import hand_transforms

# Reliable, so that subscribers of either reliability connect; shallow, because only the newest is of use.
_QOS: Final = QoSProfile(depth=5)
_IMAGE_QOS: Final = QoSProfile(depth=2)
_SIDE_TOPICS: Final = {
    "joints": (PoseArray, joint_poses),
    "joint_states": (JointState, joint_state),
    "wrist": (PoseWithCovarianceStamped, wrist_pose),
}


class HandPublishers:
    """The publishers of a lifecycle node, and their state between frames."""

    def __init__(self, node: LifecycleNode) -> None:
        self._node = node
        self._of_side = {
            (side, topic): node.create_lifecycle_publisher(kind, f"{side}/{topic}", _QOS)
            for side in hand.SIDES
            for topic, (kind, _) in _SIDE_TOPICS.items()
        }
        self._hands = node.create_lifecycle_publisher(PointCloud2, "hands", _QOS)
        self._markers = node.create_lifecycle_publisher(MarkerArray, "markers", _QOS)
        self._overlay = node.create_lifecycle_publisher(Image, "image_overlay", _IMAGE_QOS)
        self._transforms = TransformBroadcaster(node)
        self._selector = HandSelector()
        self._shown: list[MarkerKey] = []
        self._last_header = Header()

    def publish(self, result: FrameResult, header: Header, parameters: HandEstimatorParameters) -> None:
        """Publish the result of a frame; a frame without hands gives an empty cloud.

        Markers and overlay take milliseconds, so they are published last, and only for subscribers. They share one
        mesh.
        """
        self._last_header = header
        published = self._selector.select(result.hands)
        for primary in (item for item in published if item.primary):
            for topic, (_, build) in _SIDE_TOPICS.items():
                self._of_side[primary.pose.side, topic].publish(build(primary, header))
        self._publish_transforms(published, header, parameters.publish_tf)
        self._hands.publish(hands_cloud([item.pose for item in published], header))
        with_markers, with_overlay = (
            publisher.get_subscription_count() > 0 for publisher in (self._markers, self._overlay)
        )
        hands: Sequence[HandPose] = result.hands
        if with_markers or (with_overlay and parameters.overlay_mesh):
            meshed = {id(item.pose): replace(item.pose, mesh=hand_mesh(item.pose)) for item in published}
            published = [replace(item, pose=meshed[id(item.pose)]) for item in published]
            hands = [meshed.get(id(pose), pose) for pose in hands]
        if with_markers:
            self._publish_markers(published, header, parameters.marker_lifetime_s)
        else:
            self._shown = []  # the lifetime removes markers from a display that reconnects
        if with_overlay:
            drawn = draw_overlay(
                result.frame.image_bgr,
                result.frame.camera,
                hands,
                result.detections,
                parameters.overlay_mesh,
            )
            self._overlay.publish(image_message(drawn, header))

    def clear(self) -> None:
        """Remove all markers from displays."""
        self._markers.publish(delete_all(self._last_header))
        self._shown = []

    def set_frame_prefix(self, prefix: str) -> None:
        """Set the prefix of all hands' TF frames."""
        self._selector.frame_prefix = prefix

    def reset(self) -> None:
        """Forget which hands were primary."""
        self._selector.reset()

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._lifecycle_publishers():
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.destroy_publisher(self._transforms.pub_tf)

    def _lifecycle_publishers(self) -> Iterable[LifecyclePublisher]:
        # create_lifecycle_publisher states the base class.
        return (*self._of_side.values(), self._hands, self._markers, self._overlay)  # pyright: ignore[reportReturnType]

    def _publish_transforms(self, published: list[PublishedHand], header: Header, which: str) -> None:
        # A transform needs a parent: images without a frame give none.
        if which == "none" or not published or not header.frame_id:
            return
        joints = which == "all"
        self._transforms.sendTransform(
            [transform for item in published for transform in hand_transforms(item, header, joints)]
        )

    def _publish_markers(self, published: list[PublishedHand], header: Header, lifetime_s: float) -> None:
        message = markers(published, header, lifetime_s, self._shown)
        self._shown = keys(message.markers)
        if message.markers:
            self._markers.publish(message)
