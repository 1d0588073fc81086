"""A subscription without a callback: its message is taken when it is wanted, and wakes nobody before."""

from __future__ import annotations

from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.qos import QoSProfile


class PolledSubscription:
    """Keeps the newest message of a topic until it is taken.

    For a message that means nothing without another one, which comes after it: an executor would wake up for
    each of the two.
    """

    def __init__(self, node: Node, kind: Any, topic: str, qos: QoSProfile) -> None:
        """Subscribe to a topic of the message type ``kind``; ``qos`` should keep one message."""
        self._node = node
        self._called_with: Any = None
        self._subscription = node.create_subscription(
            kind, topic, self._on_message, qos, callback_group=_NeverReady()
        )

    def take(self) -> Any:
        """The newest message that has not been taken, or None."""
        handle = self._subscription.handle
        with handle:
            taken = handle.take_message(self._subscription.msg_type, self._subscription.raw)
        newest = self._called_with if taken is None else taken[0]
        self._called_with = None
        return newest

    def close(self) -> None:
        """End the subscription."""
        self._node.destroy_subscription(self._subscription)

    def _on_message(self, message: Any) -> None:
        self._called_with = message  # by an executor that knows no callback groups


class _NeverReady(CallbackGroup):
    """Callbacks that an executor neither calls nor waits for."""

    def can_execute(self, entity: Any) -> bool:  # noqa: ARG002 - the base class' argument
        """Nothing can."""
        return False

    def beginning_execution(self, entity: Any) -> bool:  # noqa: ARG002 - the base class' argument
        """Nothing begins."""
        return False

    def ending_execution(self, entity: Any) -> None:
        """Nothing ends."""
