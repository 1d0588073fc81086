"""OpenXR's joints: names and order by its specification, axes checked by geometry."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.teleoperation import posed

from hand_pose_ros import hand
from hand_pose_ros.retargeting import openxr


def test_names_follow_xr_hand_joint_ext():
    names = openxr.JOINT_NAMES
    assert len(names) == openxr.NUM_JOINTS == 26
    assert [names.index(n) for n in ("palm", "wrist", "thumb_metacarpal", "thumb_tip")] == [0, 1, 2, 5]
    assert [names.index(f"{finger}_metacarpal") for finger in hand.FINGERS[1:]] == [6, 11, 16, 21]
    assert [names.index(f"{finger}_tip") for finger in hand.FINGERS[1:]] == [10, 15, 20, 25]
    derived = [name for name, tracked in zip(names, openxr.TRACKED, strict=True) if not tracked]
    assert derived == ["palm", *(f"{finger}_metacarpal" for finger in hand.FINGERS[1:])]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("gesture", ["open", "fist", "pinch"])
def test_minus_z_points_along_each_bone_and_y_out_of_the_back(side, gesture):
    frames = posed(gesture, side)
    joints, rotations = frames.joints.numpy(), frames.rotations.numpy()
    converted = openxr.openxr_hand(joints, rotations)
    index = openxr.JOINT_NAMES.index
    for finger in hand.FINGERS:
        chain = [i for i, name in enumerate(openxr.JOINT_NAMES) if name.startswith(finger)]
        for joint, following in itertools.pairwise(chain):
            bone = converted.positions_m[following] - converted.positions_m[joint]
            backward = converted.rotations[joint][:, 2]
            np.testing.assert_allclose(backward, -bone / np.linalg.norm(bone), atol=1e-6)
        np.testing.assert_allclose(converted.rotations[chain[-1]], converted.rotations[chain[-2]])
    np.testing.assert_allclose(converted.rotations[1][:, 1], rotations[0][:, 2], atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(converted.rotations), 1)
    # The palm is halfway between the ends of the middle finger's metacarpal, with its frame.
    ends = converted.positions_m[[index("middle_metacarpal"), index("middle_proximal")]]
    np.testing.assert_allclose(converted.positions_m[0], ends.mean(0), atol=1e-12)
    np.testing.assert_allclose(converted.rotations[0], converted.rotations[index("middle_metacarpal")])


def test_x_points_to_the_right_of_a_hand_seen_from_its_back():
    """With the fingers forward (-z) and the back up (y), the thumb of a left hand lies on the right (x)."""
    for side, sign in (("left", 1), ("right", -1)):
        frames = posed("open", side)
        converted = openxr.openxr_hand(frames.joints.numpy(), frames.rotations.numpy())
        palm = converted.rotations[0]
        across = (
            converted.positions_m[openxr.JOINT_NAMES.index("index_proximal")]
            - converted.positions_m[openxr.JOINT_NAMES.index("little_proximal")]
        )
        assert sign * float(palm[:, 0] @ across) > 0.03


def test_tracked_joints_are_ours_and_nan_stays_nan():
    frames = posed()
    joints, rotations = frames.joints.numpy().copy(), frames.rotations.numpy()
    converted = openxr.openxr_hand(joints, rotations)
    tracked = converted.positions_m[np.array(openxr.TRACKED)]
    np.testing.assert_array_equal(tracked, joints)
    joints[hand.JOINT_INDEX["index_tip"]] = np.nan
    broken = openxr.openxr_hand(joints, rotations).positions_m
    assert np.isnan(broken).any(axis=1).nonzero()[0].tolist() == [openxr.JOINT_NAMES.index("index_tip")]
    with pytest.raises(ValueError, match="expected joints"):
        openxr.openxr_hand(joints[:20], rotations)
