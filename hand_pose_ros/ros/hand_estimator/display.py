"""Draws markers and the overlay in a thread of its own that never delays the hands."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from visualization_msgs.msg import MarkerArray

from hand_pose_ros.mesh.skinning import hand_mesh
from hand_pose_ros.pipeline import FrameResult
from hand_pose_ros.pose import HandPose
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.hand_estimator.worker import NewestItemWorker
from hand_pose_ros.ros.messages.camera import serialised_image
from hand_pose_ros.ros.messages.markers import MarkerKey, delete_all, serialised_markers
from hand_pose_ros.ros.messages.overlay import draw_overlay
from hand_pose_ros.ros.messages.selection import PublishedHand

_MARKER_QOS: Final = QoSProfile(depth=5)
_IMAGE_QOS: Final = QoSProfile(depth=2)


@dataclass(frozen=True)
class ShownFrame:
    """A frame to show.

    published: the hands that have a name, as on the other topics. result, header: of the frame.
    """

    published: Sequence[PublishedHand]
    result: FrameResult
    header: Header
    parameters: HandEstimatorParameters


class HandDisplay:
    """Publishes markers and image_overlay of the newest frame, at most ``display_rate_hz`` times a second.

    Frames that come faster, or while one is drawn, are dropped for newer ones. Nothing is drawn that nobody
    subscribes to.
    """

    def __init__(
        self,
        node: LifecycleNode,
        drawn: Callable[[float | None], None],
        failed: Callable[[str], None],
    ) -> None:
        """Create the publishers.

        Args:
            drawn: called in the display's thread after each frame, with the seconds that it took; with None if
                nobody looked.
            failed: called instead, with the reason, for a frame that cannot be shown.
        """
        # create_lifecycle_publisher states the base class.
        self._markers: LifecyclePublisher = node.create_lifecycle_publisher(
            MarkerArray, "markers", _MARKER_QOS
        )  # pyright: ignore[reportAttributeAccessIssue]
        self._overlay: LifecyclePublisher = node.create_lifecycle_publisher(
            Image, "image_overlay", _IMAGE_QOS
        )  # pyright: ignore[reportAttributeAccessIssue]
        self._drawn, self._failed = drawn, failed
        self._worker: NewestItemWorker[ShownFrame] | None = None
        self._shown: list[MarkerKey] = []
        self._last_header = Header()

    @property
    def publishers(self) -> tuple[LifecyclePublisher, LifecyclePublisher]:
        """Those of markers and overlay."""
        return self._markers, self._overlay

    def start(self) -> None:
        """Start the thread."""
        self._worker = NewestItemWorker(self._process, "display")

    def show(self, frame: ShownFrame) -> None:
        """Hand over a frame; returns at once."""
        if self._worker is not None:
            self._worker.submit(frame)

    def stop(self) -> None:
        """End the thread, and remove all markers from displays."""
        if self._worker is None:
            return
        self._worker.stop()
        self._worker = None
        self._markers.publish(delete_all(self._last_header))
        self._shown = []

    def _process(self, frame: ShownFrame) -> float:
        began_s = time.perf_counter()
        try:
            drew = self.draw(frame)
        except Exception as error:  # such as a mesh that no message can hold; it must not end the thread
            self._failed(f"a frame was not shown: {type(error).__name__}: {error}")
        else:
            self._drawn(time.perf_counter() - began_s if drew else None)
        rate_hz = frame.parameters.display_rate_hz
        return 1.0 / rate_hz if rate_hz else 0.0

    def draw(self, frame: ShownFrame) -> bool:
        """Publish markers and overlay, which share one mesh, for those who subscribe; return whether any does."""
        self._last_header = frame.header
        published, parameters = list(frame.published), frame.parameters
        with_markers, with_overlay = (publisher.get_subscription_count() > 0 for publisher in self.publishers)
        hands: Sequence[HandPose] = frame.result.hands
        if with_markers or (with_overlay and parameters.overlay_mesh):
            meshed = {id(item.pose): replace(item.pose, mesh=hand_mesh(item.pose)) for item in published}
            published = [replace(item, pose=meshed[id(item.pose)]) for item in published]
            hands = [meshed.get(id(pose), pose) for pose in hands]
        if with_markers:
            before = self._shown
            message, self._shown = serialised_markers(
                published, frame.header, parameters.marker_lifetime_s, before
            )
            if before or self._shown:
                self._markers.publish(message)
        else:
            self._shown = []  # the lifetime removes markers from a display that reconnects
        if with_overlay:
            source = frame.result.frame
            drawn = draw_overlay(
                source.image_bgr, source.camera, hands, frame.result.detections, parameters.overlay_mesh
            )
            self._overlay.publish(serialised_image(drawn, frame.header))
        return with_markers or with_overlay
