"""The camera input subscribes to the camera, checks its messages and turns them into frames."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo, SubscriptionEventCallbacks
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy, qos_policy_name_from_kind
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from hand_pose_ros.camera.calibration import camera_from_message
from hand_pose_ros.camera.lens_check import check_lens
from hand_pose_ros.camera.model import CameraModel, UncalibratedCameraError
from hand_pose_ros.pose import Frame
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.hand_estimator.topics import (
    MESSAGE_TYPES,
    CameraTopics,
    resolve_topics,
    why_nothing_comes,
)
from hand_pose_ros.ros.messages.images import CONVERTERS
from hand_pose_ros.ros.shared.faults import FaultLog
from hand_pose_ros.ros.shared.latched import LATCHED, QUIET, has_latched_publisher
from hand_pose_ros.video.camera_topics import is_rectified

ImageMessage = Image | CompressedImage

_FRAME_FAULTS: Final = ("qos", "image", "camera_info", "calibration", "size")
_STAMP_FAULTS: Final = ("no_stamp", "repeated_stamp", "stamp_went_back")
CAMERA_FAULTS: Final = ("no_images", *_FRAME_FAULTS, *_STAMP_FAULTS, "frame_id", "lens", "publishers")
"""The kinds of fault that belong to the camera."""
_NEWEST_FRAMES: Final = 30
"""Images whose frames are compared."""
_CAMERA_INFO_GRACE_S: Final = 1.0
"""Time after the start in which images without camera_info are not reported."""


@dataclass(frozen=True)
class CameraFrame:
    """An image and its camera, ready for the pipeline.

    header: header of all messages about it. frame: the image; its time is that of its header, None if not set.
    stamp_ns: the same, 0 if not set. restarted: its stamp lies before the last one's.
    """

    header: Header
    frame: Frame
    stamp_ns: int
    restarted: bool


class CameraInput:
    """Subscribes to a camera; passes each image to ``on_image``; :meth:`frame` converts it to a frame.

    Subscriptions call back in the executor's thread; :meth:`frame` may be called from another, but only one.
    """

    def __init__(
        self,
        node: Node,
        parameters: HandEstimatorParameters,
        faults: FaultLog,
        on_image: Callable[[ImageMessage], None],
    ) -> None:
        self._node = node
        self._faults = faults
        self._transport = parameters.image_transport
        self._frame_id = parameters.frame_id
        self._most_pixels = round(1e6 * parameters.max_image_megapixels)
        self.topics: CameraTopics = resolve_topics(node.resolve_topic_name, self._transport)
        self._rectified = parameters.rectified or is_rectified(self.topics.base)
        self._info: CameraInfo | None = None
        self._camera_key: tuple | None = None
        self._camera: CameraModel | None = None
        self._last_stamp_ns: int | None = None
        self._frame_ids: deque[str] = deque(maxlen=_NEWEST_FRAMES)
        self._started_s = time.monotonic()
        # Best effort connects to publishers of either reliability; depth 1, because only the newest frame counts.
        self._qos = QoSProfile(
            depth=1, reliability=ReliabilityPolicy.get_from_short_key(parameters.image_reliability)
        )
        self._on_image = on_image
        kind = MESSAGE_TYPES[self._transport]
        self._subscriptions = [
            node.create_subscription(
                kind,
                self.topics.image,
                self._on_message,
                self._qos,
                event_callbacks=SubscriptionEventCallbacks(incompatible_qos=self._on_incompatible_qos),
            ),
            node.create_subscription(CameraInfo, self.topics.camera_info, self._on_info, self._qos),
        ]

        self._latched = False

    def close(self) -> None:
        """End the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    @property
    def camera(self) -> CameraModel | None:
        """The calibration in use; None before the first valid one."""
        return self._camera

    def why_nothing_comes(self) -> str:
        """The likely reason why no image arrives."""
        return why_nothing_comes(self._node, self.topics, self._transport, self._qos)

    def frame(self, message: ImageMessage) -> CameraFrame | None:
        """Return the frame of an image, or None if it cannot be used; the fault log says why.

        Faults that this image disproves are cleared.
        """
        try:
            image_bgr = CONVERTERS[type(message)](message, self._most_pixels)
        except ValueError as error:
            self._faults.report("image", f"an image on {self.topics.image} cannot be read: {error}")
            return None
        camera = self._camera_of(image_bgr)
        if camera is None:
            return None
        self._faults.clear(*_FRAME_FAULTS)
        stamp_ns = message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
        header = message.header
        if self._frame_id:
            header = Header(stamp=header.stamp, frame_id=self._frame_id)
        self._check_publishers(header.frame_id)
        if header.frame_id:
            self._faults.clear("frame_id")
        else:
            self._faults.report(
                "frame_id",
                f"the images on {self.topics.image} name no frame: set the parameter frame_id",
                DiagnosticStatus.WARN,
            )
        frame = Frame(image_bgr, camera, stamp_ns * 1e-9 if stamp_ns else None)
        return CameraFrame(header, frame, stamp_ns, self._has_restarted(stamp_ns))

    def _check_publishers(self, frame_id: str) -> None:
        """Report images that come with different frames, as those of two cameras on one topic do."""
        self._frame_ids.append(frame_id)
        different = sorted(set(self._frame_ids))
        if len(different) > 1:
            self._faults.report(
                "publishers",
                f"the images on {self.topics.image} come with different frames ({', '.join(different)}): is there "
                "more than one camera on this topic?",
                DiagnosticStatus.WARN,
            )
        else:
            self._faults.clear("publishers")

    def _camera_of(self, image_bgr: np.ndarray) -> CameraModel | None:
        info = self._info
        if info is None:
            if time.monotonic() - self._started_s < _CAMERA_INFO_GRACE_S:
                return None
            self._faults.report(
                "camera_info",
                f"images come on {self.topics.image}, but no camera_info on {self.topics.camera_info}: "
                "metric hands need a calibration",
                DiagnosticStatus.WARN,
            )
            return None
        key = _calibration_key(info)
        if key != self._camera_key:
            self._camera_key, self._camera = key, None
            self._faults.clear("lens")
        if self._camera is None:
            try:
                self._camera = camera_from_message(info, self._rectified)
            except UncalibratedCameraError as error:
                self._faults.report("calibration", f"{self.topics.camera_info}: {error}")
                return None
            except ValueError as error:
                self._faults.report(
                    "calibration", f"the calibration on {self.topics.camera_info} is not valid: {error}"
                )
                return None
            warning = check_lens(self._camera)
            if warning:
                self._faults.report("lens", f"{self.topics.camera_info}: {warning}", DiagnosticStatus.WARN)
        height, width = image_bgr.shape[:2]
        if (width, height) != (self._camera.width, self._camera.height):
            self._faults.report(
                "size",
                f"the image is {width}x{height}, but {self.topics.camera_info} describes "
                f"{self._camera.width}x{self._camera.height} (with its binning and region of interest)",
            )
            return None
        return self._camera

    def _has_restarted(self, stamp_ns: int) -> bool:
        last_ns, self._last_stamp_ns = self._last_stamp_ns, stamp_ns
        kind = ""
        if stamp_ns == 0:
            kind, what = "no_stamp", "have no time stamps; what is published has none either"
        elif last_ns is not None and stamp_ns == last_ns:
            kind, what = "repeated_stamp", "repeat their stamps"
        elif last_ns is not None and stamp_ns < last_ns:
            back_s = (last_ns - stamp_ns) * 1e-9
            kind, what = "stamp_went_back", f"went back in time by {back_s:.3f} s; all tracks were reset"
        self._faults.clear(*(other for other in _STAMP_FAULTS if other != kind))
        if kind:
            self._faults.report(kind, f"the images on {self.topics.image} {what}", DiagnosticStatus.WARN)
        return kind == "stamp_went_back"

    def _on_message(self, message: ImageMessage) -> None:
        if self._info is None and not self._latched:
            self._subscribe_to_latched()
        self._on_image(message)

    def _subscribe_to_latched(self) -> None:
        """Connect to a publisher that sends its calibration once and keeps it for late nodes, if there is one."""
        if not has_latched_publisher(self._node, self.topics.camera_info):
            return
        self._latched = True
        self._subscriptions.append(
            self._node.create_subscription(
                CameraInfo,
                self.topics.camera_info,
                self._on_info,
                LATCHED,
                event_callbacks=QUIET,
            )
        )

    def _on_info(self, message: CameraInfo) -> None:
        self._info = message

    def _on_incompatible_qos(self, event: QoSRequestedIncompatibleQoSInfo) -> None:
        policy = qos_policy_name_from_kind(event.last_policy_kind)
        self._faults.report(
            "qos",
            f"a publisher on {self.topics.image} cannot be connected to, because its {policy} does not suit: "
            "see the parameter image_reliability",
        )


def _calibration_key(info: CameraInfo) -> tuple:
    """Everything in a CameraInfo that the camera model depends on."""
    roi = info.roi
    return (
        info.width,
        info.height,
        info.distortion_model,
        info.d.tobytes(),
        info.k.tobytes(),
        info.p.tobytes(),
        info.binning_x,
        info.binning_y,
        (roi.x_offset, roi.y_offset, roi.width, roi.height),
    )
