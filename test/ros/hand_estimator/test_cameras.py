"""More than one camera, and cameras that publish their calibration once: live nodes with a fake pipeline."""

from __future__ import annotations

import time

import pytest
from helpers.fake_hand_estimator import Command
from helpers.hand_estimator_harness import CAMERA, FAKE, Camera, Estimator, fake_environment, picture
from helpers.ros_harness import wait_for
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from hand_pose_ros.ros.hand_estimator.frame_prefix import DISCOVERY_S
from hand_pose_ros.ros.messages.camera import camera_info_message

pytestmark = pytest.mark.live


def start(start_node, listener, repository, namespace, **parameters) -> Estimator:
    process = start_node(
        FAKE,
        namespace=namespace,
        environment=fake_environment(repository),
        parameters={"diagnostics_period_s": 0.1} | parameters,
    )
    return Estimator(process, listener, f"/{namespace}/hand_estimator")


def test_two_cameras_share_one_tree_without_two_parents(start_node, listener, repository):
    transforms = listener.subscribe(TFMessage, "/tf", QoSProfile(depth=200))
    cameras = []
    for namespace in ("second", "first"):  # the one that is there first has no prefix, whatever its name
        estimator = start(start_node, listener, repository, namespace)
        if cameras:
            time.sleep(2 * DISCOVERY_S)  # a loaded machine discovers later than a node waits for
        estimator.activate()
        camera = Camera(listener, f"/{namespace}/image", rate_hz=10.0)
        camera.frame_id = f"{namespace}_camera"
        cameras.append(camera)
        time.sleep(0.2)
    try:
        wait_for(
            lambda: {"second_camera", "first_camera"} <= set(parents(transforms).values()),
            "both cameras' hands",
        )
    finally:
        for camera in cameras:
            camera.close()
    found = parents(transforms)  # fails if a frame has two parents
    assert found["right_hand_wrist"] == "second_camera"
    assert found["first_right_hand_wrist"] == "first_camera"
    assert found["first_right_hand_index_mcp"] == "first_right_hand_wrist"


def parents(transforms) -> dict[str, str]:
    """Child -> parent of all frames so far, of which each has one parent."""
    found: dict[str, str] = {}
    for message in list(transforms.messages):
        for one in message.transforms:
            parent = found.setdefault(one.child_frame_id, one.header.frame_id)
            assert parent == one.header.frame_id, f"{one.child_frame_id} has two parents"
    return found


def test_a_calibration_that_was_published_before_is_received(start_node, listener, repository):
    latched = QoSProfile(
        depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
    )
    infos = listener.publisher(CameraInfo, "/hand_pose/camera_info", latched)
    infos.publish(camera_info_message(CAMERA, CAMERA.width, CAMERA.height, Header()))
    estimator = start(start_node, listener, repository, "hand_pose")
    estimator.activate()
    hands = listener.subscribe(PointCloud2, "/hand_pose/hands")
    camera = Camera(listener, "/hand_pose/image", rate_hz=10.0)
    camera.info = None
    try:
        hands.wait_for(2)
    finally:
        camera.close()


def test_a_publisher_of_the_usual_kind_is_asked_for_nothing_that_it_does_not_offer(
    start_node, listener, repository
):
    estimator = start(start_node, listener, repository, "hand_pose")
    estimator.activate()
    hands = listener.subscribe(PointCloud2, "/hand_pose/hands")
    camera = Camera(listener, "/hand_pose/image", rate_hz=10.0)
    try:
        hands.wait_for(2)
    finally:
        camera.close()
    subscriptions = listener.node.get_subscriptions_info_by_topic("/hand_pose/camera_info")
    assert [one.qos_profile.durability for one in subscriptions] == [DurabilityPolicy.VOLATILE]


def test_images_without_a_frame_give_hands_but_no_transforms(start_node, listener, repository):
    transforms = listener.subscribe(TFMessage, "/tf", QoSProfile(depth=200))
    estimator = start(start_node, listener, repository, "hand_pose")
    estimator.activate()
    hands = listener.subscribe(PointCloud2, "/hand_pose/hands")
    camera = Camera(listener, "/hand_pose/image", rate_hz=10.0)
    camera.frame_id = ""
    camera.image = picture(Command.BOTH_HANDS)
    try:
        hands.wait_for(5)
    finally:
        camera.close()
    assert not parents(transforms)


def test_misspelt_parameters_and_a_missing_clock_are_told(start_node, listener, repository):
    estimator = start(
        start_node, listener, repository, "hand_pose", **{"tracker.max_hand": 1, "use_sim_time": True}
    )
    wait_for(
        lambda: (
            "there is no parameter 'tracker.max_hand'" in estimator.process.log
            and "did you mean 'tracker.max_hands'?" in estimator.process.log
        ),
        "the line on the parameter",
    )
    status = wait_for(lambda: estimator.status("estimator"), "diagnostics")
    assert "nothing has come on /clock" in status.message
