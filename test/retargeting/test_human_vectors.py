"""Targets of the robot's vectors: turned and scaled, pinches with hysteresis, weights by certainty."""

import dataclasses

import numpy as np
import pytest
from helpers.robot_hands import demo_retargeter, human_joints

from hand_pose_ros import hand
from hand_pose_ros.retargeting.human_frame import DIRECTIONS, check_rotation, rotation_from_axes
from hand_pose_ros.retargeting.human_vectors import HumanVectors
from hand_pose_ros.retargeting.profile import LinkVector, RobotProfile

TIP = hand.JOINT_INDEX["index_tip"]


def one_vector(**options) -> HumanVectors:
    vector = LinkVector("tip", "index_tip", "base")
    profile = RobotProfile("test", "vector", vectors=(vector,), normalise_size=False)
    return HumanVectors(dataclasses.replace(profile, **options))


def test_a_vector_is_turned_scaled_and_moved():
    joints = human_joints("open")
    target = one_vector(scaling=1.5, wrist_m=(0.0, 0.0, 0.01)).targets(joints)
    x, y, z = joints[TIP]
    # x out of the palm is -z of the wrist frame, y across is y, z distal is x.
    np.testing.assert_allclose(target.vectors_m, [[-1.5 * z, 1.5 * y, 1.5 * x + 0.01]], atol=1e-12)
    np.testing.assert_allclose(target.weights, [1])


def test_the_wrist_may_be_anywhere():
    vectors = one_vector()
    joints = human_joints("open")
    np.testing.assert_allclose(
        vectors.targets(joints + [1, 2, 3]).vectors_m, vectors.targets(joints).vectors_m, atol=1e-12
    )


def test_a_normalised_hand_has_no_size():
    vectors = one_vector(normalise_size=True)
    joints = human_joints("open")
    np.testing.assert_allclose(
        vectors.targets(0.8 * joints).vectors_m, vectors.targets(joints).vectors_m, atol=1e-12
    )


def hand_with_pinch(gap_m: float) -> np.ndarray:
    """An open hand whose thumb tip is ``gap_m`` from the index tip."""
    joints = human_joints("open").copy()
    joints[hand.JOINT_INDEX["thumb_tip"]] = joints[TIP] + [0, 0, -gap_m]
    return joints


def test_pinches_close_and_open_with_hysteresis():
    vectors = HumanVectors(demo_retargeter().profile)
    states = []
    for gap in (0.06, 0.04, 0.025, 0.04, 0.06, 0.04):
        vectors.targets(hand_with_pinch(gap))
        states.append(bool(vectors.closed[0]))
    assert states == [False, False, True, True, False, False]
    vectors.targets(hand_with_pinch(0.02))
    vectors.reset()
    assert not vectors.closed.any()


def test_a_closed_pinch_is_projected_and_weighs_more():
    vectors = HumanVectors(demo_retargeter().profile)
    closed, opened = vectors.targets(hand_with_pinch(0.02)), None
    vectors.reset()
    opened = vectors.targets(hand_with_pinch(0.04))
    # The first vector goes from the index tip to the thumb tip; 10 vectors, of which one weighs 200 now.
    np.testing.assert_allclose(closed.vectors_m[0], [0, 0, -1e-4], atol=1e-7)
    np.testing.assert_allclose(opened.vectors_m[0], [0, 0, -0.04 * 1.2], atol=1e-9)
    np.testing.assert_allclose(opened.weights, [0.1] * 6 + [1.0] * 4)
    np.testing.assert_allclose(closed.weights, [20.0] + [0.1] * 5 + [1.0] * 4)
    assert vectors.names[0] == "index_tip -> thumb_tip"
    assert vectors.names[6:] == (
        "wrist -> thumb_tip",
        "wrist -> index_tip",
        "wrist -> middle_tip",
        "wrist -> ring_tip",
    )


def test_two_fingers_that_pinch_the_thumb_come_together():
    vectors = HumanVectors(demo_retargeter().profile)
    joints = hand_with_pinch(0.01).copy()
    joints[hand.JOINT_INDEX["middle_tip"]] = joints[TIP] + [0, -0.02, 0]
    targets = vectors.targets(joints)
    assert vectors.closed[:4].tolist() == [True, True, False, True]
    assert np.linalg.norm(targets.vectors_m[3]) == pytest.approx(0.03, rel=1e-3)


def test_a_vector_with_the_profiles_sigma_counts_half():
    vectors = one_vector(sigma_m=0.01)
    sigma = np.full(hand.NUM_JOINTS, 0.005)  # common to all: the depth of the hand
    assert vectors.targets(human_joints("open"), sigma).weights[0] == pytest.approx(1)
    sigma[TIP] = np.hypot(0.005, 0.01)
    assert vectors.targets(human_joints("open"), sigma).weights[0] == pytest.approx(0.5)
    sigma[TIP] = np.inf
    assert vectors.targets(human_joints("open"), sigma).weights[0] == 0


@pytest.mark.parametrize("side", hand.SIDES)
def test_axes_in_words_are_rotations(side):
    thumb = 1 if side == "right" else -1
    rotation = rotation_from_axes(("palmar", "across", "distal"), side)
    np.testing.assert_array_equal(rotation, [[0, 0, -1], [0, 1, 0], [1, 0, 0]])
    np.testing.assert_array_equal(check_rotation(rotation), rotation)
    if side == "right":
        np.testing.assert_array_equal(rotation_from_axes(("palmar", "thumb", "distal"), side), rotation)
    # Where the tips of a hand lie: the fingers distal, the thumb on its side.
    joints = human_joints("open", side) @ rotation_from_axes(("distal", "across", "dorsal"), side).T
    assert joints[TIP, 0] > 0.1
    assert thumb * joints[hand.JOINT_INDEX["thumb_tip"], 1] > 0.05
    assert {"distal", "thumb"} < set(DIRECTIONS)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        (("distal", "thumb", "up"), "three of distal"),
        (("distal", "thumb"), "three of distal"),
        (("distal", "proximal", "dorsal"), "three different lines"),
        (("distal", "little", "dorsal"), "no right-handed frame on a right hand"),
    ],
)
def test_axes_that_are_no_frame_are_refused(axes, message):
    with pytest.raises(ValueError, match=message):
        rotation_from_axes(axes, "right")


def test_a_matrix_that_is_no_rotation_is_refused():
    for matrix in (np.diag([1, 1, -1]), np.eye(2), 2 * np.eye(3)):
        with pytest.raises(ValueError, match="rotation matrix"):
            check_rotation(matrix)
