"""The estimator lifts hands with the depths that the network tells, on either side, and only with its features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detections, random_network

from hand_pose_ros.estimator.diffusion import estimator as diffusion_estimator
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.keypoint_input import keypoint_input
from hand_pose_ros.estimator.orientation import depths
from hand_pose_ros.estimator.orientation.depths import ImageDepths, load_image_depths
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.networks.orientation.features import NETWORK, SHAPE
from hand_pose_ros.pose import CropFeatures, Frame

_FRAME = Frame(np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8), CAMERA)
_DEPTH = torch.linspace(0, -1.5, 21)


class Telling:
    """Tells the depths ``_DEPTH`` plus the features' mean, and keeps the sides that it is given."""

    def __init__(self):
        self.signs = []

    def depths(self, features, sign):
        self.signs.append(sign.tolist())
        return _DEPTH + features.mean((1, 2, 3))[:, None]


def with_crop(detection, value=0.0, network=NETWORK):
    return replace(detection, crop=CropFeatures(network, np.full(SHAPE, value, np.float32), np.zeros((4, 2))))


def mirrored(detection):
    x0, y0, x1, y1 = detection.box_px
    points = detection.landmarks_px * (-1, 1) + (CAMERA.width - 1, 0)
    return replace(
        detection,
        side="left",
        box_px=np.array((CAMERA.width - 1 - x1, y0, CAMERA.width - 1 - x0, y1)),
        landmarks_px=points,
        landmarks_m=detection.landmarks_m * (-1, 1, 1),
    )


def estimator(network=None):
    told = None if network is None else ImageDepths(network)
    return DiffusionEstimator(random_network(), 1.25, DiffusionEstimatorConfig(), depths=told)


def test_depths_of_the_image_replace_those_of_the_detector():
    first, second, third = detections(3)
    first.landmarks_px[4] = np.nan
    found = [with_crop(first, 0.2), second, with_crop(third, -0.1)]
    condition = [keypoint_input(CAMERA, one)[1] for one in found]
    condition = type(condition[0])(*(torch.cat(values) for values in zip(*condition, strict=True)))
    network = Telling()
    got = ImageDepths(network).in_place(condition, found)
    expected = torch.stack((_DEPTH + 0.2, condition.depth[1], _DEPTH - 0.1))
    expected[0, 4] = torch.nan
    torch.testing.assert_close(got.depth, expected, equal_nan=True)
    assert network.signs == [[1.0, 1.0]]
    torch.testing.assert_close(got.points, condition.points, equal_nan=True)


def test_the_estimate_follows_them():
    (found,) = detections(1)
    plain, told = (
        one.estimate(_FRAME, [with_crop(found)]).hands.joints for one in (estimator(), estimator(Telling()))
    )
    assert (plain - told).abs().max() > 0.01


def test_a_left_hand_is_the_mirrored_right_one():
    (right,) = [with_crop(one) for one in detections(1)]
    network = Telling()
    poses = place(estimator(network).estimate(_FRAME, [right, mirrored(right)]))
    assert network.signs == [[1.0, -1.0]]
    np.testing.assert_allclose(poses[1].joints_m, poses[0].joints_m * (-1, 1, 1), atol=1e-4)


def test_hands_without_features_stay_as_they_are(caplog):
    first, second = detections(2)
    network = Telling()
    told = estimator(network)
    found = [first, with_crop(second, network="another")]
    got, plain = (one.estimate(_FRAME, found).hands.joints for one in (told, estimator()))
    torch.testing.assert_close(got, plain)
    assert not network.signs
    told.estimate(_FRAME, found)
    assert len([one for one in caplog.records if "hand_landmark_full" in one.message]) == 1


def test_without_weights_the_detector_tells_the_depths(caplog, monkeypatch):
    def missing(kind):
        raise FileNotFoundError("models/hand_orientation.safetensors is missing")

    monkeypatch.setattr(depths, "shipped_weights", missing)
    assert load_image_depths("", "torch", "cpu") is None
    assert "the detector's own depths" in caplog.text
    with pytest.raises(ValueError, match="no weight file"):
        load_image_depths("nowhere.safetensors", "torch", "cpu")


@pytest.mark.parametrize(("condition", "told"), [("keypoints", True), ("both", True), ("image", False)])
def test_all_conditions_with_landmarks_get_them(condition, told, monkeypatch):
    loaded = []
    monkeypatch.setattr(diffusion_estimator, "load_image_depths", lambda *given: loaded.append(given))
    for landmarks in ("heatmap", "detector"):
        DiffusionEstimatorConfig(condition=condition, landmarks=landmarks, backend="torch").create(
            None, "cpu"
        )
        assert bool(loaded) == (told and landmarks == "detector")
