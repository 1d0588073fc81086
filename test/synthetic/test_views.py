"""Random views: shapes, ranges, what is inside the image, and every orientation."""

import math

import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.gestures import GESTURES_DEG, gesture_angles
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import proportion_bounds
from hand_pose_ros.synthetic.views import (
    ANCHOR_LENGTH_M,
    DISTANCE_M,
    FIELD_OF_VIEW_DEG,
    PARTLY_OUTSIDE,
    random_views,
)

COUNT = 8000


@pytest.fixture(scope="module")
def joints():
    angles = torch.stack([gesture_angles(name) for name in GESTURES_DEG])
    angles = angles[torch.arange(COUNT) % len(angles)]
    return forward_kinematics(angles, proportion_bounds().neutral.expand(COUNT, -1)).joints


@pytest.fixture(scope="module")
def view(joints):
    return random_views(joints, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def in_camera(joints, view):
    """The joints in the camera frame by a plain sum over axes."""
    turned = torch.einsum("nij,nkj->nki", view.rotation, joints)
    return turned * view.anchor_length_m[:, None, None] + view.wrist_m[:, None]


def inside(points, view):
    image = view.focal[:, None, None] * points[..., :2] / points[..., 2:]
    return (image.abs() <= view.aspect[:, None] * (1 + 1e-4)).all(-1)


def test_shapes_and_types(view):
    shapes = [tuple(field.shape) for field in view]
    assert shapes == [(COUNT, 3, 3), (COUNT, 3), (COUNT,), (COUNT,), (COUNT, 2)]
    assert all(field.dtype == torch.float32 for field in view)


def test_rotations_are_proper(view):
    product = view.rotation @ view.rotation.transpose(-1, -2)
    torch.testing.assert_close(product, torch.eye(3).expand_as(product), atol=1e-5, rtol=0)
    assert (torch.linalg.det(view.rotation) > 0.99).all()


def test_ranges_hold_and_are_used(view):
    depth = view.wrist_m[:, 2]
    assert (depth >= DISTANCE_M[0] - 1e-5).all()
    assert (depth <= DISTANCE_M[1] + 1e-5).all()
    assert depth.quantile(0.1) < 0.35
    assert depth.quantile(0.9) > 1.1
    fov = torch.rad2deg(2 * torch.atan(1 / view.focal))
    low, high = FIELD_OF_VIEW_DEG
    assert low - 0.01 <= fov.min() < low + 2
    assert high - 2 < fov.max() <= high + 0.01
    assert (view.anchor_length_m >= ANCHOR_LENGTH_M[0]).all()
    assert (view.anchor_length_m <= ANCHOR_LENGTH_M[1]).all()
    assert view.anchor_length_m.mean().item() == pytest.approx(hand.MEAN_ANCHOR_LENGTH_M, rel=0.01)
    assert 0.055 < view.anchor_length_m.std() / view.anchor_length_m.mean() < 0.075
    assert (view.aspect.amax(-1) == 1).all()
    assert (view.aspect.amin(-1) >= 0.5).all()


def test_every_hand_is_in_front_of_the_camera_with_its_middle_in_the_image(view, in_camera):
    assert (in_camera[..., 2] > 0.03).all()
    assert inside(in_camera.mean(1, keepdim=True), view).all()


def test_the_stated_share_is_partly_outside(view, in_camera):
    outside = ~inside(in_camera, view)
    share = outside.any(-1).float().mean().item()
    assert share == pytest.approx(PARTLY_OUTSIDE, abs=0.015)
    cut = outside[outside.any(-1)].sum(-1)
    assert cut.max() < hand.NUM_JOINTS
    assert cut.float().mean() > 3


def test_hands_are_seen_from_everywhere(view):
    """The camera's direction in the wrist frame, in octants, and the hands' direction in the image."""
    direction = -view.rotation[:, 2, :]
    octant = ((direction > 0).long() * torch.tensor((4, 2, 1))).sum(-1)
    assert torch.bincount(octant, minlength=8).min() > COUNT / 16
    roll = torch.atan2(view.rotation[:, 1, 0], view.rotation[:, 0, 0])
    quarter = ((roll + math.pi) / (math.pi / 2)).long().clamp(max=3)
    assert torch.bincount(quarter, minlength=4).min() > COUNT / 8


def test_the_raised_orientation_points_up_with_the_palm_to_the_camera():
    from hand_pose_ros.rendering.views import upright_rotation
    from hand_pose_ros.synthetic.views import _UPRIGHT

    torch.testing.assert_close(torch.tensor(_UPRIGHT), upright_rotation("palm"))


def test_the_generator_decides(joints):
    first, again = (random_views(joints[:50], torch.Generator().manual_seed(3)) for _ in range(2))
    other = random_views(joints[:50], torch.Generator().manual_seed(4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.wrist_m, other.wrist_m)


def test_no_hands_and_doubles(joints):
    assert random_views(joints[:0], torch.Generator()).wrist_m.shape == (0, 3)
    assert random_views(joints[:3].double(), torch.Generator()).wrist_m.dtype == torch.float64


@pytest.mark.parametrize("shape", [(21, 3), (5, 20, 3), (2, 5, 21, 3)])
def test_a_wrong_shape_is_refused(shape):
    with pytest.raises(ValueError, match="joints"):
        random_views(torch.zeros(shape), torch.Generator())
