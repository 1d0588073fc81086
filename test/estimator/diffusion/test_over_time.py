"""The diffusion estimator with a smoother: what a frame's time and track change, and what they leave alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detections, random_network
from helpers.frames import blank_frame, poses
from helpers.temporal import TINY

from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.temporal.smoother import TemporalSmoother
from hand_pose_ros.networks.temporal.transformer import TemporalTransformer

CONFIG = DiffusionEstimatorConfig(samples=6, steps=3)
FRAME_S = 1 / 30


@pytest.fixture(scope="module")
def network():
    return random_network()


@pytest.fixture(scope="module")
def smoothing():
    torch.manual_seed(2)
    return TemporalTransformer(TINY).eval()


@pytest.fixture
def estimator(network, smoothing):
    return DiffusionEstimator(network, 1.3, CONFIG, smoother=TemporalSmoother(smoothing))


def frames(count, track_id=3):
    """A hand that trembles."""
    (found,) = detections(1)
    random = np.random.default_rng(4)
    return [
        replace(found, track_id=track_id, landmarks_px=found.landmarks_px + random.normal(0, 4, (21, 2)))
        for _ in range(count)
    ]


def shape(pose):
    return pose.joints_m - pose.joints_m[0]


def trembling(poses):
    return np.linalg.norm(np.diff([shape(pose) for pose in poses], n=2, axis=0), axis=-1).mean()


def test_tracked_hands_are_steadier_and_still_there(estimator, network):
    hands = frames(10)
    alone = DiffusionEstimator(network, 1.3, CONFIG)
    single = [poses(alone, blank_frame(CAMERA), [one])[0] for one in hands]
    steady = [
        poses(estimator, blank_frame(CAMERA, index * FRAME_S), [one])[0] for index, one in enumerate(hands)
    ]
    assert all(pose.valid and np.isfinite(pose.covariance_m2).all() for pose in steady)
    assert trembling(steady) < 0.7 * trembling(single)
    assert [pose.track_id for pose in steady] == [3] * 10


def test_the_first_frame_is_as_without(estimator, network):
    (found,) = frames(1)
    expected = poses(DiffusionEstimator(network, 1.3, CONFIG), blank_frame(CAMERA), [found])[0]
    pose = poses(estimator, blank_frame(CAMERA, 7.0), [found])[0]
    for name in ("joints_m", "angles_rad", "covariance_m2", "wrist_covariance"):
        np.testing.assert_allclose(getattr(pose, name), getattr(expected, name), atol=2e-4)


@pytest.mark.parametrize("without", ["time", "track", "reset", "gap", "other side"])
def test_where_there_is_no_past_the_frame_stands_alone(estimator, network, without):
    *before, last = frames(6)
    for index, one in enumerate(before):
        poses(estimator, blank_frame(CAMERA, index * FRAME_S), [one])
    time_s = len(before) * FRAME_S
    if without == "time":
        time_s = None
    elif without == "track":
        last = replace(last, track_id=None)
    elif without == "reset":
        estimator.reset()
    elif without == "gap":
        time_s += 0.5
    else:
        last = replace(last, side="left" if last.side == "right" else "right")
    pose = poses(estimator, blank_frame(CAMERA, time_s), [last])[0]
    expected = poses(DiffusionEstimator(network, 1.3, CONFIG), blank_frame(CAMERA), [last])[0]
    np.testing.assert_allclose(pose.joints_m, expected.joints_m, atol=2e-4)
