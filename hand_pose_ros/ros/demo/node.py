"""The demo's node records all topics, controls the other nodes by their services, and watches their status."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.client import Client
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from hand_pose_ros import hand
from hand_pose_ros.recordings.bag_writer import header_stamp_ns
from hand_pose_ros.recordings.episode_writer import EpisodeWriter, Message
from hand_pose_ros.ros.demo.progress import Progress

NAMESPACE: Final = "/hand_pose"
_ESTIMATOR: Final = "hand_estimator"
_QOS: Final = QoSProfile(depth=100)
_MOST_LATCHED: Final = 10
_LATCHED_QOS: Final = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_POLL_S: Final = 0.05
_MATCHING_S: Final = 0.5  # responses to a client that the service has not matched yet are lost
_TYPES: Final = {
    f"{NAMESPACE}/image": Image,
    f"{NAMESPACE}/camera_info": CameraInfo,
    f"{NAMESPACE}/hands": PointCloud2,
    **{
        f"{NAMESPACE}/{side}/{topic}": kind
        for side in hand.SIDES
        for topic, kind in {
            "joints": PoseArray,
            "joint_states": JointState,
            "wrist": PoseWithCovarianceStamped,
        }.items()
    },
    f"{NAMESPACE}/markers": MarkerArray,
    f"{NAMESPACE}/image_overlay": Image,
    "/tf": TFMessage,
    "/diagnostics": DiagnosticArray,
}


class DemoNode(Node):
    """Subscribes to all topics at once; messages are recorded from :meth:`record` on.

    Callbacks run in an executor's thread, everything else is called from the main thread.
    """

    def __init__(
        self, more: Mapping[str, type] | None = None, latched: Mapping[str, type] | None = None
    ) -> None:
        """Subscribe.

        Args:
            more: topic -> type of further topics. latched: of topics whose messages are recorded even if they
                came before the recording.
        """
        super().__init__("demo", namespace=NAMESPACE)
        self.progress = Progress()
        self.hands = 0
        """Number of hands in the newest image."""
        self.latencies: dict[str, str] = {}
        """The newest values of the estimator's latency status."""
        self.estimator_says = ""
        """The newest messages of its statuses that are not OK."""
        self._service_clients: dict[str, Client] = {}
        self._writer: EpisodeWriter | None = None
        self._lock = threading.Lock()
        self._latched: dict[str, list[tuple[str, bytes]]] = {topic: [] for topic in latched or {}}
        self._watched: dict[str, Callable[[bytes], None]] = {
            f"{NAMESPACE}/image": self._on_image,
            f"{NAMESPACE}/image_overlay": self._on_overlay,
            f"{NAMESPACE}/hands": self._on_hands,
            "/diagnostics": self._on_diagnostics,
        }
        for topic, kind in {**_TYPES, **(more or {}), **(latched or {})}.items():
            qos = _LATCHED_QOS if topic in self._latched else _QOS
            self.create_subscription(kind, topic, self._receiver(topic, kind), qos, raw=True)

    def watch(self, topic: str, callback: Callable[[bytes], None]) -> None:
        """Call ``callback`` with every serialised message of a topic, too."""
        self._watched[topic] = callback

    def record(self, writer: EpisodeWriter | None) -> None:
        """Start recording, or stop with None, and count from zero."""
        with self._lock:
            self._writer = writer
            self.progress = Progress()
            if writer is None:
                return
            for topic, kept in self._latched.items():
                for msgtype, serialised in kept:
                    writer.offer(Message(topic, msgtype, serialised, time.time_ns()))

    def set_parameters_of(self, node: str, values: Mapping[str, Any], alive: Callable[[], bool]) -> None:
        """Set parameters of another node, all or none; do nothing if it is no longer ``alive``.

        Raises:
            ValueError: it refused them.
        """
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=parameters)
        response = self._call(SetParametersAtomically, f"{node}/set_parameters_atomically", request, alive)
        if response is not None and not response.result.successful:
            raise ValueError(f"{node} refused {dict(values)}: {response.result.reason}")

    def change_state(self, node: str, transition: int, alive: Callable[[], bool]) -> bool:
        """Ask a managed node for a transition; return whether it succeeded."""
        request = ChangeState.Request()
        request.transition.id = transition
        response = self._call(ChangeState, f"{node}/change_state", request, alive)
        return response is not None and response.success

    def _call(self, kind: type, service: str, request: Any, alive: Callable[[], bool]) -> Any | None:
        """Call a service; return None as soon as ``alive`` returns False."""
        is_new = service not in self._service_clients
        if is_new:
            self._service_clients[service] = self.create_client(kind, f"{NAMESPACE}/{service}")
        client = self._service_clients[service]
        while not client.service_is_ready():
            if not alive():
                return None
            time.sleep(_POLL_S)
        if is_new:
            time.sleep(_MATCHING_S)
        future = client.call_async(request)
        while not future.done():
            if not alive():
                return None
            time.sleep(_POLL_S)
        return future.result()

    # --- callbacks ---------------------------------------------------------------------------------------------

    def _receiver(self, topic: str, kind: type) -> Callable[[bytes], None]:
        package, _, rest = kind.__module__.partition(".")
        msgtype = f"{package}/{rest.partition('.')[0]}/{kind.__name__}"

        def receive(serialised: bytes) -> None:
            received_ns = time.time_ns()
            with self._lock:
                if (watch := self._watched.get(topic)) is not None:
                    watch(serialised)
                if topic in self._latched:
                    self._latched[topic] = [*self._latched[topic], (msgtype, serialised)][-_MOST_LATCHED:]
                writer = self._writer
                if writer is not None:
                    writer.offer(Message(topic, msgtype, serialised, received_ns))

        return receive

    def _on_image(self, serialised: bytes) -> None:
        self.progress.image(header_stamp_ns(serialised), time.monotonic())

    def _on_hands(self, serialised: bytes) -> None:
        self.progress.result(header_stamp_ns(serialised), time.monotonic())
        self.hands = deserialize_message(serialised, PointCloud2).width // hand.NUM_JOINTS

    def _on_overlay(self, serialised: bytes) -> None:
        self.progress.overlay(header_stamp_ns(serialised))

    def _on_diagnostics(self, serialised: bytes) -> None:
        ours = [s for s in deserialize_message(serialised, DiagnosticArray).status if _ESTIMATOR in s.name]
        if not ours:
            return
        for status in ours:
            if status.name.endswith(": latency"):
                self.latencies = {item.key: item.value for item in status.values}
        bad = [status.message for status in ours if status.level != status.OK]
        self.estimator_says = "; ".join(bad)
