"""The parts of the hand_estimator that need no graph: topics, parameters, faults, statistics, the worker."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy

from hand_pose_ros.estimator.ik import IkEstimatorConfig
from hand_pose_ros.factory import PipelineConfig
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.hand_estimator.topics import (
    CameraTopics,
    resolve_topics,
    why_nothing_comes,
)
from hand_pose_ros.ros.hand_estimator.worker import NewestItemWorker
from hand_pose_ros.ros.shared.diagnostics import RollingStatistics, diagnostics_message, status
from hand_pose_ros.ros.shared.faults import FaultLog
from hand_pose_ros.tracking.tracker import TrackerConfig
from hand_pose_ros.video.camera_topics import is_rectified


@pytest.mark.parametrize(
    ("remappings", "transport", "expected"),
    [
        ({}, "raw", ("/ns/image", "/ns/image", "/ns/camera_info")),
        ({"image": "/cam/image_raw"}, "raw", ("/cam/image_raw", "/cam/image_raw", "/cam/camera_info")),
        ({"image": "/image"}, "raw", ("/image", "/image", "/camera_info")),
        (
            {"image": "/cam/image_raw"},
            "compressed",
            ("/cam/image_raw/compressed", "/cam/image_raw", "/cam/camera_info"),
        ),
        (
            {"image/compressed": "/a/b/compressed"},
            "compressed",
            ("/a/b/compressed", "/a/b", "/a/camera_info"),
        ),
        (
            {"image": "/cam/image_rect", "camera_info": "/other/info"},
            "raw",
            ("/cam/image_rect", "/cam/image_rect", "/other/info"),
        ),
    ],
)
def test_camera_topics(remappings, transport, expected):
    def resolve(name: str, only_expand: bool = False) -> str:
        return f"/ns/{name}" if only_expand or name not in remappings else remappings[name]

    topics = resolve_topics(resolve, transport)
    assert (topics.image, topics.base, topics.camera_info) == expected
    assert is_rectified(topics.base) == ("image_rect" in expected[1])


IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"


@pytest.mark.parametrize(
    ("publishers", "others", "transport", "reason"),
    [
        ([], {}, "raw", "nothing publishes it"),
        ([], {"/cam/image": [IMAGE]}, "raw", "nothing publishes it; there are images on /cam/image"),
        (
            [],
            {"/cam/image/compressed": [COMPRESSED]},
            "compressed",
            "nothing publishes it; there are images on /cam/image",
        ),
        ([], {"/cam/image/compressed": [COMPRESSED]}, "raw", "nothing publishes it"),
        ([(COMPRESSED, "RELIABLE")], {}, "raw", f"its type is {COMPRESSED}, not {IMAGE}"),
        ([(IMAGE, "BEST_EFFORT")], {}, "raw", "its publisher camera has an incompatible QoS"),
        ([(IMAGE, "RELIABLE")], {}, "raw", "its publisher camera is silent"),
    ],
)
def test_why_nothing_comes(publishers, others, transport, reason):
    infos = [
        SimpleNamespace(
            topic_type=kind,
            node_name="camera",
            node_namespace="/",
            qos_profile=QoSProfile(depth=1, reliability=ReliabilityPolicy[reliability]),
        )
        for kind, reliability in publishers
    ]
    driver = SimpleNamespace(node_name="driver", node_namespace="/")
    node = SimpleNamespace(
        get_name=lambda: "hand_estimator",
        get_namespace=lambda: "/",
        get_publishers_info_by_topic=lambda topic: infos if topic == "/image" else [driver],
        get_topic_names_and_types=lambda: list(others.items()),
        count_publishers=lambda topic: 1,
    )
    topics = CameraTopics("/image", "/image", "/camera_info")
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
    assert why_nothing_comes(node, topics, transport, qos).startswith(reason)


def test_parameters_describe_the_pipeline():
    assert HandEstimatorParameters().pipeline == PipelineConfig()
    given = {"hand_size_m": 0.08, "tracker.max_hands": 1, "mirrored": True, "estimator": "ik"}
    assert HandEstimatorParameters.from_flat(given).pipeline == PipelineConfig(
        hand_size_m=0.08, tracker=TrackerConfig(max_hands=1), mirrored=True, estimator=IkEstimatorConfig()
    )


class RecordingLogger:
    def __init__(self) -> None:
        self.lines: list[tuple[str, str]] = []

    def __getattr__(self, level: str):
        return lambda message: self.lines.append((level, message))


def test_a_fault_is_logged_when_it_begins_and_when_it_ends():
    logger = RecordingLogger()
    faults = FaultLog(logger)
    for _ in range(5):
        faults.report("image", "it is torn")
    faults.report("camera_info", "none", DiagnosticStatus.WARN)
    assert set(faults.take()) == {"image", "camera_info"}
    faults.clear("image", "size")
    faults.clear("image")
    assert logger.lines == [("error", "it is torn"), ("warning", "none"), ("info", "over: it is torn")]
    # What came and went since the last look is seen once more.
    assert set(faults.take()) == {"image", "camera_info"}
    assert set(faults.take()) == {"camera_info"}
    assert faults.counts == {"image": 5, "camera_info": 1}


def test_a_fault_that_comes_and_goes_with_every_frame_is_no_flood():
    logger = RecordingLogger()
    faults = FaultLog(logger)
    for number in range(50):
        faults.report("image", f"only {number} bytes")
        faults.clear("image")
    assert logger.lines == [("error", "only 0 bytes"), ("info", "over: only 0 bytes")]


def test_rolling_statistics_are_percentiles_of_the_newest_values():
    statistics = RollingStatistics(window=100)
    values = np.random.default_rng(0).random(250)
    for value in values:
        statistics.add({"detect": value, "total": 2 * value})
    result = statistics.percentiles(50, 95)
    np.testing.assert_allclose(result["detect"], np.percentile(values[-100:], (50, 95)))
    np.testing.assert_allclose(result["total"], 2 * np.array(result["detect"]))
    statistics.clear()
    assert statistics.percentiles(50) == {}


def test_a_status_shows_its_values_as_text():
    one = status(
        "node: camera", DiagnosticStatus.WARN, "slow", {"rate (Hz)": 29.97, "dropped": 3, "why": "busy"}
    )
    message = diagnostics_message([one], Time(sec=5))
    assert (message.header.stamp.sec, message.status) == (5, [one])
    assert {v.key: v.value for v in one.values} == {"rate (Hz)": "29.97", "dropped": "3", "why": "busy"}


def test_the_worker_takes_the_newest_and_drops_what_waits():
    busy, release, done = threading.Event(), threading.Event(), []

    def process(item: int) -> None:
        busy.set()
        release.wait()
        done.append(item)

    worker = NewestItemWorker(process, "worker")
    assert not worker.submit(0)
    busy.wait()
    assert [worker.submit(item) for item in (1, 2, 3)] == [False, True, True]
    release.set()
    while len(done) < 2:
        pass
    worker.submit(4)
    worker.stop()
    assert done[:2] == [0, 3]
    assert set(done[2:]) <= {4}
