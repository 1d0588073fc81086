"""The teleoperated robot: retargeter and limits from a profile and a URDF, and the language of its driver."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from hand_pose_ros.common.shapes import Array
from hand_pose_ros.retargeting.command_output import CommandOutput
from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.profile import RobotProfile
from hand_pose_ros.retargeting.retargeter import Retargeter
from hand_pose_ros.retargeting.teleoperation.limiter import JointLimits

GENERATED: Final = "generated"
"""The value of a profile's ``urdf`` for the hand that this package generates."""
_XACRO_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, eq=False)
class TeleopRobot:
    """One robot hand with its driver. ``output`` says topic, kind, order and units of the commands."""

    retargeter: Retargeter
    output: CommandOutput

    @property
    def joint_names(self) -> tuple[str, ...]:
        """The n independent joints; positions (n,) have their order."""
        return self.retargeter.joint_names

    @property
    def addressed_joints(self) -> tuple[str, ...]:
        """The joints that a command may hold: mimic joints only if the profile lists the command's joints."""
        robot = self.retargeter.robot
        return robot.all_joint_names if self.output.joints else robot.joint_names

    @property
    def reported_joints(self) -> tuple[str, ...]:
        """The independent joints whose state the driver reports."""
        driven = {entry.joint for entry in self.output.for_joints(self.addressed_joints)}
        return tuple(name for name in self.joint_names if name in driven)

    @property
    def value_names(self) -> tuple[str, ...]:
        """Names of the values of a command, as the driver calls them."""
        return self.output.names(self.addressed_joints)

    def limits(self, velocity_rad_s: float, acceleration_rad_s2: float) -> JointLimits:
        """Limits of the joints: the URDF's, with velocities of at most ``velocity_rad_s``."""
        robot = self.retargeter.robot
        return JointLimits(
            robot.lower_rad,
            robot.upper_rad,
            np.minimum(robot.velocity_rad_s, velocity_rad_s),
            np.full(robot.num_joints, acceleration_rad_s2),
        )

    def command_values(self, positions_rad: Array) -> Array:
        """Values (k,) of a command in the driver's order and units, from positions (n,)."""
        positions = self.retargeter.robot.expand(positions_rad) if self.output.joints else positions_rad
        return self.output.values(self.addressed_joints, positions)

    def state_values(self, positions_rad: Array) -> Array:
        """Values (k,) of the driver's joint state, for one that stands in for it, from positions (n,)."""
        output = replace(self.output, units=self.output.state_units)
        return TeleopRobot(self.retargeter, output).command_values(positions_rad)

    def commanded(self, names: Sequence[str], values: Sequence[float]) -> Array:
        """Positions (n,) of a command as the driver understands it; NaN of joints that it does not hold.

        Args:
            names: empty, or not of interest to the driver, for values by order.

        Raises:
            ValueError: a name is none of the driver's, or there are not as many values as the driver expects.
        """
        output = replace(self.output, state_units=self.output.units)
        state: Mapping[str, float] | Sequence[float] = values
        if names and not output.by_order:
            if unknown := sorted(set(names) - set(self.value_names)):
                raise ValueError(f"it names {', '.join(unknown)}, which are no joints of this robot")
            state = dict(zip(names, values, strict=True))
        positions = output.positions(self.addressed_joints, state).tolist()
        known = dict(zip(self.addressed_joints, positions, strict=True))
        return np.array([known.get(name, np.nan) for name in self.joint_names])

    def positions(self, names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
        """Positions in radians by joint, from a joint state in the driver's names, order and units.

        Only joints that the state holds, mimic joints left out. A value that is not finite stays so.

        Raises:
            ValueError: names and values differ in number, or values by order are not as many as the driver's.
        """
        known = self.addressed_joints
        state: Mapping[str, float] | Sequence[float] = values
        if not self.output.state_by_order:
            state = dict(zip(names, values, strict=True))
            given = {
                entry.joint for entry in self.output.for_joints(known) if (entry.name or entry.joint) in state
            }
        else:
            given = set(known)
        positions = dict(zip(known, self.output.positions(known, state).tolist(), strict=True))
        return {name: positions[name] for name in self.reported_joints if name in given}


def teleop_robot(
    profile: RobotProfile, urdf: str, kind: str = "", topic: str = "", state_topic: str = ""
) -> TeleopRobot:
    """The robot of a profile and the text of its URDF.

    Args:
        kind, topic, state_topic: replace those of the profile's command; '' keeps them.

    Raises:
        ValueError: the URDF does not suit the profile, or nothing says where commands go.
        ImportError: Pinocchio is not installed.
    """
    output = profile.command
    if output is None:
        if not topic:
            raise ValueError(f"the profile {profile.name!r} names no command topic: give one")
        output = CommandOutput(topic, kind or "trajectory")
    changes = {"kind": kind, "topic": topic, "state_topic": state_topic}
    output = replace(output, **{name: value for name, value in changes.items() if value})
    robot = profile.robot_hand(urdf)
    return TeleopRobot(Retargeter(replace(profile, command=output), robot), output)


def urdf_text(profile: RobotProfile, file: str) -> str | None:
    """The text of the robot's URDF from a file, expanded if it is a xacro file, or generated; None if neither.

    Raises:
        ValueError: xacro failed. OSError: a file or the program xacro is missing.
    """
    if not file:
        return demo_hand_urdf(profile.side) if profile.urdf == GENERATED else None
    path = Path(file).expanduser()
    if path.suffix != ".xacro":
        return path.read_text(encoding="utf-8")
    program = shutil.which("xacro")
    if program is None:
        raise FileNotFoundError(f"the program xacro, which expands {path}, is not installed")
    result = subprocess.run(
        [program, str(path)], capture_output=True, text=True, check=False, timeout=_XACRO_TIMEOUT_S
    )
    if result.returncode != 0:
        raise ValueError(f"xacro {path} failed: {result.stderr.strip()}")
    return result.stdout
