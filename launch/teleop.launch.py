"""Starts the hand_estimator and a hand_teleop that moves a robot hand; a simulated robot and RViz on request.

ros2 launch hand_pose_ros teleop.launch.py image:=/camera/image_raw simulated_robot:=true
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare
from launch_ros.utilities import make_namespace_absolute, prefix_namespace

from hand_pose_ros.ros.shared.launching import (
    SHOWN_PALM,
    argument_check,
    ctrl_c_reaches_the_launch,
    ends_the_launch,
    parameters,
    start_prefix,
    true_or_false,
    view_frame,
)
from hand_pose_ros.ros.shared.parameter_file import node_parameters
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

PACKAGE = "hand_pose_ros"
# Arguments of this file that estimator.launch.py has too.
SHARED_ARGUMENTS = ("namespace", "autostart", "rviz", "use_sim_time", "log_level")
CLOCK = {"use_sim_time": ("use_sim_time", true_or_false)}
# Launch argument -> parameter of the hand_teleop, and what its text means.
PARAMETERS = {
    "robot": ("robot", str),
    "robot_side": ("robot_side", str),
    "robot_description_file": ("robot_description_file", str),
    "side": ("hand.side", str),
    "command_kind": ("command.kind", str),
    "command_topic": ("command.topic", str),
    "joint_states_topic": ("joint_states_topic", str),
    "gesture": ("gesture.name", str),
    "robot_frame_prefix": ("robot_frame_prefix", str),
    "dead_man": ("dead_man.used", true_or_false),
    "autostart": ("autostart", true_or_false),
    **CLOCK,
}
# The same for the robot_simulator.
SIMULATOR_PARAMETERS = {
    "robot": ("robot", str),
    "robot_description_file": ("robot_description_file", str),
    "command_kind": ("command_kind", str),
    "command_topic": ("command_topic", str),
    "joint_states_topic": ("joint_states_topic", str),
    **CLOCK,
}
# Arguments that say which robot there is; a simulated one also follows the file of the hand_teleop.
OF_ROBOT = ("robot", "robot_side", "side", "robot_description_file", "command_kind")
TELEOP = "hand_teleop"
ROBOT = "robot"  # namespace and frame prefix of the simulated robot's model
DEMO_HAND = "demo_hand"
MODEL_M = (-0.5, 0.25, -0.1)
"""Where the demonstration hand stands in the upright frame at the camera, beside the human hand."""

# An empty default means: leave it to the parameter file or the node.
ARGUMENTS = (
    DeclareLaunchArgument(
        "robot",
        default_value="",
        description="Robot hand: a name of config/robots, or the path of a profile or dex-retargeting YAML file.",
    ),
    DeclareLaunchArgument(
        "robot_side",
        default_value="",
        choices=["", "same", "left", "right"],
        description="Side of the robot hand; same is that of the human hand.",
    ),
    DeclareLaunchArgument(
        "robot_description_file",
        default_value="",
        description="The robot's URDF or xacro file; empty for the topic robot_description, or a generated hand.",
    ),
    DeclareLaunchArgument(
        "robot_description",
        default_value="/robot_description",
        description="Topic of the robot's URDF.",
    ),
    DeclareLaunchArgument(
        "side",
        default_value="",
        choices=["", "left", "right"],
        description="The human hand that moves the robot.",
    ),
    DeclareLaunchArgument(
        "command_kind",
        default_value="",
        choices=["", "profile", "trajectory", "multi_array", "joint_state"],
        description="Message of the commands; empty for the robot profile's.",
    ),
    DeclareLaunchArgument(
        "command_topic",
        default_value="",
        description="Topic of the commands; empty for the robot profile's.",
    ),
    DeclareLaunchArgument(
        "joint_states_topic",
        default_value="",
        description="Topic of the robot's joint states; empty for the robot profile's.",
    ),
    DeclareLaunchArgument(
        "robot_frame_prefix",
        default_value="",
        description="Prefix of the robot's frames, for frame_checker; that of a simulated robot is known.",
    ),
    DeclareLaunchArgument(
        "gesture",
        default_value="",
        description="Gesture of the other hand that engages and disengages, such as thumbs_up; empty for none.",
    ),
    DeclareLaunchArgument(
        "dead_man",
        default_value="",
        choices=["", "true", "false"],
        description="Follow only while the topic dead_man says true.",
    ),
    DeclareLaunchArgument(
        "teleop_params_file",
        default_value=PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "teleop.yaml"]),
        description="Parameter file of the hand_teleop; params_file is that of the hand_estimator.",
    ),
    DeclareLaunchArgument(
        "start_estimator",
        default_value="true",
        choices=["true", "false"],
        description="Start the hand_estimator, with the arguments of estimator.launch.py.",
    ),
    DeclareLaunchArgument(
        "simulated_robot",
        default_value="false",
        choices=["true", "false"],
        description="Start a simulated robot hand, which publishes its model and frames.",
    ),
    DeclareLaunchArgument(
        "namespace", default_value="hand_pose", description="Namespace of nodes and topics."
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="true",
        choices=["true", "false"],
        description="Configure and activate the nodes; the robot stays disengaged.",
    ),
    DeclareLaunchArgument(
        "rviz", default_value="false", choices=["true", "false"], description="Start RViz."
    ),
    DeclareLaunchArgument(
        "use_sim_time",
        default_value="",
        choices=["", "true", "false"],
        description="Take the time from /clock.",
    ),
    DeclareLaunchArgument(
        "log_level", default_value="info", description="Least severe level that is logged."
    ),
)


def generate_launch_description() -> LaunchDescription:
    """The description that `ros2 launch` runs; it also takes the arguments of estimator.launch.py."""
    estimator = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([FindPackageShare(PACKAGE), "launch", "estimator.launch.py"])
        ),
        launch_arguments={
            **{name: LaunchConfiguration(name) for name in SHARED_ARGUMENTS},
            "rviz_layout": PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "teleop.rviz"]),
        }.items(),
        condition=IfCondition(LaunchConfiguration("start_estimator")),
    )
    return LaunchDescription(
        [
            *ARGUMENTS,
            ctrl_c_reaches_the_launch(),
            argument_check(__file__, [*ARGUMENTS, estimator]),
            estimator,  # first, for it sets the Fast DDS profile
            OpaqueFunction(function=_nodes),
        ]
    )


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: value for name, value in context.launch_configurations.items() if value}
    entities: list[LaunchDescriptionEntity] = []
    if given["simulated_robot"] == "true":
        given.setdefault("joint_states_topic", f"{ROBOT}/joint_states")
        given.setdefault("robot_frame_prefix", f"{ROBOT}/")
        given.setdefault("command_topic", f"{ROBOT}/command")  # not the topic of a driver that may run
        entities.append(_simulated_robot(_robot_of_file(given) | given))
    teleop = Node(
        package=PACKAGE,
        executable=TELEOP,
        name=TELEOP,
        namespace=given.get("namespace", ""),
        parameters=[given["teleop_params_file"], parameters(given, PARAMETERS)],
        remappings=[("robot_description", given["robot_description"])],
        ros_arguments=["--log-level", given["log_level"]],
        exec_name=TELEOP,
        prefix=start_prefix(given),
        on_exit=ends_the_launch(TELEOP),
        output="screen",
        emulate_tty=True,
    )
    return [*entities, teleop]


def _robot_of_file(given: dict[str, str]) -> dict[str, str]:
    """The arguments of the robot that stand for what the hand_teleop's parameter file says of it.

    Raises:
        ValueError: the file cannot be read.
    """
    namespace = make_namespace_absolute(prefix_namespace(given.get("ros_namespace"), given.get("namespace")))
    try:
        in_file = node_parameters(given["teleop_params_file"], f"{namespace.rstrip('/')}/{TELEOP}")
    except (OSError, ValueError) as error:
        raise ValueError(f"the simulated robot cannot follow teleop_params_file: {error}") from error
    values = {argument: in_file.get(PARAMETERS[argument][0], "") for argument in OF_ROBOT}
    return {argument: str(value) for argument, value in values.items() if value != ""}


def _simulated_robot(given: dict[str, str]) -> Node:
    """The robot_simulator, with the model of its robot under ``robot/``.

    It publishes the frames itself: a robot_state_publisher that gets Ctrl-C in its first moments ends with an
    error, or not at all.
    """
    namespace = given.get("namespace", "").strip("/")
    side = given.get("robot_side", "same").replace("same", given.get("side", "right"))
    placed: dict[str, object] = {}
    view = view_frame(given)
    if view and given.get("robot", DEMO_HAND) == DEMO_HAND and "robot_description_file" not in given:
        # Its root frame is that of a human wrist. Where another robot's hand is, its driver or its user knows.
        placed = {
            "root_parent_frame": view,
            "root_position_m": list(MODEL_M),
            "root_orientation": list(SHOWN_PALM),
        }
    model: dict[str, object] = {
        "side": side,
        "publish_description": True,
        "publish_frames": True,
        "frame_prefix": f"{ROBOT}/",
    }
    return Node(
        package=PACKAGE,
        executable="robot_simulator",
        name="robot_simulator",
        namespace=namespace,
        parameters=[model | placed | parameters(given, SIMULATOR_PARAMETERS)],
        remappings=[("robot_description", f"{ROBOT}/robot_description")],
        exec_name="robot_simulator",
        prefix=start_prefix(given),
        on_exit=ends_the_launch("robot_simulator"),
        output="screen",
        emulate_tty=True,
    )
