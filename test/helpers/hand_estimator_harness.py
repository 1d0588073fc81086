"""A camera and a hand_estimator process for tests of the live node."""

from __future__ import annotations

import array
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.ros.messages.camera import camera_info_message, image_message, time_message
from helpers.fake_hand_estimator import Command
from helpers.ros_harness import RELIABLE, START_TIMEOUT_S, Listener, NodeProcess, wait_for

NAMESPACE = "hand_pose"
NODE = f"/{NAMESPACE}/hand_estimator"
FAKE = "helpers.fake_hand_estimator"
CAMERA = CameraModel.from_fov(640, 480, 1.0)
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


def fake_environment(repository: Path) -> dict[str, str]:
    """The environment in which ``python -m helpers.fake_hand_estimator`` is found."""
    return {"PYTHONPATH": f"{repository}/test:{repository}"}


class Camera:
    """Publishes images and camera_info at a steady rate in a thread; what it sends can be changed at any time.

    ``image``: the message that is sent, with its header set anew. ``info``: the CameraInfo, or None for none.
    ``depth``: the depth image of each image, or None for none.
    ``stamp_ns``: makes the stamp of the n-th image.
    """

    def __init__(
        self,
        listener: Listener,
        topic: str = f"/{NAMESPACE}/image",
        rate_hz: float = 30.0,
        qos: QoSProfile = RELIABLE,
        kind: type = Image,
    ) -> None:
        self._images = listener.publisher(kind, topic, qos)
        base = topic.removesuffix("/compressed")
        self._infos = listener.publisher(CameraInfo, base.rpartition("/")[0] + "/camera_info", qos)
        self._depths = listener.publisher(Image, base.rpartition("/")[0] + "/depth", qos)
        self._node = listener.node
        self._period_s = 1 / rate_hz
        self.sent_stamps: list[int] = []
        self.frame_id = "camera"
        self.info: CameraInfo | None = None
        self.image: Any = None
        self.depth: Image | None = None
        self.back_to_normal()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def back_to_normal(self, command: Command = Command.BOTH_HANDS) -> None:
        """Calibrated 640x480 bgr8 images with increasing stamps."""
        self.info = camera_info_message(CAMERA, CAMERA.width, CAMERA.height, Header())
        self.image = picture(command)
        self.stamp_ns: Callable[[int], int] = lambda number: time.time_ns()

    def pause(self) -> None:
        """Send nothing until there is an image again."""
        self.image = None

    def close(self) -> None:
        """Stop sending."""
        self._end.set()
        self._thread.join()
        self._node.destroy_publisher(self._images)
        self._node.destroy_publisher(self._infos)
        self._node.destroy_publisher(self._depths)

    def _run(self) -> None:
        number = 0
        while not self._end.wait(self._period_s):
            image, info = self.image, self.info
            if image is None:
                continue
            stamp_ns = self.stamp_ns(number)
            header = Header(stamp=time_message(stamp_ns), frame_id=self.frame_id)
            if info is not None:
                info.header = header
                self._infos.publish(info)
            if self.depth is not None:
                self.depth.header = header
                self._depths.publish(self.depth)
            image.header = header
            self._images.publish(image)
            self.sent_stamps.append(stamp_ns)
            number += 1


def picture(command: Command = Command.BOTH_HANDS) -> Image:
    """A grey bgr8 image that asks the fake pipeline for ``command``."""
    return image_message(np.full((CAMERA.height, CAMERA.width, 3), int(command), np.uint8), Header())


def raw_image(width: int, height: int, encoding: str, step: int, size: int, value: int = 40) -> Image:
    """An image whose data are ``size`` bytes of ``value``, fitting or not."""
    message = Image(width=width, height=height, encoding=encoding, step=step)
    message.data = array.array("B", bytes([value]) * size)
    return message


class Estimator:
    """Handle of a running hand_estimator: its lifecycle, its diagnostics and its log."""

    def __init__(self, process: NodeProcess, listener: Listener, name: str = NODE) -> None:
        self.process = process
        self._name = name
        self._listener = listener
        self._diagnostics = listener.subscribe(DiagnosticArray, "/diagnostics")

    def change_state(self, transition: int) -> bool:
        """Ask for a transition; return whether it succeeded."""
        request = ChangeState.Request(transition=Transition(id=transition))
        return self._listener.call(ChangeState, f"{self._name}/change_state", request).success

    def activate(self) -> None:
        """Configure and activate."""
        assert self.change_state(Transition.TRANSITION_CONFIGURE), self.process.log
        assert self.change_state(Transition.TRANSITION_ACTIVATE), self.process.log

    @property
    def state(self) -> str:
        """Label of the lifecycle state."""
        return self._listener.call(
            GetState, f"{self._name}/get_state", GetState.Request()
        ).current_state.label

    def status(self, component: str) -> DiagnosticStatus | None:
        """The newest status of 'camera', 'estimator' or 'latency'."""
        ours = [one for one in self._diagnostics.messages if one.status[0].name.startswith(self._name[1:])]
        if not ours:
            return None
        name = f"{self._name[1:]}: {component}"
        return next(s for s in ours[-1].status if s.name == name)

    def wait_for_status(
        self, component: str, level: bytes, text: str = "", timeout_s: float = START_TIMEOUT_S
    ) -> DiagnosticStatus:
        """Wait until a component's status has this level and this text in its message, and return it."""

        def reached() -> DiagnosticStatus | None:
            status = self.status(component)
            return status if status and status.level == level and text in status.message else None

        try:
            return wait_for(reached, f"{component} at level {level} with {text!r}", timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.status(component)}\n{self.process.log}") from None
