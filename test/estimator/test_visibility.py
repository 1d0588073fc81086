"""Joints are outside the image, behind the hand itself, or visible."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detection, hands_m
from helpers.hand_poses import invalid_pose, random_pose

from hand_pose_ros import hand
from hand_pose_ros.estimator.visibility import with_visibility
from hand_pose_ros.mesh.joint_visibility import joints_visible
from hand_pose_ros.pose import VISIBILITY, HandPose

_VISIBLE, _SELF, _, _OUTSIDE = range(len(VISIBILITY))


def hand_at(shift_m=(0.0, 0.0, 0.0)) -> HandPose:
    joints = (hands_m(1)[0] + torch.tensor(shift_m, dtype=torch.float64)).numpy()
    return replace(random_pose("right", 0), joints_m=joints, anchor_length_m=hand.MEAN_ANCHOR_LENGTH_M)


def test_an_open_palm_is_visible_and_a_hand_edge_on_is_not():
    (palm,) = with_visibility(CAMERA, [hand_at()])
    assert palm.visibility.dtype == np.uint8
    assert (palm.visibility == _VISIBLE).sum() >= 18
    joints = hand_at().joints_m
    middle = joints.mean(0)
    edge = (joints - middle) @ np.array(((0, 0, 1), (0, 1, 0), (-1, 0, 0.0))) + middle
    (turned,) = with_visibility(CAMERA, [replace(hand_at(), joints_m=edge)])
    assert (turned.visibility == _SELF).sum() >= 5
    sizes = torch.tensor([hand.MEAN_ANCHOR_LENGTH_M])
    expected = joints_visible(torch.from_numpy(edge)[None].float(), sizes)[0].numpy()
    np.testing.assert_array_equal(turned.visibility == _VISIBLE, expected)


def test_joints_beyond_the_border_are_outside():
    pose = hand_at((0.30, 0.0, 0.0))
    points = CAMERA.project(torch.from_numpy(pose.joints_m)).numpy()
    beyond = points[:, 0] > CAMERA.width - 0.5
    assert 0 < beyond.sum() < 21
    (told,) = with_visibility(CAMERA, [pose])
    np.testing.assert_array_equal(told.visibility == _OUTSIDE, beyond)


def test_hands_that_are_not_valid_stay_the_same():
    poses = [invalid_pose(), hand_at()]
    told = with_visibility(CAMERA, poses)
    assert told[0] is poses[0]
    assert told[1].visibility is not None
    assert with_visibility(CAMERA, [poses[0]]) == [poses[0]]


def test_wrong_flags_are_refused():
    pose = hand_at()
    assert detection(torch.from_numpy(pose.joints_m)).side == "right"
    for flags in (np.zeros(20, np.uint8), np.zeros(21), np.full(21, 4, np.uint8)):
        with pytest.raises(ValueError, match="visibility"):
            replace(pose, visibility=flags)
