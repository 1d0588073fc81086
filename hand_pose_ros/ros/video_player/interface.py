"""The topics of the video_player node, for its ``--help``; tests compare the node with them."""

from __future__ import annotations

from typing import Final

from hand_pose_ros.ros.shared.interface import Endpoint, NodeInterface

INTERFACE: Final = NodeInterface(
    name="video_player",
    summary="Plays a video, webcam, image folder or rosbag2 as a camera.",
    parameters="hand_pose_ros.ros.video_player.parameters:VideoPlayerParameters",
    published=(
        Endpoint("image", "sensor_msgs/Image", "the images"),
        Endpoint("camera_info", "sensor_msgs/CameraInfo", "their calibration"),
    ),
    page="docs/use/node.md",
)
