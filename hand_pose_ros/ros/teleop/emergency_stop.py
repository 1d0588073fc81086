"""The emergency stop is heard in every lifecycle state, on a topic and by a service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from rclpy.clock import Clock
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from hand_pose_ros.ros.shared.latched import LATCHED, QUIET, has_latched_publisher

SWITCH_QOS: Final = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
"""Connects to publishers of either reliability."""
_TOPIC: Final = "e_stop"
_SEARCH_S: Final = 0.25
"""The graph is searched for publishers this often."""


class EmergencyStop:
    """Calls ``on_level`` with each level of the topic ``e_stop``, and ``on_service`` for a call of ``~/e_stop``.

    Two subscriptions: a reliable one, since a level that is sent once must not be lost, and one of best effort for
    publishers that offer no more; such a publisher logs a warning that it cannot serve the first. Where one
    keeps its level for late subscribers, a third one receives it.
    """

    def __init__(
        self,
        node: LifecycleNode,
        on_level: Callable[[bool], None],
        on_service: Callable[[], str],
        clock: Clock,
    ) -> None:
        """Listen until the node is destroyed.

        Args:
            on_service: stops, and returns the message of the answer.
            clock: a steady one.
        """
        self._node = node
        self._on_level = on_level
        self._on_service = on_service
        self._topic = node.resolve_topic_name(_TOPIC)
        self._subscriptions: list[Any] = []
        for qos in (QoSProfile(depth=SWITCH_QOS.depth), SWITCH_QOS):
            self._subscribe(qos)
        self._service: Any = node.create_service(Trigger, "~/e_stop", self._answer)
        self._timer = node.create_timer(_SEARCH_S, self._search, clock=clock)

    def poll(self) -> None:
        """Handle what has arrived, for a callback that keeps the executor from doing so."""
        for subscription in self._subscriptions:
            with subscription.handle:
                while (taken := subscription.handle.take_message(Bool, False)) is not None:
                    self._on_message(taken[0])
        with self._service.handle:
            request, header = self._service.handle.service_take_request(Trigger.Request)
        if header is not None:
            self._service.send_response(self._answer(request, Trigger.Response()), header)

    def _subscribe(self, qos: QoSProfile) -> None:
        self._subscriptions.append(
            self._node.create_subscription(Bool, _TOPIC, self._on_message, qos, event_callbacks=QUIET)
        )

    def _search(self) -> None:
        """Connect to a publisher that keeps its level, if there is one."""
        if has_latched_publisher(self._node, self._topic):
            self._subscribe(LATCHED)
            self._node.destroy_timer(self._timer)

    def _on_message(self, message: Bool) -> None:
        self._on_level(message.data)

    def _answer(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = self._on_service()
        response.success = True
        return response
