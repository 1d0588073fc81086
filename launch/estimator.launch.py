"""Starts the hand_estimator for a camera, configures and activates it; RViz and robot models on request.

ros2 launch hand_pose_ros estimator.launch.py image:=/camera/image_raw
"""

import os

from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
)
from launch.events import matches_action
from launch.substitutions import Command, PathJoinSubstitution
from launch_ros.actions import LifecycleNode, Node
from launch_ros.event_handlers import OnStateTransition
from launch_ros.events.lifecycle import ChangeState
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare
from lifecycle_msgs.msg import Transition

from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

PACKAGE = "hand_pose_ros"
NAMESPACE = "hand_pose"
SIDES = ("left", "right")
FASTDDS_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
# What the RViz layout shows; remapped where the namespace is another.
SHOWN_TOPICS = ("hands", "markers", "image_overlay", *(f"{side}/robot_description" for side in SIDES))

# An empty default means: leave it to the parameter file or the node.
ARGUMENTS = (
    DeclareLaunchArgument("image", default_value="image", description="Topic of the camera's images."),
    DeclareLaunchArgument(
        "camera_info",
        default_value="",
        description="Topic of the camera's calibration; empty for the camera_info beside the image topic.",
    ),
    DeclareLaunchArgument(
        "depth",
        default_value="",
        description="Topic of depth images, aligned to the images, for ~/calibrate_scale; empty for depth.",
    ),
    DeclareLaunchArgument(
        "image_transport",
        default_value="",
        choices=["", "raw", "compressed"],
        description="Which images to subscribe to: those of the image topic, or its compressed ones.",
    ),
    DeclareLaunchArgument("namespace", default_value=NAMESPACE, description="Namespace of node and topics."),
    DeclareLaunchArgument(
        "device",
        default_value="",
        choices=["", "auto", "cpu", "cuda"],
        description="Where networks run; empty for the parameter file's.",
    ),
    DeclareLaunchArgument(
        "hand_size_m",
        default_value="",
        description="Length of the user's bone wrist -> index MCP in metres; empty for the parameter file's.",
    ),
    DeclareLaunchArgument(
        "hand_length_m",
        default_value="",
        description="Length of the user's hand, crease of the wrist -> tip of the middle finger, in metres; "
        "in place of hand_size_m.",
    ),
    DeclareLaunchArgument(
        "frame_prefix",
        default_value="",
        description="Prefix of the hands' frames; empty for the parameter file's (auto: none for the first "
        "camera, the namespace for further ones).",
    ),
    DeclareLaunchArgument(
        "params_file",
        default_value=PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "estimator.yaml"]),
        description="Parameter file of the hand_estimator.",
    ),
    DeclareLaunchArgument(
        "autostart",
        default_value="true",
        choices=["true", "false"],
        description="Configure and activate the node; otherwise a lifecycle manager has to.",
    ),
    DeclareLaunchArgument(
        "rviz", default_value="false", choices=["true", "false"], description="Start RViz with a robot model."
    ),
    DeclareLaunchArgument(
        "fixed_frame",
        default_value="",
        description="RViz' fixed frame: the frame_id of the images; empty for the layout's camera_optical_frame.",
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
    """The description that `ros2 launch` runs."""
    return LaunchDescription([*ARGUMENTS, *_fastdds_profile(), OpaqueFunction(function=_nodes)])


def _fastdds_profile() -> list[LaunchDescriptionEntity]:
    """Fast DDS' default shared-memory segment is smaller than an image; a user's own profile is left alone."""
    if any(os.environ.get(name) for name in FASTDDS_VARIABLES):
        return []
    profile = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "fastdds.xml"])
    return [SetEnvironmentVariable(name, profile) for name in FASTDDS_VARIABLES]


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: value for name, value in context.launch_configurations.items() if value}
    remappings = [(name, given[name]) for name in ("image", "camera_info", "depth") if name in given]
    overrides: dict[str, object] = {
        name: given[name] for name in ("device", "image_transport", "frame_prefix") if name in given
    }
    for name in ("hand_size_m", "hand_length_m"):
        if name in given:
            overrides[name] = float(given[name])
    clock = {"use_sim_time": given["use_sim_time"] == "true"} if "use_sim_time" in given else {}
    estimator = LifecycleNode(
        package=PACKAGE,
        executable="hand_estimator",
        name="hand_estimator",
        namespace=given.get("namespace", ""),
        parameters=[given["params_file"], *([overrides | clock] if overrides or clock else [])],
        remappings=remappings,
        ros_arguments=["--log-level", given["log_level"]],
        output="screen",
        emulate_tty=True,
    )
    entities: list[LaunchDescriptionEntity] = [estimator]
    if given["autostart"] == "true":
        # The handler first, so that no transition is missed. Only after configuring: deactivating leads there too.
        entities = [
            RegisterEventHandler(
                OnStateTransition(
                    target_lifecycle_node=estimator,
                    start_state="configuring",
                    goal_state="inactive",
                    entities=[_change_state(estimator, Transition.TRANSITION_ACTIVATE)],
                )
            ),
            estimator,
            _change_state(estimator, Transition.TRANSITION_CONFIGURE),
        ]
    if given["rviz"] == "true":
        entities += _display(given, clock)
    return entities


def _change_state(node: LifecycleNode, transition: int) -> EmitEvent:
    return EmitEvent(event=ChangeState(lifecycle_node_matcher=matches_action(node), transition_id=transition))


def _display(given: dict[str, str], clock: dict[str, bool]) -> list[LaunchDescriptionEntity]:
    """RViz, and for each side a robot model that follows the joint states, in frames of its own."""
    namespace = given.get("namespace", "").strip("/")
    remappings = [
        (f"/{NAMESPACE}/{topic}", f"/{namespace}/{topic}" if namespace else f"/{topic}")
        for topic in SHOWN_TOPICS
        if namespace != NAMESPACE
    ]
    layout = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "hand_pose.rviz"])
    fixed_frame = ["--fixed-frame", given["fixed_frame"]] if "fixed_frame" in given else []
    entities: list[LaunchDescriptionEntity] = [
        Node(
            package="rviz2",
            executable="rviz2",
            arguments=["-d", layout, *fixed_frame],
            parameters=[clock] if clock else [],
            remappings=remappings,
            output="log",
        )
    ]
    for side in SIDES:
        urdf = Command([ExecutableInPackage("hand_pose", PACKAGE), " urdf --side ", side])
        entities += [
            Node(
                package="robot_state_publisher",
                executable="robot_state_publisher",
                name="robot_state_publisher",
                namespace=f"{namespace}/{side}",
                # The hand_estimator broadcasts the true frames under the plain names.
                parameters=[
                    {"robot_description": ParameterValue(urdf, value_type=str), "frame_prefix": "model/"}
                    | clock
                ],
                output="log",
            ),
            Node(
                package="tf2_ros",
                executable="static_transform_publisher",
                name="model_root",
                namespace=f"{namespace}/{side}",
                arguments=[
                    "--frame-id",
                    f"{side}_hand_wrist",
                    "--child-frame-id",
                    f"model/{side}_hand_wrist",
                ],
                output="log",
            ),
        ]
    return entities
