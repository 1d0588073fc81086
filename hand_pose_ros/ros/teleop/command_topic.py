"""The module looks at the other ends of the command topic: who listens, and who else publishes."""

from __future__ import annotations

import time
from typing import Final

from rclpy.node import Node
from rclpy.publisher import Publisher

_FRESH_S: Final = 0.25
"""The graph is asked again after this time."""


class CommandTopic:
    """Subscribers and other publishers of a topic, asked for at most a few times a second."""

    def __init__(self, node: Node, publisher: Publisher) -> None:
        self._node = node
        self._publisher = publisher
        self.name = publisher.topic_name
        self._asked_s = float("-inf")
        self._subscribers = 0
        self._others: list[str] = []

    @property
    def subscribers(self) -> int:
        """Number of subscriptions that are connected."""
        self._ask()
        return self._subscribers

    @property
    def other_publishers(self) -> list[str]:
        """Full names of the nodes that publish on the topic, besides this one."""
        self._ask()
        return self._others

    def refresh(self) -> None:
        """Ask anew at the next use."""
        self._asked_s = float("-inf")

    def _ask(self) -> None:
        now_s = time.monotonic()
        if now_s - self._asked_s < _FRESH_S:
            return
        self._asked_s = now_s
        self._subscribers = self._publisher.get_subscription_count()
        names = [
            f"{info.node_namespace.rstrip('/')}/{info.node_name}"
            for info in self._node.get_publishers_info_by_topic(self.name)
        ]
        ours = self._node.get_fully_qualified_name()
        if ours in names:
            names.remove(ours)  # once: another node may have our name
        self._others = sorted(names)
