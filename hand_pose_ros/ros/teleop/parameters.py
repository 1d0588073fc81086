"""The module declares every parameter of the hand_teleop node."""

from __future__ import annotations

from dataclasses import dataclass

from hand_pose_ros import hand
from hand_pose_ros.common.options import Options, option, section
from hand_pose_ros.retargeting.command_output import KINDS
from hand_pose_ros.retargeting.teleoperation.session import SessionOptions
from hand_pose_ros.retargeting.wrist.target import WristOptions

SAME_SIDE = "same"
OF_PROFILE = "profile"


@dataclass(frozen=True)
class CommandOptions(Options):
    """Topic and form of the commands."""

    kind: str = option(
        OF_PROFILE,
        "Message of the commands: `trajectory` (trajectory_msgs/JointTrajectory, one point), `multi_array` "
        "(std_msgs/Float64MultiArray), `joint_state` (sensor_msgs/JointState), or as the robot's profile says.",
        choices=(OF_PROFILE, *KINDS),
        read_only=True,
    )
    topic: str = option("", "Topic of the commands; empty for the profile's.", read_only=True)
    time_from_start_s: float = option(
        0.0,
        "Time in which a trajectory's point is to be reached, in seconds; 0 for the time since the last command.",
        minimum=0.0,
        maximum=1.0,
        read_only=True,
    )
    subscriber_required: bool = option(
        True, "Engage only while something subscribes to the commands, and hold when it goes.", read_only=True
    )
    exclusive: bool = option(
        True,
        "Refuse to engage while another node publishes on the topic of the commands.",
        read_only=True,
    )


@dataclass(frozen=True)
class TeleopParameters(Options):
    """The parameters, described by their fields."""

    robot: str = option(
        "demo_hand",
        "Robot hand: a name of config/robots, or the path of a profile or of a dex-retargeting YAML file.",
        read_only=True,
        essential=True,
    )
    robot_side: str = option(
        SAME_SIDE,
        "Side of the robot hand.",
        choices=(SAME_SIDE, *hand.SIDES),
        read_only=True,
        essential=True,
    )
    robot_description_file: str = option(
        "",
        "The robot's URDF, or a xacro file. Empty: the topic robot_description, unless the profile's hand is "
        "generated.",
        read_only=True,
        essential=True,
    )
    joint_states_topic: str = option(
        "", "Topic of the robot's joint states; empty for the profile's, or /joint_states.", read_only=True
    )
    robot_frame_prefix: str = option(
        "",
        "Prefix of the robot's frames, as robot_state_publisher's frame_prefix. The topic frame_checker is in the "
        "frame of the robot's root link.",
        read_only=True,
    )
    input: str = option(
        "hands",
        "Where human hands come from: `hands` (all hands with uncertainty and track ids), or `joints` "
        "(left/joints, right/joints: one hand of each side, without ids).",
        choices=("hands", "joints"),
        read_only=True,
    )
    session: SessionOptions = section(SessionOptions)
    command: CommandOptions = section(CommandOptions, "command")
    wrist: WristOptions = section(WristOptions, "wrist")
    openxr: bool = option(
        False,
        "Publish left/openxr_joints and right/openxr_joints: OpenXR's 26 hand joints.",
        read_only=True,
    )
    autostart: bool = option(
        False,
        "Configure and activate the node when it starts, without a lifecycle manager; the launch files set it.",
        read_only=True,
        essential=True,
    )
    diagnostics_period_s: float = option(
        1.0, "Time between two messages on /diagnostics, in seconds.", minimum=0.1, maximum=60.0
    )

    @property
    def side_of_robot(self) -> str:
        """'left' or 'right'."""
        return self.session.hand.side if self.robot_side == SAME_SIDE else self.robot_side
