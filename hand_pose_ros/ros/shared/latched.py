"""Topics whose publishers keep the newest message for late subscribers."""

from __future__ import annotations

from typing import Final

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

LATCHED: Final = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)
QUIET: Final = SubscriptionEventCallbacks(use_default_callbacks=False)
"""By default, rclpy logs a warning for each publisher that cannot serve a subscription."""


def has_latched_publisher(node: Node, topic: str) -> bool:
    """Return whether a publisher of the topic, a full name, keeps its messages.

    Subscribe as ``LATCHED`` only then: other publishers would log a warning that they cannot serve it.
    """
    publishers = node.get_publishers_info_by_topic(topic)
    return any(one.qos_profile.durability == LATCHED.durability for one in publishers)
