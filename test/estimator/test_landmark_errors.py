"""Expected errors come with the features of one network only, and widen the covariance of their joints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detections, random_network

from hand_pose_ros.estimator import landmark_errors, placement
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator
from hand_pose_ros.estimator.landmark_errors import LandmarkErrors, load_landmark_errors
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.networks.orientation.features import NETWORK, SHAPE
from hand_pose_ros.pose import CropFeatures, Frame

_FRAME = Frame(np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8), CAMERA)


def telling(pooled):
    """A network whose expected error of joint i is ``pooled[0] * (i + 1)``."""
    return (pooled[:, :1] * torch.arange(1, 22)).log()


def with_crop(detection, value, network=NETWORK):
    return replace(detection, crop=CropFeatures(network, np.full(SHAPE, value, np.float32), np.zeros((4, 2))))


def test_only_hands_with_the_features_have_expected_errors():
    first, second, third = detections(3)
    errors = LandmarkErrors(telling)
    expected = errors.expected([with_crop(first, 0.01), second, with_crop(third, 0.02, "another")])
    torch.testing.assert_close(expected[0], 0.01 * torch.arange(1, 22), atol=1e-6, rtol=1e-5)
    assert expected[1:].isnan().all()
    assert errors.expected([second]) is None


def estimates(found):
    network = random_network()
    plain = DiffusionEstimator(network, 1.25).estimate(_FRAME, found)
    told = DiffusionEstimator(network, 1.25, landmark_errors=LandmarkErrors(telling)).estimate(_FRAME, found)
    return place(plain), place(told), told


@pytest.mark.parametrize("side", ["right", "left"])
def test_the_covariance_grows_by_the_error_across_and_along_the_ray(side):
    found = [replace(with_crop(one, 0.01), side=side) for one in detections(2)]
    found[1] = replace(found[1], crop=None)
    plain, told, estimate = estimates(found)
    for joint in (0, 8, 20):
        ray = plain[0].joints_m[joint] / np.linalg.norm(plain[0].joints_m[joint])
        added = told[0].covariance_m2[joint] - plain[0].covariance_m2[joint]
        sigma = (
            0.01
            * (joint + 1)
            * float(estimate.view.half_extent[0])
            * np.linalg.norm(plain[0].joints_m[joint])
        )
        np.testing.assert_allclose(ray @ added @ ray, (placement.ERROR_ALONG * sigma) ** 2, rtol=1e-4)
        np.testing.assert_allclose(
            np.trace(added) - ray @ added @ ray, 2 * (placement.ERROR_ACROSS * sigma) ** 2, rtol=1e-4
        )
    np.testing.assert_allclose(told[0].wrist_covariance[:3, :3], told[0].covariance_m2[0], rtol=1e-9)
    np.testing.assert_array_equal(told[1].covariance_m2, plain[1].covariance_m2)
    np.testing.assert_array_equal(told[0].joints_m, plain[0].joints_m)


def test_missing_weights_are_told_and_bad_ones_refused(tmp_path, monkeypatch, caplog):
    def missing(kind):
        raise FileNotFoundError(f"no {kind}")

    monkeypatch.setattr(landmark_errors, "shipped_weights", missing)
    assert load_landmark_errors("") is None
    assert "do not contain the expected error" in caplog.text
    with pytest.raises(ValueError, match="there is no weight file"):
        load_landmark_errors(str(tmp_path / "none.safetensors"))
