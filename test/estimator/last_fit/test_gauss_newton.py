"""The last fit finds the hand that its image points show, as far as the prior lets it, inside the limits."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from helpers.diffusion import hands_m

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.camera.root_position import root_from_pose
from hand_pose_ros.estimator.last_fit.gauss_newton import (
    CORRECTIONS,
    corrected,
    hypotheses_covariance,
)
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.inverse import fit_hand
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.rotations import rotation_from_vector


def posed(angles, proportions, rotation):
    return HandParameters(angles, proportions, rotation, *forward_kinematics(angles, proportions, rotation))


@cache
def seen(count=3):
    """True hands in their views, fields (n, ...), with their image points and the views' half extents."""
    joints = hands_m(count)
    view = view_keypoints(joints)
    fit = fit_hand(joints @ view.rotation.mT, anchor_length_m=hand.MEAN_ANCHOR_LENGTH_M)
    hands = posed(fit.angles, fit.proportions, fit.frames.rotations[:, 0])
    return hands, view.points, view.half_extent


def disturbed(hands, angle, turn, seed=0):
    generator = torch.Generator().manual_seed(seed)
    bounds = angle_bounds(torch.float64)
    count = len(hands.angles)
    angles = hands.angles + angle * torch.randn(
        count, hand.NUM_ANGLES, generator=generator, dtype=torch.float64
    )
    vector = turn * torch.randn(count, 3, generator=generator, dtype=torch.float64)
    return posed(bounds.clamp(angles), hands.proportions, rotation_from_vector(vector) @ hands.rotation)


def prior(count, spread):
    return torch.zeros(count, CORRECTIONS).double(), spread**2 * torch.eye(CORRECTIONS).double().expand(
        count, -1, -1
    )


def misfit(hands, points, half_extent):
    """Mean distance of the projections from the points in half extents, with the wrist where it fits best."""
    image = points * half_extent[:, None, None]
    root = root_from_pose(image, hands.joints).position
    placed = hands.joints + root[:, None]
    return ((placed[..., :2] / placed[..., 2:] - image) / half_extent[:, None, None]).norm(dim=-1).nanmean(-1)


def test_a_disturbed_hand_returns_to_its_image_points():
    truth, points, half_extent = seen()
    start = disturbed(truth, 0.1, 0.1)
    sigma = torch.full(points.shape[:2], 0.01).double()
    before = misfit(start, points, half_extent)
    one, two = (corrected(start, *prior(3, 0.2), points, half_extent, sigma, n).hands for n in (1, 2))
    assert (misfit(one, points, half_extent) < 0.4 * before).all()
    assert (misfit(two, points, half_extent) < 0.25 * before).all()
    assert (
        (one.joints - truth.joints).norm(dim=-1).mean(-1)
        < (start.joints - truth.joints).norm(dim=-1).mean(-1)
    ).all()


def test_a_sure_prior_keeps_the_hand():
    truth, points, half_extent = seen()
    start = disturbed(truth, 0.1, 0.1)
    sigma = torch.full(points.shape[:2], 0.1).double()
    kept = corrected(start, *prior(3, 1e-4), points, half_extent, sigma)
    torch.testing.assert_close(kept.hands.joints, start.joints, atol=1e-3, rtol=0)
    mean = torch.full((3, CORRECTIONS), 0.01).double()
    followed = corrected(start, mean, prior(3, 1e-4)[1], points, half_extent, sigma)
    torch.testing.assert_close(followed.value[:, -3:], mean[:, -3:], atol=1e-4, rtol=0)


def test_the_posterior_is_narrower_than_the_prior():
    truth, points, half_extent = seen()
    mean, covariance = prior(3, 0.1)
    sigma = torch.full(points.shape[:2], 0.02).double()
    fit = corrected(truth, mean, covariance, points, half_extent, sigma)
    assert (torch.linalg.eigvalsh(covariance - fit.covariance) > -1e-9).all()
    assert (fit.covariance.diagonal(dim1=1, dim2=2)[:, -1] < 0.5 * 0.1**2).all()


def test_angles_stay_inside_their_limits():
    truth, points, half_extent = seen()
    sigma = torch.full(points.shape[:2], 1e-3).double()
    fit = corrected(disturbed(truth, 0.5, 0.3), *prior(3, 1.0), 1.3 * points, half_extent, sigma, 3)
    assert bool(angle_bounds(torch.float64).contains(fit.hands.angles, 1e-9).all())
    expected = posed(fit.hands.angles, fit.hands.proportions, fit.hands.rotation)
    torch.testing.assert_close(fit.hands.joints, expected.joints)


def test_missing_points_and_outliers_do_little():
    truth, points, half_extent = seen()
    sigma = torch.full(points.shape[:2], 0.02).double()
    points = points.clone()
    points[0, 8] = torch.nan
    points[1, 8] += 0.5
    fit = corrected(truth, *prior(3, 0.05), points, half_extent, sigma)
    assert fit.hands.joints.isfinite().all()
    torch.testing.assert_close(fit.hands.joints[0], truth.joints[0], atol=1e-3, rtol=0)
    assert (fit.hands.joints[1] - truth.joints[1]).norm(dim=-1)[:5].max() < 0.1


def test_no_points_at_all_leave_the_prior():
    truth, points, half_extent = seen()
    sigma = torch.full(points.shape[:2], 0.02).double()
    fit = corrected(truth, *prior(3, 0.05), torch.full_like(points, torch.nan), half_extent, sigma)
    torch.testing.assert_close(fit.hands.angles, truth.angles)


def test_hands_are_fitted_as_each_alone():
    truth, points, half_extent = seen()
    start, sigma = disturbed(truth, 0.1, 0.1), torch.full(points.shape[:2], 0.05).double()
    mean, covariance = prior(3, 0.1)
    together = corrected(start, mean, covariance, points, half_extent, sigma, 2)
    for row in range(3):
        one = slice(row, row + 1)
        alone = corrected(
            HandParameters(*(value[one] for value in start)), mean[one], covariance[one], points[one],
            half_extent[one], sigma[one], 2,
        )  # fmt: skip
        torch.testing.assert_close(alone.hands.joints, together.hands.joints[one])


def test_the_covariance_of_the_hypotheses_is_their_second_moment():
    truth, _, _ = seen(1)
    samples = [disturbed(truth, 0.05, 0.05, seed) for seed in range(1, 7)]
    stacked = HandParameters(*(torch.stack(values, 1) for values in zip(*samples, strict=True)))
    weights = torch.full((1, 6), 1 / 6).double()
    covariance = hypotheses_covariance(truth, stacked, weights, 2.0)
    deviation = stacked.angles[0] - truth.angles
    torch.testing.assert_close(covariance[0, :38, :38], 4 * deviation.mT @ deviation / 6)
    assert float(torch.linalg.eigvalsh(covariance[0])[0]) == pytest.approx(0, abs=1e-9)
