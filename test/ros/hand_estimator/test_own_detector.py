"""The node with the own detector: it finds and follows the clip's hand without a stored network of MediaPipe."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.hand_estimator_harness import NAMESPACE, Estimator
from helpers.ros_harness import Listener, wait_for
from sensor_msgs.msg import PointCloud2
from sensor_msgs_py.point_cloud2 import read_points

from hand_pose_ros import hand
from hand_pose_ros.networks.registry import HAND_DETECTOR, HAND_HEATMAP, shipped_weights

TIMEOUT_S = 300.0  # the first run renders the clip


@pytest.fixture(autouse=True)
def _shipped() -> None:
    for kind in (HAND_DETECTOR, HAND_HEATMAP):
        try:
            shipped_weights(kind)
        except FileNotFoundError:
            pytest.skip(f"the weights of {kind} are not part of this installation")


def test_the_node_follows_the_clip_s_hand(start_node, listener: Listener, tmp_path, monkeypatch):
    monkeypatch.setenv("HAND_POSE_DATA", str(tmp_path / "nothing_stored"))
    process = start_node(
        "hand_pose_ros.ros.hand_estimator.process",
        namespace=NAMESPACE,
        parameters={"detector": "own", "estimator": "ik", "tracker.max_hands": 1},
    )
    Estimator(process, listener).activate()
    monkeypatch.undo()
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    player = start_node(
        "hand_pose_ros.ros.video_player.process",
        namespace=NAMESPACE,
        parameters={"source": "clip", "rate_hz": 5.0, "wait_for_subscriber": True, "loop": True},
    )
    cloud = wait_for(lambda: next((one for one in hands.messages if one.width), None), "a hand", TIMEOUT_S)
    points = read_points(cloud)
    joints = np.stack([points[axis] for axis in "xyz"], axis=-1).reshape(-1, hand.NUM_JOINTS, 3)
    assert np.isfinite(joints).all()
    assert (joints[..., 2] > 0.05).all()
    player.interrupt()
    assert process.interrupt() == 0
