"""The module resolves the camera's topics and explains why no image arrives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from sensor_msgs.msg import CompressedImage, Image

from hand_pose_ros.video.camera_topics import camera_info_topic

_TYPE_NAMES: Final = {"raw": "sensor_msgs/msg/Image", "compressed": "sensor_msgs/msg/CompressedImage"}
MESSAGE_TYPES: Final = {"raw": Image, "compressed": CompressedImage}


@dataclass(frozen=True)
class CameraTopics:
    """Fully qualified names.

    image: the subscribed topic. base: the image topic without its transport. camera_info: its calibration.
    """

    image: str
    base: str
    camera_info: str


def resolve_topics(resolve: Callable[..., str], transport: str) -> CameraTopics:
    """The camera's topics by image_transport's convention: ``camera_info`` lies beside the remapped image topic.

    A remapping of ``camera_info`` or ``image/compressed`` overrides the convention.

    Args:
        resolve: ``Node.resolve_topic_name``.
        transport: 'raw' or 'compressed'.
    """

    def remapped(name: str) -> str | None:
        target = resolve(name)
        return None if target == resolve(name, only_expand=True) else target

    base = resolve("image")
    image = base
    if transport == "compressed":
        image = remapped("image/compressed") or f"{base}/compressed"
        base = image.removesuffix("/compressed")
    return CameraTopics(image, base, remapped("camera_info") or camera_info_topic(base))


def why_nothing_comes(node: Node, topics: CameraTopics, transport: str, qos: QoSProfile) -> str:
    """The likely reason why no image arrives: no publisher, another type, another QoS, or a silent publisher."""
    wanted = _TYPE_NAMES[transport]
    publishers = node.get_publishers_info_by_topic(topics.image)
    if not publishers:
        present = sorted(
            name.removesuffix("/compressed") if transport == "compressed" else name
            for name, types in node.get_topic_names_and_types()
            if wanted in types and name != topics.image and _others_publish(node, name)
        )
        return "nothing publishes it" + (f"; there are images on {', '.join(present)}" if present else "")
    of_type = [publisher for publisher in publishers if publisher.topic_type == wanted]
    if not of_type:
        return f"its type is {publishers[0].topic_type}, not {wanted} (see the parameter image_transport)"
    for publisher in of_type:
        compatibility, reason = qos_check_compatible(publisher.qos_profile, qos)
        if compatibility == QoSCompatibility.ERROR:
            return f"its publisher {publisher.node_name} has an incompatible QoS: {reason.strip()}"
    return f"its publisher {of_type[0].node_name} is silent"


def _others_publish(node: Node, topic: str) -> bool:
    """Whether a topic has a publisher that is not of this node: its overlay is no camera."""
    own = (node.get_name(), node.get_namespace())
    return any((one.node_name, one.node_namespace) != own for one in node.get_publishers_info_by_topic(topic))
