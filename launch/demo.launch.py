"""Plays a video source through the hand_estimator and shows the hands in RViz; a rendered clip by default.

ros2 launch hand_pose_ros demo.launch.py source:=video.mp4 horizontal_fov_deg:=60.0
"""

from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription, OpaqueFunction
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

from hand_pose_ros.ros.shared.launching import (
    argument_check,
    ctrl_c_reaches_the_launch,
    ends_the_launch,
    number,
    parameters,
    start_prefix,
    true_or_false,
)
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity

PACKAGE = "hand_pose_ros"
# Launch argument -> parameter of the video_player, and what its text means.
PARAMETERS = {
    "source": ("source", str),
    "source_topic": ("image_topic", str),
    "rate_hz": ("rate_hz", number),
    "calibration_file": ("calibration_file", str),
    "horizontal_fov_deg": ("horizontal_fov_deg", number),
    "loop": ("loop", true_or_false),
}

# An empty default means: leave it to the node.
ARGUMENTS = (
    DeclareLaunchArgument(
        "source",
        default_value="",
        description="What to play: clip, the default, the number of a webcam, or a video, a folder of images or a "
        "recording.",
    ),
    DeclareLaunchArgument(
        "source_topic",
        default_value="",
        description="Image topic of a recording; empty for the first one with colours.",
    ),
    DeclareLaunchArgument(
        "rate_hz", default_value="", description="Images per second; empty for the source's own rate."
    ),
    DeclareLaunchArgument(
        "calibration_file",
        default_value="",
        description="Calibration file of the camera, in any common format.",
    ),
    DeclareLaunchArgument(
        "horizontal_fov_deg",
        default_value="",
        description="Horizontal field of view in degrees, for a camera without calibration.",
    ),
    DeclareLaunchArgument(
        "loop", default_value="true", choices=["true", "false"], description="Start over at the end."
    ),
    DeclareLaunchArgument(
        "namespace", default_value="hand_pose", description="Namespace of nodes and topics."
    ),
    DeclareLaunchArgument("rviz", default_value="true", choices=["true", "false"], description="Start RViz."),
)


def generate_launch_description() -> LaunchDescription:
    """The description that `ros2 launch` runs; it also takes the arguments of estimator.launch.py."""
    estimator = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([FindPackageShare(PACKAGE), "launch", "estimator.launch.py"])
        ),
        launch_arguments={name: LaunchConfiguration(name) for name in ("namespace", "rviz")}.items(),
    )
    return LaunchDescription(
        [
            *ARGUMENTS,
            ctrl_c_reaches_the_launch(),
            argument_check(__file__, [*ARGUMENTS, estimator]),
            estimator,  # before the player, for it sets the Fast DDS profile
            OpaqueFunction(function=_player),
        ]
    )


def _player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    given = {name: value for name, value in context.launch_configurations.items() if value}
    return [
        Node(
            package=PACKAGE,
            executable="video_player",
            name="video_player",
            namespace=given.get("namespace", ""),
            parameters=[{"wait_for_subscriber": True} | parameters(given, PARAMETERS)],
            exec_name="video_player",
            prefix=start_prefix(given),
            on_exit=ends_the_launch("video_player"),
            output="screen",
            emulate_tty=True,
        )
    ]
