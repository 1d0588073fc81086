"""The demo's clip: deterministic, smooth, inside the limits, and its truth agrees with the FK layer."""

import math
from itertools import islice, pairwise

import numpy as np
import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.rendering.clip import CLIP_DURATION_S, ClipFrame, clip_joints, render_clip
from hand_pose_ros.rendering.gallery import draw_joints
from hand_pose_ros.rendering.views import random_hand

CAMERA = CameraModel.from_fov(160, 120, np.deg2rad(60))


@pytest.fixture(scope="module")
def clip() -> list[ClipFrame]:
    return list(render_clip(CAMERA, frame_rate_hz=5))


def test_length_stamps_and_shapes(clip):
    assert len(clip) == 5 * CLIP_DURATION_S
    np.testing.assert_allclose([frame.stamp_s for frame in clip], np.arange(len(clip)) / 5)
    assert all(frame.rendering.image.shape == (120, 160, 3) for frame in clip)


def test_every_pose_is_anatomical_and_in_view(clip):
    for frame in clip:
        assert angle_bounds().contains(frame.angles)
        assert proportion_bounds().contains(frame.proportions, tolerance=1e-6)
        truth = frame.rendering.hands[0]
        assert ((truth.joints_px > 0) & (truth.joints_px < (160, 120))).all()
        assert truth.visible.sum() >= 5


def test_truth_is_that_of_the_forward_kinematics(clip):
    for frame in clip[::15]:
        again = forward_kinematics(
            frame.angles,
            frame.proportions,
            frame.frames.rotations[0],
            frame.frames.joints[0],
            frame.anchor_length_m,
            frame.side,
        )
        np.testing.assert_allclose(again.joints.numpy(), frame.rendering.hands[0].joints_m, atol=1e-6)


def test_motion_is_smooth_and_closes(clip):
    """No joint moves faster than hands do, and the last frame leads into the first."""
    joints = torch.stack([frame.frames.joints for frame in clip])
    speed = (joints[1:] - joints[:-1]).norm(dim=-1) * 5
    assert speed.max() < 1.5  # m/s
    assert (joints[-1] - joints[0]).norm(dim=-1).max() * 5 < 0.5
    angles = torch.stack([frame.angles for frame in clip])
    assert (angles.max(dim=0).values - angles.min(dim=0).values).max() > np.deg2rad(80)


def test_same_seed_same_frames_other_seed_other_frames(clip):
    again, other = (next(render_clip(CAMERA, seed=seed)) for seed in (0, 1))
    np.testing.assert_array_equal(again.rendering.image, clip[0].rendering.image)
    assert (other.rendering.image != clip[0].rendering.image).any()


def test_left_clip_mirrors_the_right_one(clip):
    left = next(render_clip(CAMERA, side="left"))
    mirrored = clip[0].frames.joints * torch.tensor((-1.0, 1.0, 1.0))
    torch.testing.assert_close(left.frames.joints, mirrored, atol=1e-5, rtol=0)
    assert left.rendering.hands[0].side == "left"


def test_wrong_arguments_are_refused_at_once():
    with pytest.raises(ValueError, match="side must be one of"):
        render_clip(side="up")
    for make in (render_clip, clip_joints):
        for arguments in ({"frame_rate_hz": 0}, {"duration_s": math.inf}, {"duration_s": math.nan}):
            with pytest.raises(ValueError, match="must be positive and finite"):
                make(**arguments)
        with pytest.raises(ValueError, match="hold no frame"):
            make(duration_s=0.01)


def test_random_hands_are_anatomical_and_follow_the_generator():
    camera = CameraModel.from_fov(640, 480, np.deg2rad(60))
    first, second = (
        [random_hand(camera, generator) for _ in range(5)]
        for generator in (torch.Generator().manual_seed(3), torch.Generator().manual_seed(3))
    )
    for a, b in zip(first, second, strict=True):
        torch.testing.assert_close(a.frames.joints, b.frames.joints, atol=0, rtol=0)
        assert (a.side, a.forearm) == (b.side, b.forearm)
    assert all((a.frames.joints != b.frames.joints).any() for a, b in pairwise(first))


def test_joints_are_drawn_over_the_picture(clip):
    image = clip[0].rendering.image.copy()
    draw_joints(image, clip[0].rendering.hands[0])
    x, y = clip[0].rendering.hands[0].joints_px[hand.WRIST].round().astype(int)
    assert (image[y, x] == 255).all()


def test_generator_is_lazy():
    assert len(list(islice(render_clip(CAMERA, duration_s=1e9), 2))) == 2
