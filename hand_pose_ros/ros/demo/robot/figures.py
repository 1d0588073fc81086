"""Figures of the robot in the demo: steps against the velocity limits, pinches, latencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.mesh.shape import FINGER_RADII_MM
from hand_pose_ros.retargeting.teleoperation.motion import CommandMotion, MotionOptions
from hand_pose_ros.ros.demo.recording import Recording
from hand_pose_ros.ros.demo.robot.demo_robot import DemoRobot
from hand_pose_ros.ros.demo.robot.recording import RobotRecording

CLOSED_PINCH_M: Final = 0.010
"""Distance of the skin of two human fingertips below which a pinch is closed."""
SETTLED_S: Final = 1 / 3
"""A closed pinch counts after this time: until then the robot is on its way."""
_PAUSE_S: Final = 0.5
_FOLLOWING: Final = ("ramping", "engaged")


@dataclass(frozen=True, eq=False)
class Pinch:
    """Thumb and a finger in the f processed frames.

    finger: its name. human_m: (f,) distance from skin to skin: of the fingertip joints, without the thickness of
    the flesh. robot_m: (f,) distance of the fingertip links. NaN where the hand was not found, or the robot's
    joint states were not known. settled: (f,) whether the human's pinch has been closed for :data:`SETTLED_S`.
    """

    finger: str
    human_m: np.ndarray
    robot_m: np.ndarray
    settled: np.ndarray


@dataclass(frozen=True, eq=False)
class RobotFigures:
    """Figures of a run with f processed frames.

    commands: number of commands. step_share: largest change of a joint between two commands, over what its
    velocity limit allows in one output period; step_joint: which joint's. speed_share: largest speed of the
    robot's joints over their velocity limit. engaged: (f,) whether the robot followed, after the approach.
    engaged_after_s: from the first frame; NaN if never. holds: number of holds. pinches: of the thumb and each
    other finger. latencies_s: (k, 2) from the stamp of each image that moved the robot to its command, and to the
    first joint state after the command. slow_motion: factor by which the robot's limits were slowed; speeds,
    steps and times but the latencies are those of the video at its own rate.
    """

    commands: int
    step_share: float
    step_joint: str
    speed_share: float
    engaged: np.ndarray
    engaged_after_s: float
    holds: int
    pinches: tuple[Pinch, ...]
    latencies_s: np.ndarray
    slow_motion: float = 1.0

    def closed_m(self) -> np.ndarray:
        """Distances of the robot's fingertips in all settled pinches, of frames in which the robot followed."""
        chosen = [pinch.robot_m[self.engaged & pinch.settled] for pinch in self.pinches]
        distances = np.concatenate(chosen or [np.empty(0)])
        return distances[np.isfinite(distances)]


def robot_figures(
    robot: DemoRobot, recording: Recording, done: RobotRecording, slow_motion: float = 1.0
) -> RobotFigures:
    """Compute the figures of a recording.

    Args:
        slow_motion: rate of the playing over the video's own, in whose time pinches settle and limits hold.
    """
    stamps = recording.shown_stamps_ns
    states = [done.teleop_state_at(done.shown_ns[stamp]) for stamp in stamps]
    step_share, joint = _largest_step(robot, done, slow_motion)
    reached = [
        (stamp - stamps[0]) * 1e-9 for stamp, state in zip(stamps, states, strict=True) if state == "engaged"
    ]
    return RobotFigures(
        commands=len(done.command_ns),
        step_share=step_share,
        step_joint=joint,
        speed_share=_largest_speed(robot, done, slow_motion),
        engaged=np.array([state == "engaged" for state in states], dtype=bool),
        engaged_after_s=reached[0] * slow_motion if reached else float("nan"),
        holds=sum(text.startswith("holding") for _, text in done.teleop),
        pinches=_pinches(robot, recording, done, slow_motion),
        latencies_s=_latencies(done),
        slow_motion=slow_motion,
    )


def _largest_step(robot: DemoRobot, done: RobotRecording, slow_motion: float) -> tuple[float, str]:
    """Largest step over the allowed one, and its joint. After a pause the robot may stand elsewhere."""
    options = MotionOptions()
    limits = robot.robot.limits(robot.max_velocity_rad_s * slow_motion, options.max_acceleration_rad_s2)
    allowed = limits.velocity_rad_s * CommandMotion(limits, options).period_s
    shares = np.abs(np.diff(done.commands_rad, axis=0)) / allowed
    shares = shares[np.diff(done.command_ns) < _PAUSE_S * 1e9]
    shares = np.nan_to_num(shares)
    if not shares.size:
        return float("nan"), ""
    return float(shares.max()), robot.robot.joint_names[int(shares.max(axis=0).argmax())]


def _largest_speed(robot: DemoRobot, done: RobotRecording, slow_motion: float) -> float:
    """Largest speed of the robot's joints over their velocity limit, over a tenth of a second each."""
    limits = robot.robot.retargeter.robot.velocity_rad_s * slow_motion
    times_s = (done.state_ns - done.state_ns[:1]) * 1e-9
    later = np.searchsorted(times_s, times_s + 0.1 / slow_motion)
    starts = np.flatnonzero(later < len(times_s))
    if not len(starts):
        return float("nan")
    ends = later[starts]
    speeds = (
        np.abs(done.states_rad[ends] - done.states_rad[starts]) / (times_s[ends] - times_s[starts])[:, None]
    )
    return float((speeds / limits).max())


def _pinches(
    robot: DemoRobot, recording: Recording, done: RobotRecording, slow_motion: float
) -> tuple[Pinch, ...]:
    stamps = recording.shown_stamps_ns
    tips = robot.fingertips()
    hand_model = robot.robot.retargeter.robot
    links = hand_model.link_indices(list(tips.values()))
    unknown = np.full((hand.NUM_JOINTS, 3), np.nan)
    joints = [recording.joints_m[robot.side].get(stamp, unknown) for stamp in stamps]
    human = np.array(joints).reshape(-1, hand.NUM_JOINTS, 3)
    known = [done.positions_at(done.shown_ns[stamp]) for stamp in stamps]
    robots = [
        np.full((len(links), 3), np.nan) if q is None else hand_model.link_positions(q, links) for q in known
    ]
    ends = dict(zip(tips, np.array(robots).reshape(-1, len(links), 3).swapaxes(0, 1), strict=True))
    times_s = np.array([stamp - stamps[0] for stamp in stamps]) * 1e-9 * slow_motion
    pinches = []
    for name in tips:
        if name == "thumb_tip" or "thumb_tip" not in tips:
            continue
        gap_m = _skin_distance(human, name)
        robot_m = np.linalg.norm(ends[name] - ends["thumb_tip"], axis=1)
        pinches.append(Pinch(name.removesuffix("_tip"), gap_m, robot_m, _settled(gap_m, times_s)))
    return tuple(pinches)


def _skin_distance(human_m: np.ndarray, tip: str) -> np.ndarray:
    """(f,) distance of the skin of thumb and another fingertip, of joints (f, 21, 3); zero where they touch."""
    thumb, finger = human_m[:, hand.JOINT_INDEX["thumb_tip"]], human_m[:, hand.JOINT_INDEX[tip]]
    anchor = np.linalg.norm(human_m[:, hand.ANCHOR_JOINT] - human_m[:, hand.WRIST], axis=1)
    radii_m = 1e-3 * (FINGER_RADII_MM["thumb"][-1] + FINGER_RADII_MM[tip.removesuffix("_tip")][-1])
    flesh = radii_m * anchor / hand.MEAN_ANCHOR_LENGTH_M
    return np.maximum(np.linalg.norm(finger - thumb, axis=1) - flesh, 0.0)


def _settled(gap_m: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """(f,) whether a pinch has been closed in all frames of the last :data:`SETTLED_S`, of more than one frame."""
    result = np.zeros(len(gap_m), dtype=bool)
    began_s = np.inf
    for frame, (gap, time_s) in enumerate(zip(gap_m, times_s, strict=True)):
        began_s = min(began_s, time_s) if gap < CLOSED_PINCH_M else np.inf
        result[frame] = time_s - began_s >= SETTLED_S
    return result


def _latencies(done: RobotRecording) -> np.ndarray:
    """(k, 2) seconds from each image that moved the robot to its command, and to the next joint state."""
    result = []
    for stamp, received_ns in done.hands_ns.items():
        command = int(np.searchsorted(done.command_ns, received_ns))
        if command == len(done.command_ns) or done.teleop_state_at(received_ns) not in _FOLLOWING:
            continue
        state = int(np.searchsorted(done.state_ns, done.command_ns[command]))
        if state < len(done.state_ns):
            result.append((done.command_ns[command] - stamp, done.state_ns[state] - stamp))
    return np.array(result, dtype=np.float64).reshape(-1, 2) * 1e-9
