"""A short form of ``benchmarks/graph_endurance.py``: memory stays level, and no topic falls silent."""

import time

import pytest
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from helpers.fake_hand_estimator import Command
from helpers.hand_estimator_harness import FAKE, NAMESPACE, Camera, Estimator, fake_environment
from sensor_msgs.msg import Image, JointState, PointCloud2
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

GROWTH_MB = 20.0
SETTLING_S, DURATION_S = 5.0, 15.0
TOPICS = {
    "hands": PointCloud2,
    "left/joints": PoseArray,
    "right/joint_states": JointState,
    "left/wrist": PoseWithCovarianceStamped,
    "markers": MarkerArray,
    "image_overlay": Image,
    "/tf": TFMessage,
}


@pytest.mark.slow
def test_memory_stays_level_and_every_topic_speaks(start_node, listener, repository):
    process = start_node(FAKE, namespace=NAMESPACE, environment=fake_environment(repository))
    Estimator(process, listener).activate()
    recorders = {
        topic: listener.subscribe(kind, topic if topic.startswith("/") else f"/{NAMESPACE}/{topic}")
        for topic, kind in TOPICS.items()
    }
    camera = Camera(listener)
    camera.back_to_normal(Command.BOTH_HANDS)
    try:
        for recorder in recorders.values():
            recorder.wait_for(1)
        time.sleep(SETTLING_S)
        settled_mb = process.memory_mb
        counts = {topic: len(recorder) for topic, recorder in recorders.items()}
        time.sleep(DURATION_S)
        growth_mb = process.memory_mb - settled_mb
    finally:
        camera.close()
    assert process.running, process.log
    assert growth_mb < GROWTH_MB
    for topic, recorder in recorders.items():
        assert len(recorder) - counts[topic] > 2 * DURATION_S, f"{topic} fell silent"
