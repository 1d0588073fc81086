"""The whole graph with the real detector and estimator, on real recordings: hands lie on what it sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.hand_estimator_harness import NAMESPACE, OK, Estimator
from helpers.ros_harness import Listener, wait_for
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
from sensor_msgs_py.point_cloud2 import read_points

from hand_pose_ros import hand
from hand_pose_ros.camera.calibration import camera_from_message
from hand_pose_ros.detection.mediapipe.detector import MediaPipeConfig, MediaPipeDetector
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.ros.messages.images import image_to_bgr

HANDS = 20
TIMEOUT_S = 120.0
# Slow enough that a busy machine drops little.
RATE_HZ = 5.0
SOURCES = {
    "video": ("sequences/dex_retargeting/example", {"start_s": 5.0, "horizontal_fov_deg": 60.0}),
    "bag": ("rosbags/hankpan_141122079464_compressed_db3", {}),
}


def stamp(message: object) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec


@pytest.mark.slow
@pytest.mark.parametrize("source", SOURCES)
def test_joints_lie_on_the_detector_s_landmarks(start_node, listener: Listener, shared_data, source):
    folder, settings = SOURCES[source]
    path = next((shared_data / folder).rglob("*.mp4")) if source == "video" else shared_data / folder
    process = start_node("hand_pose_ros.ros.hand_estimator.process", namespace=NAMESPACE)
    estimator = Estimator(process, listener)
    estimator.activate()
    images = listener.subscribe(Image, f"/{NAMESPACE}/image")
    infos = listener.subscribe(CameraInfo, f"/{NAMESPACE}/camera_info")
    hands = listener.subscribe(PointCloud2, f"/{NAMESPACE}/hands")
    angles = {
        side: listener.subscribe(JointState, f"/{NAMESPACE}/{side}/joint_states") for side in hand.SIDES
    }
    player = start_node(
        "hand_pose_ros.ros.video_player.process",
        namespace=NAMESPACE,
        parameters={
            "source": str(path),
            "rate_hz": RATE_HZ,
            "wait_for_subscriber": True,
            "loop": True,
            **settings,
        },
    )

    def compared() -> int:
        """Clouds with a hand whose image got here too: a busy machine drops images on the way to either node."""
        received = {stamp(message) for message in list(images.messages)}
        return sum(cloud.width > 0 and stamp(cloud) in received for cloud in list(hands.messages))

    wait_for(lambda: compared() >= HANDS, f"{HANDS} hands with their images", TIMEOUT_S)
    estimator.wait_for_status("estimator", OK)
    assert process.interrupt() == 0
    player.interrupt()

    first = stamp(images.messages[0])  # the estimator may have got images before this listener did
    clouds = {stamp(message): message for message in hands.messages if stamp(message) >= first}
    camera = camera_from_message(infos.messages[0])
    detector = MediaPipeDetector(MediaPipeConfig())
    distances, found = [], 0
    for message in images.messages:
        cloud = clouds.pop(stamp(message), None)
        if cloud is None:
            continue
        assert cloud.header.frame_id == message.header.frame_id
        joints = read_points(cloud).reshape(-1, hand.NUM_JOINTS)
        for detection in detector.detect(image_to_bgr(message)):
            found += 1
            same_side = [row for row in joints if hand.SIDES[row["side"][0]] == detection.side]
            for row in same_side[:1]:
                points = torch.from_numpy(np.stack([row[axis] for axis in "xyz"], axis=1))
                pixels = camera.project(points).numpy()
                distances.append(np.linalg.norm(pixels - detection.landmarks_px, axis=1))
    detector.close()
    assert not clouds, "every cloud has the stamp of an image"
    # The detector tracks, so that frames which only one of the two processes saw may be found by one alone.
    assert len(distances) > 0.8 * found > 0.4 * HANDS
    assert np.median(distances) < 6.0
    bounds = angle_bounds(torch.float64)
    for side, recorder in angles.items():
        for message in recorder.messages:
            assert tuple(message.name) == hand.joint_state_names(side)
            position = torch.tensor(message.position, dtype=torch.float64)
            assert bounds.contains(position, tolerance=1e-5)
    assert sum(len(recorder) for recorder in angles.values()) > 0.5 * HANDS
