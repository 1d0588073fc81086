"""Joint visibility by capsules: simple scenes, invariance, and agreement with what the renderer finds exactly."""

import numpy as np
import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.gestures import gesture_angles
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import proportion_bounds
from hand_pose_ros.mesh.joint_visibility import joints_visible
from hand_pose_ros.rendering.renderer import HandInView, render
from hand_pose_ros.rendering.views import upright_rotation
from hand_pose_ros.rotations import rotation_from_quaternion
from hand_pose_ros.synthetic.poses.sampler import PoseSampler

ANCHOR = torch.full((1,), hand.MEAN_ANCHOR_LENGTH_M)
TIPS = list(hand.FINGERTIPS[1:])


def posed(gesture: str, view: str) -> torch.Tensor:
    """(1, 21, 3) metres, half a metre in front of the camera."""
    rotation = upright_rotation(view)
    at = torch.tensor((0.0, 0.05, 0.5))
    angles, lengths = gesture_angles(gesture), proportion_bounds().neutral
    return forward_kinematics(angles, lengths, rotation, at, hand.MEAN_ANCHOR_LENGTH_M).joints[None]


def test_an_open_hand_is_seen_from_both_sides():
    for view in ("palm", "back"):
        assert joints_visible(posed("open", view), ANCHOR)[0, 5:].all()


def test_a_fist_hides_its_fingertips_from_behind():
    seen = joints_visible(posed("fist", "back"), ANCHOR)[0]
    assert not seen[TIPS].any()
    assert seen[[5, 9, 13, 17]].all()


def test_a_hand_from_the_side_hides_its_far_fingers():
    thumb_side, little_side = (
        joints_visible(posed("open", view), ANCHOR)[0, 5:].view(4, 4) for view in ("left", "right")
    )
    # One of the two views shows the index finger and hides the little one, the other the reverse.
    assert {bool(view[0].all()) for view in (thumb_side, little_side)} == {True, False}
    for view in (thumb_side, little_side):
        assert view[0, 0] != view[3, 0]


def test_unit_and_orientation_do_not_matter():
    joints = posed("relaxed", "palm").double()
    expected = joints_visible(joints, ANCHOR.double())
    turn = rotation_from_quaternion(torch.tensor((0.3, -0.5, 0.2, 0.8), dtype=torch.float64))
    assert torch.equal(joints_visible(joints @ turn.T, ANCHOR.double()), expected)
    assert torch.equal(joints_visible(1000 * joints, 1000 * ANCHOR.double()), expected)


def test_a_batch_is_as_its_hands_alone():
    joints = torch.cat([posed(gesture, view) for gesture in ("fist", "open") for view in ("palm", "left")])
    together = joints_visible(joints, ANCHOR.expand(4))
    assert torch.equal(together, torch.cat([joints_visible(one[None], ANCHOR) for one in joints]))
    assert joints_visible(joints[:0], ANCHOR[:0]).shape == (0, 21)


def test_a_wrong_shape_is_refused():
    with pytest.raises(ValueError, match="joints must have shape"):
        joints_visible(torch.zeros(2, 20, 3), torch.ones(2))


@pytest.mark.parametrize("count", [15, pytest.param(150, marks=pytest.mark.slow)])
def test_it_agrees_with_the_renderer(count):
    generator = torch.Generator().manual_seed(3)
    camera = CameraModel.from_fov(96, 96, np.deg2rad(45))
    rotation = rotation_from_quaternion(torch.randn(count, 4, generator=generator))
    frames = forward_kinematics(
        *PoseSampler().sample(count, generator), rotation, None, hand.MEAN_ANCHOR_LENGTH_M
    )
    at = torch.tensor((0.0, 0.0, 0.45))
    joints = frames.joints - frames.joints.mean(1, keepdim=True) + at
    background = np.zeros((96, 96, 3), np.uint8)
    exact = [
        render([HandInView(HandFrames(*one))], camera, background).hands[0].visible
        for one in zip(joints, frames.rotations, strict=True)
    ]
    ours = joints_visible(joints, ANCHOR.expand(count)).numpy()
    assert (ours == np.stack(exact)).mean() > 0.86
