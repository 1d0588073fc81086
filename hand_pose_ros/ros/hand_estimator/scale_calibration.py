"""The service ``~/calibrate_scale`` measures the user's hand while the node goes on, and answers afterwards."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType  # pyright: ignore[reportPrivateImportUsage] - defined here in Humble
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rclpy.task import Future
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.estimator.size.calibration import ScaleCalibration, ScaleMeasurement, ScaleRefusedError
from hand_pose_ros.estimator.size.marker import MarkerScale
from hand_pose_ros.pipeline import FrameResult
from hand_pose_ros.pose import Frame
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.messages.depth import depth_image

DURATION_S: Final = 2.0
"""Time for which the hand is measured."""
_PATIENCE_S: Final = 3.0  # for the first image, or for the last one's pipeline
_KEPT_DEPTHS: Final = 10
_NEAR_NS: Final = 20_000_000  # between the stamps of an image and its depth image
DEPTH_TOPIC: Final = "depth"


class ScaleCalibrationService:
    """Answers ``~/calibrate_scale``.

    The callback is a coroutine: the executor goes on while it waits for the frames, which the worker's thread
    hands over by :meth:`with_depth` and :meth:`observe`. The depth image is subscribed to only meanwhile, unless
    the parameter ``use_depth`` asks for it all the time.
    """

    def __init__(
        self,
        node: Node,
        settings: Callable[[], HandEstimatorParameters],
        size_in_use: Callable[[], HandSize | None],
        use: Callable[[HandSize], None],
    ) -> None:
        """Offer the service.

        Args:
            size_in_use: returns the size of all hands, None if unknown; raises RuntimeError without a pipeline.
            use: takes the measured size into use.
        """
        self._node, self._settings, self._size_in_use, self._use = node, settings, size_in_use, use
        self._lock = threading.Lock()
        self._calibration: ScaleCalibration | None = None
        self._done: Future | None = None
        self._first_s: float | None = None
        self._depths: deque[Image] = deque(maxlen=_KEPT_DEPTHS)
        self._note = ""
        self._clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._group = ReentrantCallbackGroup()
        on_call: Any = self._on_call  # rclpy states no type for coroutines, which it awaits
        self._always: Subscription | None = None
        node.create_service(Trigger, "~/calibrate_scale", on_call, callback_group=self._group)

    def start(self) -> None:
        """Listen to depth images from now on, if the settings use them for every image."""
        if self._settings().use_depth and self._always is None:
            self._always = self._subscribe()

    def stop(self) -> None:
        """Listen to depth images no more, but while a hand is measured."""
        if self._always is not None:
            self._node.destroy_subscription(self._always)
            self._always = None
        self._depths.clear()

    def with_depth(self, frame: Frame, stamp_ns: int) -> Frame:
        """The frame with its depth image, if one came."""
        if not self._depths:
            return frame
        near = [one for one in tuple(self._depths) if abs(_stamp_ns(one) - stamp_ns) <= _NEAR_NS]
        if not near:
            return frame
        message = min(near, key=lambda one: abs(_stamp_ns(one) - stamp_ns))
        try:
            depth_m = depth_image(message)
        except ValueError as error:
            self._note = f"the depth image cannot be used: {error}"
            return frame
        if depth_m.shape != frame.image_bgr.shape[:2]:
            height, width = frame.image_bgr.shape[:2]
            self._note = (
                f"the depth image is {message.width}x{message.height}, but the image {width}x{height}: "
                "it must be aligned to the colour image"
            )
            return frame
        return replace(frame, depth_m=depth_m)

    def observe(self, result: FrameResult) -> None:
        """Take the hands of a frame, in the worker's thread."""
        with self._lock:
            if self._calibration is None or self._done is None or self._done.done():
                return
            now_s = time.monotonic()
            if self._first_s is None:
                self._first_s = now_s
            self._calibration.add(result.frame, result.hands)
            if now_s - self._first_s >= DURATION_S:
                self._done.set_result(None)

    async def _on_call(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        if self._calibration is not None:
            response.message = "the hand is being measured already"
            return response
        try:
            self._begin()
        except (RuntimeError, ValueError) as error:
            response.message = str(error)
            return response
        depth = None if self._always is not None else self._subscribe()
        deadline = self._node.create_timer(
            DURATION_S + _PATIENCE_S, self._give_up, callback_group=self._group, clock=self._clock
        )
        assert self._done is not None
        try:
            await self._done
        finally:
            self._node.destroy_timer(deadline)
            if depth is not None:
                self._node.destroy_subscription(depth)
            with self._lock:
                calibration, self._calibration = self._calibration, None
        assert calibration is not None
        depth_note = self._note or self._depth_note()
        if depth is not None:
            self._depths.clear()
        try:
            measured = calibration.measured()
            self._use(measured.size)
        except ScaleRefusedError as refused:
            response.message = "; ".join(filter(None, [depth_note, str(refused)]))
        except RuntimeError as error:
            response.message = str(error)
        else:
            response.success = True
            response.message = _answer(measured)
            self._node.get_logger().info(response.message)
        return response

    def _begin(self) -> None:
        """Start to collect frames; raises RuntimeError without a pipeline, ValueError for a wrong marker."""
        settings, in_use = self._settings(), self._size_in_use()
        marker = None
        if settings.scale_marker_m is not None:
            marker = MarkerScale(settings.scale_marker_m, settings.scale_marker_dictionary)
        self._depths.clear()
        self._first_s, self._note = None, ""
        self._done = Future()
        self._calibration = ScaleCalibration(marker, in_use)

    def _subscribe(self) -> Subscription:
        return self._node.create_subscription(
            Image,
            DEPTH_TOPIC,
            self._on_depth,
            QoSProfile(depth=2, reliability=ReliabilityPolicy.BEST_EFFORT),
            callback_group=self._group,
        )

    def _on_depth(self, message: Image) -> None:
        self._depths.append(message)

    def _give_up(self) -> None:
        with self._lock:
            if self._done is not None and not self._done.done():
                self._done.set_result(None)

    def _depth_note(self) -> str:
        topic = self._node.resolve_topic_name(DEPTH_TOPIC)
        if self._depths:
            return f"the stamps of the depth images on {topic} are not those of the images"
        return f"no depth image came on {topic}"


def _answer(measured: ScaleMeasurement) -> str:
    size = measured.size
    sources = " and ".join(measured.sources)
    return (
        f"hand size {size.size_m:.4f} m, standard deviation {size.sigma_m:.4f} m (bone wrist -> index MCP; a hand "
        f"length of {size.length_m:.3f} m), from {sources} in {measured.frames} images. In use until the node "
        f"is cleaned up or ends; to keep it, start the node with hand_size_m:={size.size_m:.4f}"
    )


def _stamp_ns(message: Image) -> int:
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec
