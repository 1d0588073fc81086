"""The parameters of the robot_simulator node."""

from __future__ import annotations

from dataclasses import dataclass

from hand_pose_ros import hand
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.retargeting.command_output import KINDS
from hand_pose_ros.ros.teleop.parameters import OF_PROFILE


@dataclass(frozen=True)
class RobotSimulatorParameters(Options):
    """The parameters, described by their fields."""

    robot: str = option(
        "demo_hand", "Robot hand: a name of config/robots, or the path of a profile.", read_only=True
    )
    side: str = option("right", "Side of the robot hand.", choices=hand.SIDES, read_only=True)
    robot_description_file: str = option(
        "", "The robot's URDF, or a xacro file; empty if the profile's hand is generated.", read_only=True
    )
    command_kind: str = option(
        OF_PROFILE,
        "Message of the commands, as the hand_teleop's `command.kind`.",
        choices=(OF_PROFILE, *KINDS),
        read_only=True,
    )
    command_topic: str = option("", "Topic of the commands; empty for the profile's.", read_only=True)
    joint_states_topic: str = option(
        "", "Topic of the joint states; empty for the profile's, or /joint_states.", read_only=True
    )
    rate_hz: float = option(100.0, "Joint states per second.", minimum=1.0, maximum=1000.0, read_only=True)
    velocity_rad_s: float = option(
        6.0,
        "Largest velocity of a joint in rad/s, beside the URDF's.",
        minimum=0.01,
        maximum=100.0,
        read_only=True,
    )
    acceleration_rad_s2: float = option(
        100.0,
        "Largest acceleration of a joint in rad/s^2.",
        minimum=0.1,
        maximum=10000.0,
        read_only=True,
    )
    start_rad: float = option(
        0.0, "Position of every joint at the start, moved into its limits, in rad.", read_only=True
    )
    publish_description: bool = option(
        False, "Publish the URDF on the latched topic robot_description.", read_only=True
    )
    publish_frames: bool = option(
        False,
        "Publish the frames of the links on /tf, as a robot_state_publisher would.",
        read_only=True,
    )
    frame_prefix: str = option(
        "", "Prefix of the frames, as robot_state_publisher's frame_prefix.", read_only=True
    )
    root_parent_frame: str = option(
        "",
        "Frame in which the root link stands, published with the others; empty if another node publishes it.",
        read_only=True,
    )
    root_position_m: tuple[float, float, float] = option(
        (0.0, 0.0, 0.0), "Where it stands there, in metres.", read_only=True
    )
    root_orientation: tuple[float, float, float, float] = option(
        (0.0, 0.0, 0.0, 1.0), "Its orientation there, a quaternion xyzw.", read_only=True
    )
