"""The closing words of a demo with a robot, and what its video needs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hand_pose_ros.ros.demo.recording import Recording
from hand_pose_ros.ros.demo.robot.demo_robot import DemoRobot
from hand_pose_ros.ros.demo.robot.figures import CLOSED_PINCH_M, SETTLED_S, RobotFigures, robot_figures
from hand_pose_ros.ros.demo.robot.panel import RobotPanel
from hand_pose_ros.ros.demo.robot.recording import RobotTopics, read_robot_recording


@dataclass(frozen=True, eq=False)
class RobotResult:
    """A recording's robot: figures, and the panel of the video."""

    figures: RobotFigures
    panel: RobotPanel

    def report(self) -> str:
        """The figures with their meaning as text."""
        figures = self.figures
        count = len(figures.engaged)
        rows = [
            ("followed", f"{figures.engaged.sum()} of {count} frames{_engaged_text(figures)}"),
            ("commands", f"{figures.commands} sent"),
        ]
        if figures.slow_motion < 1:
            rows.append(
                (
                    "slow motion",
                    f"the robot's limits are those of {figures.slow_motion:.2f} of the video's rate",
                )
            )
        if figures.step_joint:
            rows.append(
                (
                    "largest step",
                    f"{figures.step_share:.2f} of what the velocity limit allows from command to command "
                    f"({figures.step_joint}); the robot's fastest joint {figures.speed_share:.2f} of its limit",
                )
            )
        rows += _pinch_rows(figures)
        rows.append(("latency", _latency_text(figures)))
        return "\n".join(f"  {name:<14}{text}" for name, text in rows if text)


def robot_result(
    folder: Path, recording: Recording, robot: DemoRobot, topics: RobotTopics, slow_motion: float = 1.0
) -> RobotResult:
    """Read the robot's part of the bag in ``folder`` beside its ``recording``.

    Args:
        slow_motion: factor by which the robot's limits were slowed.
    """
    done = read_robot_recording(folder, robot, topics)
    figures = robot_figures(robot, recording, done, slow_motion)
    return RobotResult(figures, RobotPanel(robot, done, recording.shown_stamps_ns, figures.pinches))


def robot_topics(robot: DemoRobot, namespace: str) -> RobotTopics:
    """The topics of a robot's recording, whose nodes are in ``namespace``."""

    def full(topic: str) -> str:
        return topic if topic.startswith("/") else f"{namespace}/{topic}"

    return RobotTopics(
        commands=full(robot.command_topic),
        joint_states=full(robot.state_topic),
        teleop_state=full("hand_teleop/state"),
        hands=full("hands"),
        overlay=full("image_overlay/compressed"),
    )


def _engaged_text(figures: RobotFigures) -> str:
    if not figures.engaged.any():
        return "; it was never engaged"
    held = (
        f", {figures.holds} hold{'' if figures.holds == 1 else 's'}" if figures.holds else ", without a hold"
    )
    return f", engaged {figures.engaged_after_s:.1f} s after the first{held}"


def _pinch_rows(figures: RobotFigures) -> list[tuple[str, str]]:
    if not figures.pinches:
        return []
    robot_m, within = figures.closed_m(), f"{1e3 * CLOSED_PINCH_M:.0f} mm"
    rows = [
        (
            "pinches",
            f"{len(robot_m)} frames with human fingertips within {within} for {SETTLED_S:.2f} s; the robot's were "
            f"{1e3 * np.median(robot_m):.1f} mm apart (median), {1e3 * robot_m.max():.1f} mm at most"
            if len(robot_m)
            else f"none: no two human fingertips stayed within {within} for {SETTLED_S:.2f} s",
        )
    ]
    for pinch in figures.pinches:
        known = np.flatnonzero(figures.engaged & np.isfinite(pinch.human_m + pinch.robot_m))
        if len(known):
            human_m, closest_m = pinch.human_m[known].min(), pinch.robot_m[known].min()
            text = f"closest: human {1e3 * human_m:.1f} mm, robot {1e3 * closest_m:.1f} mm"
            rows.append((f"thumb-{pinch.finger}", text))
    return rows


def _latency_text(figures: RobotFigures) -> str:
    if not len(figures.latencies_s):
        return ""
    parts = [
        f"to {name} {1e3 * np.median(column):.0f} ms (p99 {1e3 * np.percentile(column, 99):.0f})"
        for name, column in zip(
            ("the command", "the robot's next joint state"), figures.latencies_s.T, strict=True
        )
    ]
    return f"median from the image {', '.join(parts)}"
