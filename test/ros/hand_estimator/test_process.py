"""How a hand_estimator process starts and ends, and what it says of publishers that it cannot connect to."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from helpers.hand_estimator_harness import (
    ERROR,
    FAKE,
    NAMESPACE,
    NODE,
    OK,
    Camera,
    Estimator,
    fake_environment,
)
from helpers.ros_harness import BEST_EFFORT, wait_for
from lifecycle_msgs.msg import Transition
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2
from tf2_msgs.msg import TFMessage

from hand_pose_ros.rotations import rotation_from_quaternion


def children(pid: int) -> list[str]:
    """Processes of the session that the node leads."""
    return [
        entry
        for entry in os.listdir("/proc")
        if entry.isdigit() and int(entry) != pid and os.getsid(int(entry)) == pid
    ]


@pytest.mark.parametrize("state", ["unconfigured", "inactive", "active"])
def test_interrupt_ends_it_quietly(start_node, listener, repository, state):
    process = start_node(FAKE, namespace=NAMESPACE, environment=fake_environment(repository))
    estimator = Estimator(process, listener)
    assert estimator.state == "unconfigured"
    camera = Camera(listener)
    if state != "unconfigured":
        assert estimator.change_state(Transition.TRANSITION_CONFIGURE)
    if state == "active":
        hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
        assert estimator.change_state(Transition.TRANSITION_ACTIVATE)
        hands.wait_for(3)
    assert process.interrupt() == 0
    camera.close()
    assert not children(process.pid)
    assert "Traceback" not in process.log
    assert "rror" not in process.log


def test_it_starts_by_itself_and_is_then_left_to_its_manager(start_node, listener, repository):
    process = start_node(
        FAKE, namespace=NAMESPACE, environment=fake_environment(repository), parameters={"autostart": True}
    )
    estimator = Estimator(process, listener)
    wait_for(lambda: estimator.state == "active", "active")
    for transition in ("DEACTIVATE", "CLEANUP", "CONFIGURE"):
        assert estimator.change_state(getattr(Transition, f"TRANSITION_{transition}"))
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    camera = Camera(listener)
    assert estimator.state == "inactive"
    camera.close()
    assert not hands.messages
    assert process.interrupt() == 0


def test_a_start_by_itself_that_fails_leaves_it_unconfigured(start_node, listener, repository):
    process = start_node(
        FAKE,
        namespace=NAMESPACE,
        environment=fake_environment(repository),
        parameters={"autostart": True, "mediapipe.model_file": "absent"},
    )
    process.wait_for_log("the models cannot be loaded")
    assert Estimator(process, listener).state == "unconfigured"
    assert process.interrupt() == 0


def test_parameters_of_the_start_may_change_until_it_is_configured(start_node, listener, repository):
    process = start_node(FAKE, namespace=NAMESPACE, environment=fake_environment(repository))
    estimator = Estimator(process, listener)
    assert listener.set_parameters(NODE, {"tracker.max_hands": 1}) == [(True, "")]
    ((refused, reason),) = listener.set_parameters(NODE, {"tracker.max_hands": 0})
    assert (refused, "tracker.max_hands" in reason) == (False, True)
    assert estimator.change_state(Transition.TRANSITION_CONFIGURE)
    ((refused, reason),) = listener.set_parameters(NODE, {"tracker.max_hands": 2})
    assert (refused, "while it is unconfigured" in reason) == (False, True)
    assert estimator.change_state(Transition.TRANSITION_CLEANUP)
    assert listener.set_parameters(NODE, {"tracker.max_hands": 2}) == [(True, "")]
    assert process.interrupt() == 0


def test_the_view_frame_stands_upright_at_the_camera(start_node, listener, repository):
    process = start_node(
        FAKE,
        namespace=NAMESPACE,
        environment=fake_environment(repository),
        parameters={"autostart": True, "view_frame": "upright"},
    )
    latched = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    frames = listener.subscribe(TFMessage, "/tf_static", latched)
    ((centre,),) = [message.transforms for message in frames.wait_for(1)]
    assert (centre.header.frame_id, centre.child_frame_id) == ("upright", "upright_centre")
    camera = Camera(listener)
    frames.wait_for(2)
    camera.close()
    transform = next(one for one in frames.messages[-1].transforms if one.child_frame_id == "upright")
    assert (transform.header.frame_id, transform.child_frame_id) == ("camera", "upright")
    rotation = transform.transform.rotation
    axes = rotation_from_quaternion(torch.tensor([rotation.x, rotation.y, rotation.z, rotation.w])).numpy()
    towards_viewer, right, up = (0, 0, -1), (1, 0, 0), (0, -1, 0)  # in the optical frame
    np.testing.assert_allclose(axes.T, (towards_viewer, right, up), atol=1e-6)
    assert process.interrupt() == 0


def test_shutdown_ends_in_finalized(start_node, listener, repository):
    process = start_node(FAKE, namespace=NAMESPACE, environment=fake_environment(repository))
    estimator = Estimator(process, listener)
    estimator.activate()
    assert estimator.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert estimator.state == "finalized"
    assert process.interrupt() == 0


def test_a_model_that_cannot_be_loaded_leaves_it_unconfigured(start_node, listener, repository):
    process = start_node(
        FAKE,
        namespace=NAMESPACE,
        environment=fake_environment(repository),
        parameters={"mediapipe.model_file": "absent", "diagnostics_period_s": 0.1},
    )
    estimator = Estimator(process, listener)
    assert not estimator.change_state(Transition.TRANSITION_CONFIGURE)
    assert estimator.state == "unconfigured"
    estimator.wait_for_status("estimator", ERROR, "the models cannot be loaded: there is no file 'absent'")
    assert process.log.count("cannot be loaded") == 1
    assert process.interrupt() == 0


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"tracker.max_hands": 0}, "tracker.max_hands"),
        ({"hand_size_m": 0.001}, "hand_size_m must be at least 0.03"),
        ({"detector": "guess"}, "detector must be one of mediapipe, own, onnx"),
        ({"image_transport": "theora"}, "image_transport must be one of raw, compressed"),
        ({"tracker.min_detection_confidence": 1.5}, "tracker.min_detection_confidence"),
    ],
)
def test_a_start_with_a_bad_parameter_ends_with_one_line_and_code_1(
    start_node, repository, parameters, reason
):
    process = start_node(FAKE, environment=fake_environment(repository), parameters=parameters)
    assert process.wait() == 1
    assert reason in process.log
    assert "Traceback" not in process.log


def test_publishers_that_do_not_suit_are_named(start_node, listener, repository):
    process = start_node(
        FAKE,
        namespace=NAMESPACE,
        environment=fake_environment(repository),
        parameters={"diagnostics_period_s": 0.1, "image_timeout_s": 0.5, "image_reliability": "reliable"},
    )
    estimator = Estimator(process, listener)
    estimator.activate()
    status = estimator.wait_for_status("camera", ERROR, "nothing publishes it")
    assert "there are images" not in status.message  # its own overlay is none
    elsewhere = Camera(listener, "/elsewhere/image_raw")
    estimator.wait_for_status("camera", ERROR, "/elsewhere/image_raw")
    elsewhere.close()

    unreliable = Camera(listener, qos=BEST_EFFORT)
    estimator.wait_for_status("camera", ERROR, "incompatible QoS")
    estimator.wait_for_status(
        "camera", ERROR, "RELIABILITY does not suit: see the parameter image_reliability"
    )
    assert process.log.count("does not suit") == 1
    unreliable.close()
    camera = Camera(listener)
    estimator.wait_for_status("camera", OK, "640x480 bgr8")
    camera.close()
    assert process.interrupt() == 0
