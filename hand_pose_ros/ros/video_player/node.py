"""The video_player node: publishes a video source as image and camera_info, as a camera driver would."""

from __future__ import annotations

import math
import threading
import time

from rcl_interfaces.msg import SetParametersResult
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from hand_pose_ros.camera.calibration import read_calibration
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.ros.messages.camera import camera_info_message, serialised_image, time_message
from hand_pose_ros.ros.shared.parameters import changed, declare
from hand_pose_ros.ros.video_player.parameters import SOURCE_RATE, VideoPlayerParameters
from hand_pose_ros.video.open import open_source
from hand_pose_ros.video.pacing import Pacer
from hand_pose_ros.video.sources import DEFAULT_RATE_HZ, SourceError, VideoFrame

# Reliable, so that subscribers of either reliability connect (a best-effort publisher shuts out reliable ones);
# keep-last and shallow, so that a slow subscriber loses old images instead of holding up the rest.
_QOS = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
_POLL_S = 0.05
_CLOCK_JUMP_NS = 1_000_000_000  # a clock that falls by more was set back
_LAST_IMAGE_TIMEOUT_S, _LAST_IMAGE_S = 1.0, 0.1


class VideoPlayer(Node):
    """Plays one source; :meth:`play` runs in the main thread, parameter changes arrive in the executor's."""

    def __init__(self) -> None:
        super().__init__("video_player")
        self._settings = declare(self, VideoPlayerParameters)
        self._calibration = self._load_calibration(self._settings.calibration_file)
        self._source = open_source(
            self._settings.source,
            self._settings.image_topic,
            self._report,
            rectified=self._settings.rectified,
            warn=self._warn,
        )
        self._check_start(self._settings.start_s)
        self._pacer = self._new_pacer(self._settings.rate_hz)
        self._seek_requested = True
        self._wake = threading.Event()
        self._last_stamp_ns = 0
        self._images = self.create_publisher(Image, "image", _QOS)
        self._infos = self.create_publisher(CameraInfo, "camera_info", _QOS)
        self.add_on_set_parameters_callback(self._on_set_parameters)

    def play(self) -> int:
        """Publish until the source ends; return the exit code."""
        while self._settings.wait_for_subscriber and self._images.get_subscription_count() == 0:
            time.sleep(_POLL_S)
        self.get_logger().info(f"playing {self._source.name}")
        began_s = time.monotonic()
        try:
            count = self._play_frames()
        except (SourceError, ValueError) as error:
            self.get_logger().fatal(str(error))
            return 1
        finally:
            self._source.close()
        # Messages not yet sent are lost when the process ends. Best effort is never acknowledged.
        self._images.wait_for_all_acked(Duration(seconds=_LAST_IMAGE_TIMEOUT_S))
        time.sleep(_LAST_IMAGE_S)
        self.get_logger().info(f"the source ended: {count} images in {time.monotonic() - began_s:.1f} s")
        return 0

    def _report(self, text: str) -> None:
        self.get_logger().info(text)

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text)

    def _load_calibration(self, path: str) -> CameraModel | None:
        if not path:
            return None
        calibration = read_calibration(path)
        for warning in calibration.warnings:
            self._warn(warning)
        return calibration.camera

    def _play_frames(self) -> int:
        count = count_at_start = 0
        while True:
            if self._seek_requested:
                self._seek_requested = False
                self._source.seek(self._settings.start_s)
                self._pacer.jump()
                count_at_start = count
            frame = self._source.read()
            if frame is None:
                if not self._settings.loop or count == count_at_start:
                    return count
                self._seek_requested = True
            elif (stamp_ns := self._wait_until_due(frame)) is not None:
                self._publish(frame, stamp_ns)
                if count == 0 and self._camera_of(frame) is None:
                    self.get_logger().warning(
                        "the camera is not calibrated: set calibration_file or horizontal_fov_deg for metric hands"
                    )
                count += 1

    def _wait_until_due(self, frame: VideoFrame) -> int | None:
        """Wait until the frame is due and return its stamp in nanoseconds; None if a seek comes first."""
        now_s = due_s = time.monotonic()
        if frame.time_s is not None:
            pacer = self._pacer
            due_s = pacer.due_s(frame.time_s, now_s)
            while (remaining_s := due_s - time.monotonic()) > 0:
                if self._wake.wait(remaining_s):
                    self._wake.clear()
                    if self._seek_requested:
                        return None
                    if pacer is not self._pacer:
                        pacer = self._pacer
                        due_s = pacer.due_s(frame.time_s, time.monotonic())
        late_ns = round((time.monotonic() - due_s) * 1e9)
        now_ns = self.get_clock().now().nanoseconds
        self._last_stamp_ns = next_stamp_ns(now_ns - late_ns, self._last_stamp_ns)
        return self._last_stamp_ns

    def _publish(self, frame: VideoFrame, stamp_ns: int) -> None:
        header = Header(stamp=time_message(stamp_ns), frame_id=self._settings.frame_id)
        height, width = frame.image.shape[:2]
        # The calibration first: a subscriber to both then has it when the image comes.
        self._infos.publish(camera_info_message(self._camera_of(frame), width, height, header))
        self._images.publish(serialised_image(frame.image, header))

    def _camera_of(self, frame: VideoFrame) -> CameraModel | None:
        """Return the calibration of a frame: the configured one, or its own."""
        if self._settings.horizontal_fov_deg:
            height, width = frame.image.shape[:2]
            return CameraModel.from_fov(width, height, math.radians(self._settings.horizontal_fov_deg))
        return self._calibration or frame.camera

    def _new_pacer(self, rate_hz: float) -> Pacer:
        period_s = 1.0 / (self._source.rate_hz or DEFAULT_RATE_HZ)
        return Pacer(None if rate_hz == SOURCE_RATE else rate_hz, period_s)

    def _check_start(self, start_s: float) -> None:
        duration_s = self._source.duration_s
        if duration_s is not None and start_s >= duration_s:
            raise ValueError(f"start_s must be less than the source's {duration_s:.3f} s, got {start_s}")

    def _on_set_parameters(self, changes: list[Parameter]) -> SetParametersResult:
        try:
            parameters = changed(self._settings, changes)
            self._check_start(parameters.start_s)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        self._settings = parameters
        names = {change.name for change in changes}
        if "rate_hz" in names:
            self._pacer = self._new_pacer(parameters.rate_hz)
        if "start_s" in names:
            self._seek_requested = True
        self._wake.set()
        return SetParametersResult(successful=True)


def next_stamp_ns(due_ns: int, last_ns: int) -> int:
    """Return the stamp of an image due at ``due_ns``: later than the last one, unless the clock was set back."""
    return due_ns if last_ns - due_ns > _CLOCK_JUMP_NS else max(due_ns, last_ns + 1)
