"""The demo's robot hand, read before anything starts, so that a wrong name or a missing URDF fails at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.retargeting.profile import RobotProfile
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.teleoperation.motion import MotionOptions
from hand_pose_ros.retargeting.teleoperation.robot import TeleopRobot, teleop_robot, urdf_text
from hand_pose_ros.retargeting.view.robot_image import RobotImage
from hand_pose_ros.retargeting.view.shapes import link_shapes

FRAME_PREFIX: Final = "robot/"


@dataclass(frozen=True, eq=False)
class DemoRobot:
    """A robot hand of the demo.

    spec: the parameter ``robot`` of the nodes. urdf_file: their ``robot_description_file``; '' if generated.
    side: of the human hand and of the robot.
    """

    spec: str
    urdf_file: str
    side: str
    profile: RobotProfile
    urdf: str
    robot: TeleopRobot

    @property
    def command_topic(self) -> str:
        """Topic of the commands, relative to the nodes' namespace unless it begins with a slash."""
        return self.robot.output.topic

    @property
    def state_topic(self) -> str:
        """Topic of the joint states, likewise."""
        return self.robot.output.state_topic

    @property
    def base_frame(self) -> str:
        """The frame of the URDF's root link."""
        return FRAME_PREFIX + self.robot.retargeter.robot.root_link

    @property
    def max_velocity_rad_s(self) -> float:
        """Velocity limit of all joints: the hand_teleop's default, or that of the robot's slowest joint."""
        slowest = float(self.robot.retargeter.robot.velocity_rad_s.min())
        return min(MotionOptions().max_velocity_rad_s, slowest)

    def parameters(self) -> dict[str, str]:
        """The parameters that hand_teleop and robot_simulator share."""
        return {"robot": self.spec, "robot_description_file": self.urdf_file}

    def image(self, size_px: int) -> RobotImage:
        """The view of the robot in square images."""
        return RobotImage(self.profile, self.robot.retargeter.robot, link_shapes(self.urdf), size_px)

    def fingertips(self) -> dict[str, str]:
        """Human fingertip joint -> the link of the robot that follows it."""
        if self.profile.objective == "dexpilot":
            return {tip.human: tip.link for tip in self.profile.fingertips}
        tips = {hand.JOINT_NAMES[joint] for joint in hand.FINGERTIPS}
        return {v.human_task: v.task for v in self.profile.vectors if v.human_task in tips}

    def positions(self, joints: Mapping[str, float]) -> np.ndarray:
        """Positions (n,) of all independent joints from those that are known; the others are at zero."""
        robot = self.robot.retargeter.robot
        return robot.clip(np.array([joints.get(name, 0.0) for name in robot.joint_names]))


def read_demo_robot(spec: str, urdf_file: str, side: str) -> DemoRobot:
    """Read profile and URDF.

    Args:
        spec: a name of config/robots, or the path of a profile.
        urdf_file: '' for a hand whose URDF is generated.

    Raises:
        ValueError: an unknown name, a URDF that does not suit the profile, or none where one is needed.
        OSError: a file cannot be read.
    """
    path = Path(spec).expanduser()
    spec = str(path.resolve()) if path.suffix in (".yaml", ".yml") else spec
    urdf_file = str(Path(urdf_file).expanduser().resolve()) if urdf_file else ""
    profile = read_profile(spec, side)
    urdf = urdf_text(profile, urdf_file)
    if urdf is None:
        raise ValueError(f"the robot {spec!r} needs its URDF: ROBOT_URDF=file, or --robot-urdf file")
    return DemoRobot(spec, urdf_file, side, profile, urdf, teleop_robot(profile, urdf))
