"""The topics and services of the hand_estimator node, for its ``--help``; tests compare the node with them."""

from __future__ import annotations

from typing import Final

from hand_pose_ros.ros.shared.interface import Endpoint, NodeInterface

INTERFACE: Final = NodeInterface(
    name="hand_estimator",
    summary="Estimates hands in metres from camera images. A lifecycle node: configure it, then activate it, as "
    "`ros2 launch hand_pose_ros estimator.launch.py image:=/camera/image_raw` does.",
    parameters="hand_pose_ros.ros.hand_estimator.parameters:HandEstimatorParameters",
    subscribed=(
        Endpoint("image", "sensor_msgs/Image", "camera images; only the newest is processed"),
        Endpoint("image/compressed", "sensor_msgs/CompressedImage", "with image_transport:=compressed"),
        Endpoint("camera_info", "sensor_msgs/CameraInfo", "calibration, beside the image topic"),
        Endpoint(
            "depth",
            "sensor_msgs/Image",
            "depth, aligned to the image; during ~/calibrate_scale, or with use_depth",
        ),
    ),
    published=(
        Endpoint("hands", "sensor_msgs/PointCloud2", "every joint of every hand"),
        Endpoint("{left,right}/joints", "geometry_msgs/PoseArray", "21 positions and bone frames"),
        Endpoint("{left,right}/joint_states", "sensor_msgs/JointState", "38 angles by name"),
        Endpoint("{left,right}/wrist", "geometry_msgs/PoseWithCovarianceStamped", "wrist pose"),
        Endpoint("markers", "visualization_msgs/MarkerArray", "skeleton and mesh; only while subscribed"),
        Endpoint("image_overlay", "sensor_msgs/Image", "image with the hands; only while subscribed"),
        Endpoint("hand_sizes", "std_msgs/Float64MultiArray", "size of each track, kept for late subscribers"),
        Endpoint("/tf", "tf2_msgs/TFMessage", "bone frames"),
        Endpoint("/diagnostics", "diagnostic_msgs/DiagnosticArray", "rates, latencies, faults"),
    ),
    services=(
        Endpoint("~/reset", "std_srvs/Trigger", "forget all tracks"),
        Endpoint("~/calibrate_scale", "std_srvs/Trigger", "measure the user's hand for two seconds"),
    ),
    parameter_file="config/estimator.yaml",
    page="docs/use/node.md",
)
