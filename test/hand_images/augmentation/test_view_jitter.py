"""Another view of a stored image is what a camera there would have taken, and all labels belong to it."""

import numpy as np
import pytest
import torch
from helpers.hand_images import stored_hands, view_of_sky

from hand_pose_ros.hand_images.augmentation.view_jitter import (
    ViewJitterConfig,
    change_labels,
    homographies,
    random_view_change,
    view_change,
    warp_image,
)
from hand_pose_ros.hand_images.shards import STORED_MARGIN, STORED_SIZE_PX, view_to_pixels
from hand_pose_ros.kinematics.forward import forward_kinematics

STORED = (STORED_SIZE_PX, STORED_MARGIN)
CROP = (128, 1.5)


@pytest.fixture(scope="module")
def hands():
    return stored_hands(24)


@pytest.fixture(scope="module")
def change(hands):
    return random_view_change(
        hands.half_extent, ViewJitterConfig(wide_roll_share=0.5), np.random.default_rng(0)
    )


def test_image_is_the_one_taken_from_the_new_view(hands, change):
    to_crop = homographies(hands.half_extent, change, STORED, CROP)
    for row in range(hands.count):
        warped = warp_image(hands.image[row], to_crop[row], CROP[0])
        taken = view_of_sky(
            change.half_extent[row], float(hands.half_extent[row]), change.rotation[row], *CROP
        )
        inside = warp_image(np.full((160, 160, 3), 255, np.uint8), to_crop[row], CROP[0]).min(-1) == 255
        assert inside.mean() > 0.5
        error = np.abs(warped.astype(float) - taken)[inside]
        assert error.mean() < 1.0
        assert error.max() < 6  # a shift by a twentieth of a pixel would give as much


def test_points_are_the_projected_joints(hands, change):
    changed = change_labels(hands, change)
    joints = changed.joints.astype(float) + changed.wrist[:, None]
    projected = joints[..., :2] / joints[..., 2:] / changed.half_extent[:, None, None]
    np.testing.assert_allclose(changed.points, projected, atol=2e-5)
    np.testing.assert_allclose(changed.depth, changed.joints[..., 2], atol=1e-5)
    assert np.abs(changed.points).max() > 1.1


def test_points_move_as_the_image_does(hands, change):
    changed = change_labels(hands, change)
    old = view_to_pixels(hands.points.astype(float))
    old = np.concatenate((old, np.ones_like(old[..., :1])), axis=-1)
    new = old @ homographies(hands.half_extent, change, STORED, CROP).transpose(0, 2, 1)
    np.testing.assert_allclose(new[..., :2] / new[..., 2:], view_to_pixels(changed.points, *CROP), atol=1e-3)


def test_rotation_is_that_of_the_joints(hands, change):
    changed = change_labels(hands, change)
    angles, proportions, rotation = map(
        torch.from_numpy, (changed.angles, changed.proportions, changed.rotation)
    )
    joints = forward_kinematics(angles, proportions, rotation).joints
    np.testing.assert_allclose(joints.numpy(), changed.joints, atol=1e-5)


def test_there_and_back(hands, change):
    back = change.rotation.transpose(0, 2, 1)
    inverse = change._replace(rotation=back, half_extent=hands.half_extent.astype(float))
    again = change_labels(change_labels(hands, change), inverse)
    for name, value in hands._asdict().items():
        np.testing.assert_allclose(getattr(again, name), value, atol=1e-4, err_msg=name)


def test_no_change_changes_nothing(hands):
    still = np.zeros(hands.count)
    change = view_change(hands.half_extent, still, np.zeros((hands.count, 2)), still + 1)
    np.testing.assert_array_equal(change.rotation, np.broadcast_to(np.eye(3), change.rotation.shape))
    for name, value in change_labels(hands, change)._asdict().items():
        np.testing.assert_allclose(value, getattr(hands, name), atol=1e-6, err_msg=name)


def test_shift_roll_and_scale_do_what_they_say(hands):
    shift = np.tile((0.3, -0.2), (hands.count, 1))
    one = np.ones(hands.count)
    changed = change_labels(hands, view_change(hands.half_extent, 0 * one, shift, one))
    # To first order in the field of view.
    np.testing.assert_allclose(changed.points, hands.points - shift[:, None], atol=0.1)
    looked_at = hands._replace(points=np.broadcast_to(shift[:, None], hands.points.shape).astype(np.float32))
    middle = change_labels(looked_at, view_change(hands.half_extent, 0 * one, shift, one)).points
    np.testing.assert_allclose(middle, 0, atol=1e-5)
    rolled = change_labels(hands, view_change(hands.half_extent, np.pi / 2 * one, 0 * shift, 2 * one)).points
    x, y = hands.points[..., 0], hands.points[..., 1]
    np.testing.assert_allclose(rolled, np.stack((-y, x), -1) / 2, atol=1e-5)


def test_unknown_stays_unknown(hands, change):
    joints, wrist = np.full_like(hands.joints, np.nan), np.full_like(hands.wrist, np.nan)
    points = hands.points.copy()
    points[:, 3] = np.nan
    changed = change_labels(hands._replace(joints=joints, wrist=wrist, points=points), change)
    assert np.isnan(changed.joints).all()
    assert np.isnan(changed.wrist).all()
    assert np.isnan(changed.points[:, 3]).all()
    assert np.isfinite(np.delete(changed.points, 3, axis=1)).all()
    np.testing.assert_array_equal(changed.depth, hands.depth)


def test_draws_follow_the_configuration():
    config = ViewJitterConfig(
        roll_sigma_deg=5, wide_roll_share=0.2, wide_roll_deg=90, scale_min=0.5, scale_max=2
    )
    change = random_view_change(np.full(4000, 0.2), config, np.random.default_rng(1))
    assert 0.12 < (np.abs(np.degrees(change.roll_rad)) > 20).mean() < 0.2
    assert np.abs(np.degrees(change.roll_rad)).max() <= 90
    assert change.scale.min() >= 0.5
    assert change.scale.max() <= 2
    assert abs(np.log(change.scale).mean()) < 0.03
    np.testing.assert_allclose(change.shift.std(0), config.shift_sigma, rtol=0.05)
    np.testing.assert_allclose(
        change.rotation @ change.rotation.transpose(0, 2, 1), np.eye(3)[None].repeat(4000, 0), atol=1e-12
    )


@pytest.mark.parametrize(
    "wrong", [{"scale_min": 0}, {"scale_min": 2.0}, {"wide_roll_share": 1.5}, {"shift_sigma": -1}]
)
def test_wrong_configurations_are_refused(wrong):
    with pytest.raises(ValueError, match=r"scale|share|sigma"):
        ViewJitterConfig(**wrong)
