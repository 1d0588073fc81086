"""The module declares every parameter of the hand_estimator node: the pipeline's options and the node's own."""

from __future__ import annotations

from dataclasses import dataclass

from hand_pose_ros.common.options import Options, option, section
from hand_pose_ros.estimator.size.marker import DICTIONARIES
from hand_pose_ros.factory import PipelineConfig
from hand_pose_ros.files.image_limits import MOST_PIXELS


@dataclass(frozen=True)
class HandEstimatorParameters(Options):
    """The parameters, described by their fields."""

    pipeline: PipelineConfig = section(PipelineConfig, read_only=True)
    image_transport: str = option(
        "raw",
        "Images to subscribe to: `image`, or `image/compressed`, which saves bandwidth over a network.",
        choices=("raw", "compressed"),
        read_only=True,
        essential=True,
    )
    image_reliability: str = option(
        "best_effort",
        "Requested reliability: `best_effort` connects to every publisher; `reliable` resends lost images, "
        "but cannot connect to a best-effort publisher.",
        choices=("best_effort", "reliable"),
        read_only=True,
    )
    max_image_megapixels: float = option(
        MOST_PIXELS / 1e6,
        "Larger images are refused, compressed ones before they are decoded: a small file can hold a huge image.",
        minimum=0.01,
        maximum=1000.0,
        read_only=True,
    )
    rectified: bool = option(
        False,
        "The images are rectified, so P of camera_info holds, without distortion. Topics whose name begins "
        "with image_rect always count as rectified.",
        read_only=True,
    )
    frame_id: str = option(
        "",
        "Frame of everything published; empty for the frame_id of the images.",
        read_only=True,
        essential=True,
    )
    frame_prefix: str = option(
        "auto",
        "Prefix of the hands' TF frames. `auto`: none for the first camera; an estimator that finds another one "
        "running takes its namespace (`left_camera_right_hand_wrist`).",
        read_only=True,
    )
    publish_tf: str = option(
        "all",
        "Frames to broadcast: all joints, the wrist alone (so that robot_state_publisher can add the "
        "fingers), or none.",
        choices=("all", "wrist", "none"),
        essential=True,
    )
    display_rate_hz: float = option(
        15.0,
        "Maximum frames per second on `markers` and `image_overlay`; 0 for every frame. Their own thread draws "
        "the newest frame and never delays the hands.",
        minimum=0.0,
        maximum=240.0,
    )
    autostart: bool = option(
        False,
        "Configure and activate the node when it starts, without a lifecycle manager; the launch files set it.",
        read_only=True,
        essential=True,
    )
    view_frame: str = option(
        "",
        "Frame to broadcast at the camera for displays, fixed to it: x towards the viewer, y right, z up; empty "
        "for none. RViz needs an upright frame to turn the view in.",
        read_only=True,
    )
    overlay_mesh: bool = option(True, "Draw the outline of the mesh into image_overlay.")
    marker_lifetime_s: float = option(
        0.5,
        "Time until RViz removes a marker that is not renewed, in seconds; 0 for never.",
        minimum=0.0,
        maximum=60.0,
    )
    use_depth: bool = option(
        False,
        "Subscribe to `depth` all the time, and measure the size of each hand by it. Otherwise only "
        "`~/calibrate_scale` does.",
        read_only=True,
    )
    scale_marker_m: float | None = option(
        None,
        "Side of the black square of a printed marker, in metres, for `~/calibrate_scale`: hold the marker in the "
        "plane of the hand. 0 if there is none.",
        minimum=0.005,
        maximum=1.0,
        unset=0.0,
    )
    scale_marker_dictionary: str = option(
        DICTIONARIES[0], "Dictionary of that marker, as OpenCV names it.", choices=DICTIONARIES
    )
    image_timeout_s: float = option(
        2.0, "Report missing images on /diagnostics after this time, in seconds.", minimum=0.1, maximum=3600.0
    )
    diagnostics_period_s: float = option(
        1.0, "Time between two messages on /diagnostics, in seconds.", minimum=0.1, maximum=60.0
    )
