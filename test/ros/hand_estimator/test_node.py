"""The hand_estimator as a process on real DDS: every topic and service, with a pipeline whose hands are known."""

from __future__ import annotations

import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from helpers.fake_hand_estimator import ANCHOR_LENGTH_M, SLOW_S, Command, fake_pipeline
from helpers.hand_estimator_harness import (
    CAMERA,
    FAKE,
    NAMESPACE,
    NODE,
    OK,
    WARN,
    Camera,
    Estimator,
    fake_environment,
    picture,
)
from helpers.ros_harness import wait_for
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import CompressedImage, Image, JointState, PointCloud2
from sensor_msgs_py.point_cloud2 import read_points
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import Marker, MarkerArray

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import proportion_bounds
from hand_pose_ros.pose import Frame, HandPose
from hand_pose_ros.rotations import rotation_from_quaternion


@pytest.fixture
def estimator(start_node, listener, repository) -> Iterator[Estimator]:
    """A configured and active node with the fake pipeline."""
    process = start_node(
        FAKE,
        namespace=NAMESPACE,
        environment=fake_environment(repository),
        parameters={"diagnostics_period_s": 0.2},
    )
    result = Estimator(process, listener)
    result.activate()
    yield result
    assert process.running, process.log


@pytest.fixture
def camera(listener) -> Iterator[Camera]:
    result = Camera(listener)
    yield result
    result.close()


def expected_poses(command: Command = Command.BOTH_HANDS) -> list[HandPose]:
    image = np.full((480, 640, 3), int(command), np.uint8)
    return fake_pipeline().process(Frame(image, CAMERA)).hands


def stamp_ns(message: object) -> int:
    return message.header.stamp.sec * 1_000_000_000 + message.header.stamp.nanosec


def matrix(orientation: object) -> np.ndarray:
    xyzw = [getattr(orientation, axis) for axis in "xyzw"]
    return rotation_from_quaternion(torch.tensor(xyzw, dtype=torch.float64)).numpy()


def xyz(message: object) -> list[float]:
    return [message.x, message.y, message.z]


def test_every_topic_shows_the_hand_under_the_image_s_stamp(estimator, camera, listener):
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    markers = listener.subscribe(MarkerArray, f"/{NAMESPACE}/markers")
    overlay = listener.subscribe(Image, f"/{NAMESPACE}/image_overlay")
    transforms = listener.subscribe(TFMessage, "/tf")
    of_side = {
        (side, topic): listener.subscribe(kind, f"/{NAMESPACE}/{side}/{topic}")
        for side in hand.SIDES
        for topic, kind in {
            "joints": PoseArray,
            "joint_states": JointState,
            "wrist": PoseWithCovarianceStamped,
        }.items()
    }
    stamped = [hands, overlay, *of_side.values()]
    for recorder in [*stamped, markers, transforms]:
        recorder.wait_for(5)
    for recorder in stamped:
        messages = list(recorder.messages)
        assert {m.header.frame_id for m in messages} == {"camera"}
        assert {stamp_ns(m) for m in messages} <= set(camera.sent_stamps)

    for pose in expected_poses():
        joints = of_side[pose.side, "joints"].messages[-1]
        np.testing.assert_allclose([xyz(p.position) for p in joints.poses], pose.joints_m, atol=1e-6)
        np.testing.assert_allclose([matrix(p.orientation) for p in joints.poses], pose.rotations, atol=1e-5)
        wrist = of_side[pose.side, "wrist"].messages[-1].pose
        np.testing.assert_allclose(xyz(wrist.pose.position), pose.joints_m[0], atol=1e-6)
        unknown = np.isnan(pose.wrist_covariance).any()
        np.testing.assert_allclose(
            wrist.covariance.reshape(6, 6), np.zeros((6, 6)) if unknown else pose.wrist_covariance
        )
        state = of_side[pose.side, "joint_states"].messages[-1]
        assert tuple(state.name) == hand.joint_state_names(pose.side)
        frames = forward_kinematics(
            torch.tensor(state.position, dtype=torch.float64),
            proportion_bounds(torch.float64).neutral,
            torch.from_numpy(matrix(joints.poses[0].orientation)),
            torch.tensor(xyz(joints.poses[0].position), dtype=torch.float64),
            ANCHOR_LENGTH_M,
            pose.side,
        )
        np.testing.assert_allclose(frames.joints, [xyz(p.position) for p in joints.poses], atol=1e-5)

    points = read_points(hands.messages[-1]).reshape(2, hand.NUM_JOINTS)
    for row, pose in zip(points, expected_poses(), strict=True):
        np.testing.assert_allclose(np.stack([row[a] for a in "xyz"], 1), pose.joints_m, atol=1e-6)
        assert {hand.SIDES[side] for side in row["side"]} == {pose.side}

    in_camera = {"camera": np.eye(4)}
    for transform in transforms.messages[-1].transforms:
        step = np.eye(4)
        step[:3, :3] = matrix(transform.transform.rotation)
        step[:3, 3] = xyz(transform.transform.translation)
        in_camera[transform.child_frame_id] = in_camera[transform.header.frame_id] @ step
        assert stamp_ns(transform) in camera.sent_stamps
    for pose in expected_poses():
        for index, name in enumerate(hand.JOINT_NAMES):
            np.testing.assert_allclose(
                in_camera[f"{pose.side}_hand_{name}"][:3, 3], pose.joints_m[index], atol=1e-6
            )
    assert len(in_camera) == 1 + 2 * hand.NUM_JOINTS

    kinds = {m.ns for m in markers.messages[-1].markers}
    assert kinds == {"skeleton", "joints", "mesh", "uncertainty", "uncertainty_of_joints", "label"}
    picture_size = {(m.width, m.height, m.encoding) for m in overlay.messages}
    assert picture_size == {(640, 480, "bgr8")}
    assert (np.frombuffer(overlay.messages[-1].data, np.uint8) != Command.BOTH_HANDS).any()

    camera_status = estimator.wait_for_status("camera", OK, "640x480 bgr8")
    values = {v.key: v.value for v in camera_status.values}
    assert values["camera_info topic"] == f"/{NAMESPACE}/camera_info"
    assert values["calibration"].startswith("640x480, fx 585.8")
    latency = {v.key for v in estimator.status("latency").values}
    stages = ("convert", "detect", "estimate", "smooth", "place", "publish", "total", "stamp to publication")
    assert {f"{stage} {what} (ms)" for stage in stages for what in ("median", "p95", "p99")} <= latency


def test_a_hand_that_leaves_takes_its_markers_along(estimator, camera, listener):
    markers = listener.subscribe(MarkerArray, f"/{NAMESPACE}/markers")
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    markers.wait_for(2)
    camera.image = picture(Command.NO_HANDS)
    wait_for(lambda: hands.messages[-1].width == 0, "a cloud without points")
    wait_for(
        lambda: {m.action for m in markers.messages[-1].markers} == {Marker.DELETE},
        "the markers to be deleted",
    )
    shown = {(m.ns, m.id) for message in markers.messages for m in message.markers if m.action == Marker.ADD}
    assert {(m.ns, m.id) for m in markers.messages[-1].markers} == shown
    camera.image = picture()
    count = len(markers)
    wait_for(lambda: len(markers) > count, "markers again")
    assert estimator.change_state(Transition.TRANSITION_DEACTIVATE)
    wait_for(lambda: markers.messages[-1].markers[0].action == Marker.DELETEALL, "an empty display")


def test_further_hands_of_a_side_are_numbered(estimator, camera, listener):
    camera.image = picture(Command.TWO_RIGHT_HANDS)
    transforms = listener.subscribe(TFMessage, "/tf")
    left = listener.subscribe(PoseArray, f"/{NAMESPACE}/left/joints")
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    (message, *_) = transforms.wait_for(3)
    wrists = [t.child_frame_id for t in message.transforms if t.header.frame_id == "camera"]
    cloud = read_points(hands.wait_for(1)[0])
    numbers = list(dict.fromkeys(cloud["track_id"].tolist()))
    assert wrists == ["right_hand_wrist", f"right_hand_{numbers[1]}_wrist"]
    assert not left.messages


def test_frames_may_be_the_wrist_s_alone_or_none(estimator, camera, listener):
    transforms = listener.subscribe(TFMessage, "/tf")
    transforms.wait_for(1)
    assert listener.set_parameters(NODE, {"publish_tf": "wrist"}) == [(True, "")]
    wait_for(lambda: len(transforms.messages[-1].transforms) == 2, "two wrists")
    assert listener.set_parameters(NODE, {"publish_tf": "none"}) == [(True, "")]
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    hands.wait_for(3)
    count = len(transforms)
    hands.wait_for(len(hands) + 5)
    assert len(transforms) == count


def test_the_newest_image_wins_and_what_waits_is_dropped(estimator, camera, listener):
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    hands.wait_for(1)
    camera.image = picture(Command.SLOW)
    count = len(hands)
    hands.wait_for(count + 8)
    ages_s = [
        time_s - stamp_ns(m) * 1e-9 + (time.time() - time.monotonic())
        for time_s, m in zip(hands.times_s[count + 2 :], hands.messages[count + 2 :], strict=False)
    ]
    # Had images queued up, each would be older than the one before.
    assert max(ages_s) < 4 * SLOW_S
    status = estimator.wait_for_status("latency", WARN, "dropped")
    assert int({v.key: v.value for v in status.values}["images dropped"]) > 0


def test_reset_answers(estimator, camera, listener):
    response = listener.call(Trigger, f"{NODE}/reset", Trigger.Request())
    assert (response.success, response.message) == (True, "all tracks were reset")
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    hands.wait_for(3)


def test_compressed_images_and_a_remapped_camera(start_node, listener, repository):
    process = start_node(
        FAKE,
        namespace=NAMESPACE,
        environment=fake_environment(repository),
        parameters={"image_transport": "compressed", "frame_id": "lens", "diagnostics_period_s": 0.2},
        remappings={"image": "/front/image_raw"},
    )
    estimator = Estimator(process, listener)
    estimator.activate()
    camera = Camera(listener, "/front/image_raw/compressed", kind=CompressedImage)
    pixels = np.full((480, 640, 3), int(Command.BOTH_HANDS), np.uint8)
    camera.image = CompressedImage(format="jpeg", data=cv2.imencode(".jpg", pixels)[1].tobytes())
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    assert {m.header.frame_id for m in hands.wait_for(3)} == {"lens"}
    estimator.wait_for_status("camera", OK, "640x480 jpeg")
    camera.close()
