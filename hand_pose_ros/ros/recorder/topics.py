"""The topics that the recorder wants, and subscriptions to them as their publishers appear."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final, NamedTuple

from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from hand_pose_ros import hand
from hand_pose_ros.recordings.description import EpisodeDescription
from hand_pose_ros.recordings.episode_writer import Message
from hand_pose_ros.video.camera_topics import camera_info_topic

_DEPTH: Final = 200
_LATCHED_DEPTH: Final = 20


class WantedTopic(NamedTuple):
    """A topic by its full name; without a message on a ``needed`` one no recording begins."""

    name: str
    needed: bool = False


@dataclass
class _Topic:
    """One wanted topic: what is known of it."""

    needed: bool
    latched: bool = False
    count: int = 0
    last_s: float = float("-inf")
    problem: str = "nothing publishes it"
    handles: list[Any] = field(default_factory=list)


def wanted_topics(description: EpisodeDescription, others: Sequence[str] = ()) -> list[WantedTopic]:
    """The topics of an episode: the estimator's, the teleoperation's, the robot's.

    Args:
        others: full names of further topics.
    """
    described, space = description, description.namespace.rstrip("/")
    topics = [WantedTopic(described.image, True), WantedTopic(f"{space}/hands", True)]
    topics += [WantedTopic(camera_info_topic(described.image))]
    topics += [
        WantedTopic(f"{space}/{side}/{topic}")
        for side in hand.SIDES
        for topic in ("joints", "joint_states", "wrist")
    ]
    topics += [WantedTopic(described.joint_states, True), WantedTopic(described.command)]
    topics += [WantedTopic(described.teleop_state)]
    topics += [
        WantedTopic(f"{space}/{topic}") for topic in ("wrist_target", "wrist_twist", "robot_description")
    ]
    topics += [
        WantedTopic(name) for name in ("/robot_description", "/tf", "/tf_static", "/diagnostics", *others)
    ]
    found: dict[str, WantedTopic] = {}
    for topic in topics:
        if topic.name:
            found.setdefault(topic.name, topic)
    return list(found.values())


def subscription_qos(publishers: Sequence[TopicEndpointInfo]) -> QoSProfile:
    """The best quality that all publishers offer; with none, one that every publisher can serve."""
    profiles = [publisher.qos_profile for publisher in publishers]
    reliable = profiles and all(one.reliability == ReliabilityPolicy.RELIABLE for one in profiles)
    latched = profiles and all(one.durability == DurabilityPolicy.TRANSIENT_LOCAL for one in profiles)
    return QoSProfile(
        depth=_DEPTH,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )


def message_class(msgtype: str) -> type:
    """The class of a message, 'std_msgs/msg/String'.

    Raises:
        ValueError: its package is not installed, or has no such message.
    """
    package, _, name = msgtype.replace("/msg/", "/").partition("/")
    try:
        return getattr(import_module(f"{package}.msg"), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"its type {msgtype} is not installed: {error}") from error


class TopicSubscriptions:
    """Subscribes to each wanted topic as soon as something publishes it, with the publishers' quality of service.

    :meth:`look` and the callbacks run in the executor's thread; the other methods may be called from any thread.
    """

    def __init__(
        self, node: Node, wanted: Sequence[WantedTopic], receive: Callable[[Message, bool], None]
    ) -> None:
        """Start without a subscription.

        Args:
            receive: called with each message, and whether its topic is latched.
        """
        self._node, self._receive = node, receive
        self._topics = {topic.name: _Topic(topic.needed) for topic in wanted}

    def look(self) -> None:
        """Look for publishers of the topics that are not subscribed to yet."""
        waiting = {name: topic for name, topic in self._topics.items() if not topic.handles}
        if not waiting:
            return
        for name, types in self._node.get_topic_names_and_types():
            topic = waiting.get(name)
            if topic is None:
                continue
            publishers = self._node.get_publishers_info_by_topic(name)
            if not publishers:
                continue
            if len(types) > 1:
                topic.problem = f"it has publishers of several types: {', '.join(sorted(types))}"
                continue
            try:
                kind = message_class(types[0])
            except ValueError as error:
                topic.problem = str(error)
                continue
            qos = subscription_qos(publishers)
            topic.latched = qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
            topic.problem = "its publisher is silent"
            topic.handles.append(
                self._node.create_subscription(
                    kind, name, self._receiver(name, types[0], topic), qos, raw=True
                )
            )

    def missing(self) -> dict[str, str]:
        """Needed topic -> why there is no message yet."""
        return {name: one.problem for name, one in self._topics.items() if one.needed and not one.count}

    def silent(self) -> dict[str, str]:
        """Any topic -> why there is no message yet."""
        return {name: one.problem for name, one in self._topics.items() if not one.count}

    def stalled(self, longest_s: float) -> dict[str, float]:
        """Needed topic -> seconds since its last message, where these are more than ``longest_s``."""
        now_s = time.monotonic()
        ages = {name: now_s - one.last_s for name, one in self._topics.items() if one.needed and one.count}
        return {name: age_s for name, age_s in ages.items() if age_s > longest_s}

    def _receiver(self, name: str, msgtype: str, topic: _Topic) -> Callable[[bytes], None]:
        def receive(serialised: bytes) -> None:
            topic.count += 1
            topic.last_s = time.monotonic()
            self._receive(Message(name, msgtype, bytes(serialised), time.time_ns()), topic.latched)

        return receive
