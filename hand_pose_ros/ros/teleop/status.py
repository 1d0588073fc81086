"""The module reports the health of the hand_teleop in four statuses."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from diagnostic_msgs.msg import DiagnosticStatus

from hand_pose_ros.retargeting.frame_check import residual_text
from hand_pose_ros.retargeting.teleoperation.engagement import Change, State
from hand_pose_ros.ros.shared.diagnostics import RollingStatistics, status
from hand_pose_ros.ros.shared.faults import Fault, FaultLog, worst

_LEVELS: Final = {
    State.HOLDING: DiagnosticStatus.WARN,
    State.LATCHED: DiagnosticStatus.WARN,
    State.STOPPED: DiagnosticStatus.ERROR,
}
ROBOT_FAULTS: Final = ("robot", "robot_description", "other publishers", "joint state")
"""The kinds of fault that belong to the robot."""
_RESIDUALS: Final = 90
"""Images of which the residuals are summed up."""


@dataclass(frozen=True)
class RobotReport:
    """State of the robot: command topic, subscribers, other publishers, and why its joint state is not known."""

    topic: str
    subscribers: int
    others: tuple[str, ...]
    state_topic: str
    why_unknown: str
    commands: int


class TeleopStatus:
    """Counters and times of the node, written and read by the executor's thread."""

    def __init__(self, faults: FaultLog) -> None:
        self._faults = faults
        self._times_ms = RollingStatistics()
        self._residuals_mm = RollingStatistics(_RESIDUALS)
        self._residuals_m: Mapping[str, float] = {}
        self.start()

    def start(self) -> None:
        """Start again, for an activation."""
        self._changes = 0
        self._changed_s = time.monotonic()
        self.hand = ""
        self.refused = ""
        self._times_ms.clear()
        self._residuals_mm.clear()
        self._residuals_m = {}

    def changed(self, change: Change) -> None:
        """Count a change of state."""
        self._changes += 1
        self._changed_s = time.monotonic()
        if change.new.active:
            self.refused = ""

    def timed(self, name: str, seconds: float) -> None:
        """Add a duration."""
        self._times_ms.add({name: 1e3 * seconds})

    def residuals(self, largest_m: Mapping[str, float]) -> None:
        """Add the largest distance of each part of the robot hand from its target, metres."""
        self._residuals_m = largest_m
        self._residuals_mm.add({part: 1e3 * residual for part, residual in largest_m.items()})

    def statuses(
        self, name: str, lifecycle: str, state: State, reason: str, robot: RobotReport | None
    ) -> list[DiagnosticStatus]:
        """The statuses of engagement, robot, retargeting and latency.

        Args:
            name: prefix of the statuses' names.
            lifecycle: label of the node's lifecycle state.
            robot: None before the robot is known.
        """
        faults = self._faults.take()
        return [
            self._engagement_status(f"{name}: engagement", lifecycle, state, reason, faults),
            _robot_status(f"{name}: robot", lifecycle, robot, faults),
            self._retargeting_status(f"{name}: retargeting"),
            self._latency_status(f"{name}: latency"),
        ]

    def _engagement_status(
        self, name: str, lifecycle: str, state: State, reason: str, faults: Mapping[str, Fault]
    ) -> DiagnosticStatus:
        level, message = worst({k: fault for k, fault in faults.items() if k not in ROBOT_FAULTS})
        level = max(level, _LEVELS.get(state, DiagnosticStatus.OK))
        text = f"{state.value}: {reason}"
        if lifecycle != "active":
            text = f"{lifecycle}; {text}" if state is State.STOPPED else lifecycle
        return status(
            name,
            level,
            "; ".join(filter(None, (text, message))),
            {
                "lifecycle state": lifecycle,
                "state": state.value,
                "reason": reason,
                "time in this state (s)": time.monotonic() - self._changed_s,
                "changes of state": self._changes,
                "hand": self.hand,
                "engaging was refused": self.refused,
            },
        )

    def _retargeting_status(self, name: str) -> DiagnosticStatus:
        values: dict[str, object] = {}
        for part, (median_mm, largest_mm) in self._residuals_mm.percentiles(50, 100).items():
            values[f"{part} residual median (mm)"] = median_mm
            values[f"{part} residual largest (mm)"] = largest_mm
        return status(name, DiagnosticStatus.OK, residual_text(self._residuals_m) or "no hand yet", values)

    def _latency_status(self, name: str) -> DiagnosticStatus:
        values: dict[str, object] = {}
        for stage, (median_ms, p95_ms, p99_ms) in self._times_ms.percentiles(50, 95, 99).items():
            values[f"{stage} median (ms)"] = median_ms
            values[f"{stage} p95 (ms)"] = p95_ms
            values[f"{stage} p99 (ms)"] = p99_ms
        return status(name, DiagnosticStatus.OK, "" if values else "no commands yet", values)


def _robot_status(
    name: str, lifecycle: str, robot: RobotReport | None, faults: Mapping[str, Fault]
) -> DiagnosticStatus:
    level, message = worst({k: fault for k, fault in faults.items() if k in ROBOT_FAULTS})
    if robot is None:
        return status(name, level, message or f"not monitored: the node is {lifecycle}", {})
    if not message and robot.why_unknown:
        level, message = DiagnosticStatus.WARN, robot.why_unknown
    elif not message and not robot.subscribers:
        level, message = DiagnosticStatus.WARN, f"nobody listens on {robot.topic}"
    return status(
        name,
        level,
        message or "connected",
        {
            "command topic": robot.topic,
            "command subscribers": robot.subscribers,
            "other publishers": ", ".join(robot.others),
            "joint state topic": robot.state_topic,
            "joint state": robot.why_unknown or "known",
            "commands sent": robot.commands,
        },
    )
