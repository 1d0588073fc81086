"""Starts the hand_estimator for a camera, configures and activates it; RViz and robot models on request.

ros2 launch hand_pose_ros estimator.launch.py image:=/camera/image_raw
"""

import os
import tempfile
from pathlib import Path

import yaml
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import Command, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import ExecutableInPackage, FindPackageShare

from hand_pose_ros.ros.shared.launching import (
    SHOWN_PALM,
    argument_check,
    ctrl_c_reaches_the_launch,
    ends_the_launch,
    number,
    parameters,
    start_prefix,
    static_frame,
    true_or_false,
    view_frame,
    whole_number,
)
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

PACKAGE = "hand_pose_ros"
NAMESPACE = "hand_pose"
SIDES = ("left", "right")
MODELS_M = {"left": (-0.55, -0.22, -0.1), "right": (-0.55, 0.22, -0.1)}
"""Where the wrists of the robot models stand in the upright frame at the camera, beside the hands."""
# Launch argument -> parameter of the hand_estimator, and what its text means.
PARAMETERS = {
    "image_transport": ("image_transport", str),
    "device": ("device", str),
    "hand_size_m": ("hand_size_m", number),
    "hand_length_m": ("hand_length_m", number),
    "detector": ("detector", str),
    "estimator": ("estimator", str),
    "heatmap_weights": ("heatmap.weights", str),
    "mesh_weights": ("mesh_diffusion.weights", str),
    "condition": ("diffusion.condition", str),
    "samples": ("diffusion.samples", whole_number),
    "max_hands": ("tracker.max_hands", whole_number),
    "mirrored": ("mirrored", true_or_false),
    "publish_tf": ("publish_tf", str),
    "frame_prefix": ("frame_prefix", str),
    "use_sim_time": ("use_sim_time", true_or_false),
    "autostart": ("autostart", true_or_false),
}
FASTDDS_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")
# What the RViz layouts show; remapped where the namespace is another.
SHOWN_TOPICS = (
    "hands",
    "markers",
    "image_overlay",
    "frame_checker",
    *(f"{model}/robot_description" for model in (*SIDES, "robot")),
)

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
        "not together with hand_size_m.",
    ),
    DeclareLaunchArgument(
        "detector",
        default_value="",
        choices=["", "mediapipe", "own", "onnx"],
        description="What finds the hands; empty for the parameter file's.",
    ),
    DeclareLaunchArgument(
        "estimator",
        default_value="",
        choices=["", "diffusion", "heatmap", "ik", "mesh_diffusion"],
        description="What estimates the pose; empty for the parameter file's.",
    ),
    DeclareLaunchArgument(
        "heatmap_weights",
        default_value="",
        description="Weight file of the estimator heatmap; empty for the parameter file's.",
    ),
    DeclareLaunchArgument(
        "mesh_weights",
        default_value="",
        description="Weight file of the estimator mesh_diffusion; empty for the parameter file's.",
    ),
    DeclareLaunchArgument(
        "condition",
        default_value="",
        choices=["", "auto", "image", "keypoints", "both"],
        description="What the pose is estimated from; empty for the parameter file's.",
    ),
    DeclareLaunchArgument(
        "samples",
        default_value="",
        description="Poses sampled for each hand: more take longer; empty for the parameter file's.",
    ),
    DeclareLaunchArgument(
        "max_hands",
        default_value="",
        description="Most hands in an image: fewer are faster; empty for the parameter file's.",
    ),
    DeclareLaunchArgument(
        "mirrored",
        default_value="",
        choices=["", "true", "false"],
        description="The images are mirrored, as selfie cameras show them; empty for the parameter file's.",
    ),
    DeclareLaunchArgument(
        "publish_tf",
        default_value="",
        choices=["", "all", "wrist", "none"],
        description="Frames to broadcast: all joints, the wrist alone, or none; empty for the parameter file's.",
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
        "rviz",
        default_value="false",
        choices=["true", "false"],
        description="Start RViz with a layout for hands.",
    ),
    DeclareLaunchArgument(
        "rviz_layout",
        default_value=PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "hand_pose.rviz"]),
        description="Layout file of RViz.",
    ),
    DeclareLaunchArgument(
        "robot_models",
        default_value="false",
        choices=["true", "false"],
        description="Beside the hands in RViz, models of both that follow the joint states.",
    ),
    DeclareLaunchArgument(
        "view_frame",
        default_value="auto",
        description="Upright frame at the camera, for displays; auto for the namespace and _view, none for none.",
    ),
    DeclareLaunchArgument(
        "fixed_frame",
        default_value="",
        description="RViz' fixed frame; empty for view_frame.",
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
    return LaunchDescription(
        [
            *ARGUMENTS,
            ctrl_c_reaches_the_launch(),
            argument_check(__file__, ARGUMENTS),
            *_fastdds_profile(),
            OpaqueFunction(function=_nodes),
        ]
    )


def _fastdds_profile() -> list[LaunchDescriptionEntity]:
    """Fast DDS' default shared-memory segment is smaller than an image; a user's own profile is left alone."""
    if any(os.environ.get(name) for name in FASTDDS_VARIABLES):
        return []
    profile = PathJoinSubstitution([FindPackageShare(PACKAGE), "config", "fastdds.xml"])
    return [SetEnvironmentVariable(name, profile) for name in FASTDDS_VARIABLES]


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: value for name, value in context.launch_configurations.items() if value}
    remappings = [(name, given[name]) for name in ("image", "camera_info", "depth") if name in given]
    overrides = parameters(given, PARAMETERS)
    overrides["view_frame"] = view_frame(given)
    estimator = Node(
        package=PACKAGE,
        executable="hand_estimator",
        name="hand_estimator",
        namespace=given.get("namespace", ""),
        parameters=[given["params_file"], overrides],
        remappings=remappings,
        ros_arguments=["--log-level", given["log_level"]],
        exec_name="hand_estimator",
        prefix=start_prefix(given),
        on_exit=ends_the_launch("hand_estimator"),
        output="screen",
        emulate_tty=True,
    )
    if given["rviz"] != "true":
        unseen = LogInfo(msg="robot_models:=true has no effect without rviz:=true")
        return [estimator, unseen] if given["robot_models"] == "true" else [estimator]
    clock = {name: value for name, value in overrides.items() if name == "use_sim_time"}
    entities: list[LaunchDescriptionEntity] = [estimator, _rviz(given, clock)]
    if given["robot_models"] == "true":
        entities += [entity for side in SIDES for entity in _robot_model(given, side, clock)]
    return entities


def _fixed_frame(given: dict[str, str]) -> str:
    return given.get("fixed_frame", view_frame(given)) or "camera_optical_frame"


def _rviz(given: dict[str, str], clock: dict[str, object]) -> Node:
    namespace = given.get("namespace", "").strip("/")
    remappings = [
        (f"/{NAMESPACE}/{topic}", f"/{namespace}/{topic}" if namespace else f"/{topic}")
        for topic in SHOWN_TOPICS
        if namespace != NAMESPACE
    ]
    layout = given["rviz_layout"]
    if given["robot_models"] == "true":
        layout = _with_robot_models(layout)
    return Node(
        package="rviz2",
        executable="rviz2",
        arguments=["-d", layout, "--fixed-frame", _fixed_frame(given)],
        parameters=[clock] if clock else [],
        remappings=remappings,
        output="log",
    )


def _with_robot_models(layout: str) -> str:
    """A copy of a layout whose robot models are switched on."""
    content = yaml.safe_load(Path(layout).read_text())
    for display in content["Visualization Manager"]["Displays"]:
        if display["Class"].endswith("/RobotModel"):
            display["Enabled"] = display["Value"] = True
    with tempfile.NamedTemporaryFile("w", suffix=".rviz", prefix="hand_pose_", delete=False) as file:
        yaml.safe_dump(content, file)
    return file.name


def _robot_model(given: dict[str, str], side: str, clock: dict[str, object]) -> list[LaunchDescriptionEntity]:
    """A model that follows the joint states, in frames of its own at a fixed place beside the camera's view."""
    namespace = f"{given.get('namespace', '').strip('/')}/{side}"
    urdf = Command([ExecutableInPackage("hand_pose", PACKAGE), " urdf --side ", side])
    return [
        Node(
            package="robot_state_publisher",
            executable="robot_state_publisher",
            name="robot_state_publisher",
            namespace=namespace,
            # The hand_estimator broadcasts the true frames under the plain names.
            parameters=[
                {"robot_description": ParameterValue(urdf, value_type=str), "frame_prefix": "model/"} | clock
            ],
            output="log",
        ),
        static_frame(
            namespace,
            "model_root",
            _fixed_frame(given),
            f"model/{side}_hand_wrist",
            MODELS_M[side],
            SHOWN_PALM,
        ),
    ]
