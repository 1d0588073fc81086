"""Publishes lasting transforms on /tf_static, with the interface of tf2_ros.StaticTransformBroadcaster."""

from __future__ import annotations

from collections.abc import Iterable

from geometry_msgs.msg import TransformStamped
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from tf2_ros.transform_broadcaster import as_list


class StaticTransformBroadcaster:
    """Publisher of transforms that do not change; a late subscriber gets all that were sent."""

    def __init__(self, node: Node, qos: QoSProfile | int | None = None) -> None:
        if qos is None:
            qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self.pub_tf = node.create_publisher(TFMessage, "/tf_static", qos)
        self._transforms: dict[str, TransformStamped] = {}

    def sendTransform(self, transform: TransformStamped | Iterable[TransformStamped]) -> None:  # noqa: N802
        """Add one transform or several, replacing those of the same child frame, and publish all sent so far."""
        self._transforms.update({sent.child_frame_id: sent for sent in as_list(transform)})
        self.pub_tf.publish(TFMessage(transforms=list(self._transforms.values())))
