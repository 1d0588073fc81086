"""Residuals by part: which finger a vector belongs to, and that a wrong profile shows where it is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.teleoperation import posed

from hand_pose_ros import hand
from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.frame_check import (
    label_positions,
    largest_residuals,
    residual_text,
    vector_parts,
)
from hand_pose_ros.retargeting.profile import Fingertip, LinkVector, RobotProfile
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.retargeter import RetargetedHand, Retargeter

OF_DEMO_HAND = {"thumb", "index", "middle", "ring", "thumb-index", "thumb-middle", "thumb-ring"} | {
    "index-middle", "index-ring", "middle-ring"
}  # fmt: skip


def checked(profile: RobotProfile, gesture: str = "open") -> tuple[tuple[str, ...], RetargetedHand]:
    """Parts and solution of the demonstration hand for a gesture in the wrist frame."""
    retargeter = Retargeter(profile, profile.robot_hand(demo_hand_urdf(profile.side)))
    joints = posed(gesture, profile.side, wrist_m=(0.0, 0.0, 0.0)).joints.numpy()
    return vector_parts(retargeter.vector_joints), retargeter.retarget(joints, None, 1 / 30)


def residuals(profile: RobotProfile, gesture: str = "open") -> dict[str, float]:
    parts, result = checked(profile, gesture)
    return largest_residuals(parts, result.residuals_m)


def test_vectors_belong_to_fingers_pairs_and_the_palm():
    index = hand.JOINT_INDEX
    joints = [
        (0, index["thumb_tip"]),
        (index["index_pip"], index["index_tip"]),
        (index["ring_tip"], index["thumb_tip"]),
        (index["little_tip"], 0),
        (0, 0),
    ]
    assert vector_parts(joints) == ("thumb", "index", "thumb-ring", "little", "palm")


def test_every_vector_of_the_demonstration_hand_has_its_part():
    parts, _ = checked(read_profile("demo_hand"))
    assert len(parts) == 10
    assert set(parts) == OF_DEMO_HAND


def test_the_largest_counts_and_fingers_come_first():
    found = largest_residuals(("thumb-index", "index", "index"), np.array([0.003, 0.001, 0.012]))
    assert list(found.items()) == [("index", 0.012), ("thumb-index", 0.003)]
    assert residual_text(found) == "index 12 mm, thumb-index 3 mm"
    with pytest.raises(ValueError, match="zip"):
        largest_residuals(("index",), np.zeros(2))


def test_the_right_profile_has_small_residuals_in_the_open_hand():
    assert max(residuals(read_profile("demo_hand")).values()) < 0.015


def test_a_turned_base_frame_shows_in_every_finger():
    turned = replace(read_profile("demo_hand"), axes=("proximal", "-across", "dorsal"))
    found = residuals(turned)
    assert all(found[finger] > 0.08 for finger in ("index", "middle", "ring"))


def test_a_wrong_scale_of_one_finger_shows_in_that_finger():
    profile = read_profile("demo_hand")
    tips = tuple(replace(tip, scale=1.5) if tip.human == "middle_tip" else tip for tip in profile.fingertips)
    found = residuals(replace(profile, fingertips=tips))
    assert found["middle"] > 0.03
    assert found["middle"] > 3 * max(found[finger] for finger in ("thumb", "index", "ring"))
    assert isinstance(tips[0], Fingertip)


def test_a_label_stands_at_the_end_of_the_worst_vector():
    profile = RobotProfile(
        "two",
        objective="vector",
        axes=("distal", "across", "dorsal"),
        vectors=(
            LinkVector("right_demo_index_mcp_link", "index_mcp"),
            LinkVector("right_demo_index_tip", "index_tip", scale=1.5),
        ),
    )
    parts, result = checked(profile)
    assert parts == ("index", "index")
    worst = int(result.residuals_m.argmax())
    np.testing.assert_array_equal(
        label_positions(parts, result)["index"], (result.origins_m + result.robot_vectors_m)[worst]
    )
