"""The command that a robot hand's driver expects: topic, message, order, names, units, signs and offsets.

``value = factor * (sign * position + offset_rad)``, where the factor turns radians into the driver's unit.
The same numbers read the driver's joint state back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hand_pose_ros.retargeting.robot_hand import Array

KINDS: Final = ("trajectory", "multi_array", "joint_state")
"""trajectory_msgs/JointTrajectory, std_msgs/Float64MultiArray, sensor_msgs/JointState."""
UNITS: Final = {"rad": 1.0, "deg": 180 / math.pi}
"""Unit -> factor from radians."""


@dataclass(frozen=True)
class JointCommand:
    """One value of a command.

    joint: joint of the URDF, independent or mimic. name: as the driver calls it; '' for the same.
    sign: 1 or -1. offset_rad: the driver's value, in radians, where the URDF's position is zero.
    factor: a further factor, after the unit's.
    """

    joint: str
    name: str = ""
    sign: float = 1.0
    offset_rad: float = 0.0
    factor: float = 1.0

    def __post_init__(self) -> None:
        if self.sign not in (-1.0, 1.0):
            raise ValueError(f"sign must be 1 or -1, got {self.sign}")
        if self.factor == 0:
            raise ValueError("factor must not be zero")


@dataclass(frozen=True)
class CommandOutput:
    """The command of one robot hand.

    topic: where the driver listens. kind: one of :data:`KINDS`.
    joints: one entry a value, in the driver's order; empty for all independent joints by their own names.
    units: 'rad' or 'deg'. by_order: the driver ignores the names of a JointState.
    state_topic, state_units, state_by_order: where the driver publishes its sensor_msgs/JointState, in which
        units, and whether it is read by order.
    longest_silence_s: the driver stops the hand if no command comes for this time; 0 if it does not.
    """

    topic: str
    kind: str
    joints: tuple[JointCommand, ...] = ()
    units: str = "rad"
    by_order: bool = False
    state_topic: str = "/joint_states"
    state_units: str = "rad"
    state_by_order: bool = False
    longest_silence_s: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind!r}")
        for name in ("units", "state_units"):
            if getattr(self, name) not in UNITS:
                raise ValueError(f"{name} must be one of {', '.join(UNITS)}, got {getattr(self, name)!r}")
        for name in ("topic", "state_topic"):
            if not getattr(self, name):
                raise ValueError(f"{name} must not be empty")
        joints = [joint.joint for joint in self.joints]
        if repeated := sorted({joint for joint in joints if joints.count(joint) > 1}):
            raise ValueError(f"joints must not repeat, but {', '.join(repeated)} does")

    def for_joints(self, joint_names: Sequence[str]) -> tuple[JointCommand, ...]:
        """The entries, which are all of ``joint_names`` where the profile names none.

        Raises:
            ValueError: an entry names a joint that is not in ``joint_names``.
        """
        entries = self.joints or tuple(JointCommand(name) for name in joint_names)
        if unknown := [entry.joint for entry in entries if entry.joint not in joint_names]:
            raise ValueError(
                f"the command names {', '.join(unknown)}; the robot's joints are {', '.join(joint_names)}"
            )
        return entries

    def names(self, joint_names: Sequence[str]) -> tuple[str, ...]:
        """Names of the values, as the driver calls them, in the driver's order."""
        return tuple(entry.name or entry.joint for entry in self.for_joints(joint_names))

    def values(self, joint_names: Sequence[str], positions_rad: Array) -> Array:
        """Values (k,) of a command, in the driver's order and units.

        Args:
            joint_names: of ``positions_rad`` (m,): the robot's joints, mimic joints too if the command has
                some.
        """
        entries = self.for_joints(joint_names)
        index = dict(zip(joint_names, positions_rad, strict=True))
        scale = UNITS[self.units]
        return np.array([e.factor * scale * (e.sign * index[e.joint] + e.offset_rad) for e in entries])

    def positions(self, joint_names: Sequence[str], state: Mapping[str, float] | Sequence[float]) -> Array:
        """Positions (m,) of ``joint_names`` from the driver's joint state; NaN of joints that it does not hold.

        Args:
            state: value by the driver's name; or the values in the driver's order.

        Raises:
            ValueError: values in order, but not as many as the command has.
        """
        entries = self.for_joints(joint_names)
        if not isinstance(state, Mapping):
            if len(state) != len(entries):
                raise ValueError(f"the joint state must hold {len(entries)} values, got {len(state)}")
            state = {entry.name or entry.joint: value for entry, value in zip(entries, state, strict=True)}
        positions = np.full(len(joint_names), np.nan)
        scale = UNITS[self.state_units]
        for entry in entries:
            value = state.get(entry.name or entry.joint, math.nan)
            positions[joint_names.index(entry.joint)] = entry.sign * (
                value / (entry.factor * scale) - entry.offset_rad
            )
        return positions
