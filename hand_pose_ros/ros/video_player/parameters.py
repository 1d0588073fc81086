"""The module declares every parameter of the video_player node."""

from __future__ import annotations

from dataclasses import dataclass

from hand_pose_ros.common.options import Options, option
from hand_pose_ros.video.open import CLIP

SOURCE_RATE = -1.0
"""The value of ``rate_hz`` for the source's own times."""


@dataclass(frozen=True)
class VideoPlayerParameters(Options):
    """The parameters, described by their fields."""

    source: str = option(
        CLIP,
        "What to play: `clip` (the rendered clip of this package), the number of a webcam, or the path of a "
        "video, of an image, of a folder of images or of a recording (rosbag2, MCAP, ROS 1 bag).",
        read_only=True,
    )
    image_topic: str = option(
        "", "Image topic of a recording; empty for the first one with colours.", read_only=True
    )
    rectified: bool = option(
        False,
        "The images of the recording are rectified: use P of their camera_info. Always so for topics whose name "
        "begins with image_rect.",
        read_only=True,
    )
    rate_hz: float = option(
        SOURCE_RATE,
        "Images per second: -1 for the source's own rate, 0 for as fast as possible. A webcam keeps its own "
        "rate.",
        minimum=SOURCE_RATE,
        maximum=1000.0,
    )
    loop: bool = option(False, "Start over at the end instead of ending the node.")
    start_s: float = option(
        0.0,
        "Start position in seconds, also of each loop; a change while playing jumps there.",
        minimum=0.0,
    )
    wait_for_subscriber: bool = option(
        False, "Wait for a subscriber of the image before playing.", read_only=True
    )
    frame_id: str = option(
        "camera_optical_frame", "Frame of the images: x right, y down, z forward (REP 103).", read_only=True
    )
    calibration_file: str = option(
        "",
        "Calibration file of the camera, in any common format; overrides the calibration in the source.",
        read_only=True,
    )
    horizontal_fov_deg: float = option(
        0.0,
        "Horizontal field of view in degrees, for a camera without calibration; 0 if unknown.",
        minimum=0.0,
        maximum=179.0,
        read_only=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if -1 < self.rate_hz < 0:
            raise ValueError(f"rate_hz must be -1, 0 or positive, got {self.rate_hz}")
        if self.calibration_file and self.horizontal_fov_deg:
            raise ValueError("calibration_file and horizontal_fov_deg exclude each other")
        if not self.frame_id:
            raise ValueError("frame_id must not be empty")
