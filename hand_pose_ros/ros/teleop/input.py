"""The teleop input subscribes to the estimator's hands and joins what belongs to one image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from hand_pose_ros import hand
from hand_pose_ros.retargeting.teleoperation.observed_hand import HandsInView, ObservedHand
from hand_pose_ros.retargeting.teleoperation.wrist_frames import WristFrames
from hand_pose_ros.ros.messages.observed_hands import (
    hand_from_poses,
    hands_from_cloud,
    stamp_s,
    wrist_measurement,
)
from hand_pose_ros.ros.shared.faults import FaultLog
from hand_pose_ros.ros.shared.polled_subscription import PolledSubscription

# Best effort connects to publishers of either reliability; only the newest hand counts.
NEWEST: Final = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
_OTHER_HAND_S: Final = 0.3
"""Age up to which the other side's hand is in view."""

OnView = Callable[[HandsInView, Header], None]


class HandInput:
    """Calls ``on_view`` with the hands of each image, and ``on_poses`` with the poses of a side."""

    def __init__(
        self,
        node: LifecycleNode,
        source: str,
        side: str,
        faults: FaultLog,
        on_view: OnView,
        on_poses: Callable[[PoseArray, str], None] | None,
    ) -> None:
        """Subscribe.

        Args:
            source: 'hands' or 'joints'.
            side: the hand whose wrist is of interest.
            on_poses: None if nobody wants the bone frames.
        """
        self._node = node
        self._source = source
        self._side = side
        self._faults = faults
        self._on_view = on_view
        self._on_poses = on_poses
        self._wrists = WristFrames(side)
        self._hands: dict[str, tuple[float, ObservedHand]] = {}
        self._wrist = PolledSubscription(node, PoseWithCovarianceStamped, f"{side}/wrist", NEWEST)
        self._subscriptions = []
        self.topic = node.resolve_topic_name("hands" if source == "hands" else f"{side}/joints")
        if source == "hands":
            self._subscriptions.append(node.create_subscription(PointCloud2, "hands", self._on_cloud, NEWEST))
        if source == "joints" or on_poses is not None:
            self._subscriptions += [
                node.create_subscription(PoseArray, f"{one}/joints", partial(self._on_joints, one), NEWEST)
                for one in hand.SIDES
            ]

    def close(self) -> None:
        """End the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self._wrist.close()

    def _take_wrist(self) -> None:
        """Take the newest wrist, which the estimator publishes before its hand."""
        message = self._wrist.take()
        if message is None:
            return
        time_s = stamp_s(message.header.stamp)
        measured = self._read(wrist_measurement, message, f"{self._side}/wrist")
        if measured is not None and time_s is not None:
            self._wrists.add(time_s, *measured)

    def _on_cloud(self, message: PointCloud2) -> None:
        view = self._read(hands_from_cloud, message, self.topic)
        if view is None:
            return
        self._take_wrist()
        hands = tuple(self._wrists.joined(one, view.stamp_s) for one in view.hands)
        self._on_view(replace(view, hands=hands), message.header)

    def _on_joints(self, side: str, message: PoseArray) -> None:
        if self._on_poses is not None:
            self._on_poses(message, side)
        if self._source != "joints":
            return
        observed = self._read(partial(hand_from_poses, side=side), message, f"{side}/joints")
        time_s = stamp_s(message.header.stamp)
        if observed is None:
            return
        self._take_wrist()
        if time_s is not None:
            self._hands[side] = (time_s, observed)
        if side == self._side:
            others = [
                other
                for name, (other_s, other) in self._hands.items()
                if name != side and time_s is not None and abs(time_s - other_s) < _OTHER_HAND_S
            ]
            view = HandsInView((self._wrists.joined(observed, time_s), *others), time_s)
            self._on_view(view, message.header)

    def _read(self, read: Callable[[Any], Any], message: Any, topic: str) -> Any:
        """The content of a message, or None if it is malformed, which is reported."""
        kind = f"malformed {topic}"
        try:
            result = read(message)
        except ValueError as error:
            self._faults.report(kind, f"a message on {topic} cannot be used: {error}", DiagnosticStatus.ERROR)
            return None
        self._faults.clear(kind)
        return result
