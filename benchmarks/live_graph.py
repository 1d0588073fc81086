"""A running graph to measure: video_player and hand_estimator as processes on real DDS, and what they send."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
sys.path[:0] = [str(REPOSITORY / "test"), str(REPOSITORY)]

from helpers.hand_estimator_harness import CAMERA, NAMESPACE, NODE, Camera, Estimator, raw_image  # noqa: E402
from helpers.ros_harness import Listener, NodeProcess, Recorder  # noqa: E402
from sensor_msgs.msg import PointCloud2  # noqa: E402

_DOMAIN_ID = "77"
_FIELD_OF_VIEW_DEG = 60.0  # of sources that bring no calibration; only latency is measured


class LiveGraph:
    """The two processes and the messages that arrive here.

    hands: one cloud for each processed frame; latencies_s: from its image's stamp to its arrival here.
    """

    def __init__(self, estimator: Estimator, player: NodeProcess, listener: Listener) -> None:
        self.estimator = estimator
        self.player = player
        self.latencies_s: list[float] = []
        self.hands: Recorder = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
        listener.node.create_subscription(PointCloud2, f"/{NAMESPACE}/hands", self._arrived, 10)

    def latency_values(self) -> dict[str, float]:
        """The estimator's own figures from /diagnostics, milliseconds and counts."""
        return {value.key: float(value.value) for value in self.estimator.status("latency").values}

    def _arrived(self, cloud: PointCloud2) -> None:
        stamp_s = cloud.header.stamp.sec + 1e-9 * cloud.header.stamp.nanosec
        self.latencies_s.append(time.time() - stamp_s)


def use_own_graph() -> None:
    """Keep this process and those it starts to a domain of their own on this machine."""
    profile = str(REPOSITORY / "config" / "fastdds.xml")
    os.environ.update(
        ROS_DOMAIN_ID=_DOMAIN_ID,
        ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST",
        FASTRTPS_DEFAULT_PROFILES_FILE=profile,
        FASTDDS_DEFAULT_PROFILES_FILE=profile,
        PYTHONPATH=str(REPOSITORY),
    )


@contextmanager
def live_graph(
    source: str, loop: bool = False, max_hands: int = 1, rate_hz: float = -1.0
) -> Iterator[LiveGraph]:
    """Play a source through an activated hand_estimator; everything ends with the context."""
    use_own_graph()
    with ExitStack() as stack:
        logs = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        listener = stack.enter_context(Listener())
        estimator = NodeProcess(
            "hand_pose_ros.ros.hand_estimator.process",
            log_path=logs / "estimator.log",
            namespace=NAMESPACE,
            parameters={"tracker.max_hands": max_hands},
        )
        stack.callback(estimator.end)
        handle = Estimator(estimator, listener)
        handle.activate()
        player = NodeProcess(
            "hand_pose_ros.ros.video_player.process",
            log_path=logs / "player.log",
            namespace=NAMESPACE,
            parameters={
                "source": source,
                "loop": loop,
                "rate_hz": rate_hz,
                "wait_for_subscriber": True,
                **({} if source == "clip" else {"horizontal_fov_deg": _FIELD_OF_VIEW_DEG}),
            },
        )
        stack.callback(player.end)
        yield LiveGraph(handle, player, listener)


__all__ = ["CAMERA", "NODE", "Camera", "LiveGraph", "live_graph", "raw_image", "use_own_graph"]
