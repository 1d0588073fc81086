"""Start of the package's lifecycle nodes, and handling of transitions that fail or do not exist."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from rclpy.clock import Clock, ClockType  # pyright: ignore[reportPrivateImportUsage] - defined here in Humble
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

AnyNode = TypeVar("AnyNode", bound=LifecycleNode)
Transition = Callable[[AnyNode, LifecycleState], TransitionCallbackReturn]


def logged(transition: Transition[AnyNode]) -> Transition[AnyNode]:
    """Log an exception in a transition, which rclpy turns into an error silently."""

    @functools.wraps(transition)
    def run(self: AnyNode, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return transition(self, state)
        except Exception as error:
            self.get_logger().error(f"{transition.__name__} failed: {type(error).__name__}: {error}")
            return TransitionCallbackReturn.ERROR

    return run


def start_by_itself(node: LifecycleNode) -> None:
    """Configure and activate the node as soon as its executor spins, as a lifecycle manager would.

    ``ros2 launch`` can do that too, but ends with an exception if it is stopped before the node answers.
    """

    def start() -> None:
        node.destroy_timer(timer)
        try:
            if node.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                node.trigger_activate()
        except rclpy_implementation.RCLError:  # somebody else was faster
            node.get_logger().info("not started by itself: another node has changed its state")

    # Simulated time may stand still.
    timer = node.create_timer(0.0, start, clock=Clock(clock_type=ClockType.STEADY_TIME))


def survive_impossible_transitions(node: LifecycleNode, label: Callable[[], str]) -> None:
    """Reject a transition that the state does not allow; rclpy raises, which would end the process.

    Args:
        label: gives the label of the node's lifecycle state.
    """
    service: Any = node._service_change_state  # pyright: ignore[reportPrivateUsage]
    change_state = service.callback

    def guarded(request: Any, response: Any) -> Any:
        try:
            return change_state(request, response)
        except rclpy_implementation.RCLError as error:
            node.get_logger().warning(f"there is no such transition from {label()}: {error}")
            response.success = False
            return response

    service.callback = guarded
