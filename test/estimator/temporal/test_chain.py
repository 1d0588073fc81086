"""Any estimator with the temporal smoother behind it: what a hand's past changes, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detections, random_network
from helpers.frames import blank_frame
from helpers.temporal import TINY

from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.ik import IkEstimator
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.estimator.temporal.smoother import TemporalSmoother
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.networks.temporal.transformer import TemporalTransformer

FRAME_S = 1 / 30


@pytest.fixture(scope="module")
def estimators():
    config = DiffusionEstimatorConfig(samples=6, steps=3)
    return {"diffusion": DiffusionEstimator(random_network(), 1.3, config), "ik": IkEstimator()}


@pytest.fixture(params=["diffusion", "ik"])
def estimator(request, estimators):
    estimators[request.param].reset()
    return estimators[request.param]


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(2)
    return TemporalTransformer(TINY).eval()


def frames(count, track_id=3):
    """A hand that trembles."""
    (found,) = detections(1)
    random = np.random.default_rng(4)
    return [
        replace(found, track_id=track_id, landmarks_px=found.landmarks_px + random.normal(0, 4, (21, 2)))
        for _ in range(count)
    ]


def chain(estimator, smoother, found, time_s):
    """The pose of a frame by itself, and smoothed."""
    estimate = estimator.estimate(blank_frame(CAMERA), [found])
    return place(estimate)[0], place(smoother.smooth(estimate, time_s))[0]


def trembling(poses):
    shapes = [pose.joints_m - pose.joints_m[0] for pose in poses]
    return np.linalg.norm(np.diff(shapes, n=2, axis=0), axis=-1).mean()


def test_tracked_hands_are_steadier_and_still_there(estimator, network):
    smoother = TemporalSmoother(network)
    pairs = [chain(estimator, smoother, found, number * FRAME_S) for number, found in enumerate(frames(10))]
    single, steady = zip(*pairs, strict=True)
    assert trembling(steady) < 0.7 * trembling(single)
    for before, after in pairs:
        assert after.valid
        assert after.track_id == 3
        assert angle_bounds(torch.float64).contains(torch.from_numpy(after.angles_rad), 1e-6)
        assert np.array_equal(np.isfinite(after.covariance_m2), np.isfinite(before.covariance_m2))
        assert np.linalg.norm(after.joints_m - before.joints_m, axis=-1).mean() < 0.03


def test_a_hand_whose_estimator_knows_its_place_keeps_it(network):
    estimator, smoother = IkEstimator(), TemporalSmoother(network)
    for number, found in enumerate(frames(4)):
        before, after = chain(estimator, smoother, found, number * FRAME_S)
        np.testing.assert_allclose(after.joints_m[0], before.joints_m[0], atol=1e-6)
        assert after.anchor_length_m == before.anchor_length_m


def test_the_first_frame_is_as_without(estimator, network):
    before, after = chain(estimator, TemporalSmoother(network), frames(1)[0], 7.0)
    for name in ("joints_m", "angles_rad", "covariance_m2", "wrist_covariance"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), atol=2e-4)


@pytest.mark.parametrize("without", ["track", "reset", "gap", "other side"])
def test_where_there_is_no_past_the_frame_stands_alone(estimators, network, without):
    estimator, smoother = estimators["diffusion"], TemporalSmoother(network)
    *before, last = frames(6)
    for index, one in enumerate(before):
        chain(estimator, smoother, one, index * FRAME_S)
    time_s = len(before) * FRAME_S
    if without == "track":
        last = replace(last, track_id=None)
    elif without == "reset":
        smoother.reset()
    elif without == "gap":
        time_s += 0.5
    else:
        last = replace(last, side="left" if last.side == "right" else "right")
    expected, pose = chain(estimator, smoother, last, time_s)
    np.testing.assert_allclose(pose.joints_m, expected.joints_m, atol=2e-4)
