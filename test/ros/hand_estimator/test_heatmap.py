"""The node with the heatmap estimator: it publishes hands, counts root depths, and asks for weights."""

from __future__ import annotations

import numpy as np
from helpers.hand_estimator_harness import NAMESPACE, OK, Estimator
from helpers.heatmap import neutral_weights
from helpers.ros_harness import Listener, wait_for
from sensor_msgs.msg import JointState, PointCloud2
from sensor_msgs_py.point_cloud2 import read_points

from hand_pose_ros import hand
from hand_pose_ros.estimator.heatmap.estimator import CLOSED_FORM, LEAST_SQUARES, UNSOLVED
from hand_pose_ros.kinematics.limits import angle_bounds

TIMEOUT_S = 120.0
NODE_MODULE = "hand_pose_ros.ros.hand_estimator.process"


def test_the_node_publishes_the_hands_of_a_weight_file(start_node, listener: Listener, tmp_path):
    parameters = {
        "estimator": "heatmap",
        "heatmap.weights": str(neutral_weights(tmp_path / "heatmap.safetensors")),
        "heatmap.backend": "torch",
        "heatmap.root": "closed_form",
        "tracker.max_hands": 1,
        "diagnostics_period_s": 0.2,
    }
    process = start_node(NODE_MODULE, namespace=NAMESPACE, parameters=parameters)
    estimator = Estimator(process, listener)
    estimator.activate()
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    angles = [listener.subscribe(JointState, f"/{NAMESPACE}/{side}/joint_states") for side in hand.SIDES]
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
    states = wait_for(lambda: next((one.messages for one in angles if one.messages), None), "its angles")
    positions = states[0].position
    assert angle_bounds().contains(angle_bounds().neutral.new_tensor(list(positions)[: hand.NUM_ANGLES]))

    def counts() -> list[int]:
        values = {one.key: one.value for one in estimator.wait_for_status("estimator", OK).values}
        return [int(values.get(name, 0)) for name in (CLOSED_FORM, LEAST_SQUARES, UNSOLVED)]

    wait_for(lambda: counts()[0] > 0, "a root depth in closed form")
    assert counts()[1:] == [0, 0]
    player.interrupt()
    assert process.interrupt() == 0
