"""Samples that agree with the heatmaps count more."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detections, random_network

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.diffusion.selection import heat_weights
from hand_pose_ros.estimator.placement import place_hands
from hand_pose_ros.networks.hand_head import hand_from_raw
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig, ImageFeatures
from hand_pose_ros.pose import Frame

MARGIN, SIZE = 1.5, 48


def samples(count: int) -> torch.Tensor:
    """Joints (1, count, 21, 3) of different hands, relative to the wrist."""
    raw = torch.randn(count, 67, generator=torch.Generator().manual_seed(2))
    return hand_from_raw(raw).joints[None]


def view_of(joints: torch.Tensor, distance: float = 6.0) -> KeypointView:
    """The view that has hands (1, 21, 3) in its middle."""
    joints = joints.double() + torch.tensor((0.0, 0.0, distance), dtype=torch.float64)
    image = joints[..., :2] / joints[..., 2:]
    image = image - image.mean(1, keepdim=True)
    half_extent = image.abs().amax((1, 2))
    return KeypointView(torch.eye(3)[None], half_extent, image / half_extent[:, None, None])


def projected(joints: torch.Tensor, view: KeypointView) -> torch.Tensor:
    """Where (1, S, 21, 2) in the crop the samples (1, S, 21, 3) are projected to, placed by the view's points."""
    placed = place_hands(joints, view.points, view.half_extent, None).joints
    return placed[..., :2] / placed[..., 2:] / view.half_extent[:, None, None, None] / MARGIN


def maps_at(points: torch.Tensor, sigma: float = 0.05) -> torch.Tensor:
    """Log heatmaps (1, 21, SIZE, SIZE) with one maximum each, at points (1, 21, 2) of the crop."""
    axis = (2 * torch.arange(SIZE) + 1) / SIZE - 1
    squared = (axis - points[..., :1]).square()[..., None, :] + (axis - points[..., 1:]).square()[..., None]
    return torch.log_softmax((-squared / (2 * sigma**2)).flatten(2), dim=-1).unflatten(-1, (SIZE, SIZE))


def test_the_sample_at_the_maxima_gets_the_weight():
    joints = samples(5)
    view = view_of(joints[:, 2])
    at = projected(joints, view)
    weights = heat_weights(joints, view, maps_at(at[:, 3]), MARGIN, None)
    assert weights.shape == (1, 5)
    assert weights[0].argmax() == 3
    assert weights[0, 3] > 0.9
    torch.testing.assert_close(weights.sum(-1), torch.ones(1).to(weights))


def test_maps_that_say_nothing_give_equal_weights():
    joints = samples(4)
    flat = torch.zeros(1, hand.NUM_JOINTS, SIZE, SIZE) - 2 * np.log(SIZE)
    weights = heat_weights(joints, view_of(joints[:, 0]), flat, MARGIN, None)
    torch.testing.assert_close(weights, torch.full((1, 4), 0.25).to(weights))


def test_a_sample_without_a_position_gets_no_weight_unless_none_has_one():
    joints = samples(4)
    view = view_of(joints[:, 0])
    maps = maps_at(projected(joints, view)[:, 1])
    broken = joints.clone()
    broken[:, 1] = torch.nan
    weights = heat_weights(broken, view, maps, MARGIN, None)
    assert weights[0, 1] == 0
    assert weights.sum() == pytest.approx(1.0)
    weights = heat_weights(broken[:, [1, 1]], view, maps, MARGIN, None)
    torch.testing.assert_close(weights, torch.full((1, 2), 0.5).to(weights))


class Pointing:
    """A network with an image encoder whose maps have their maxima at given points."""

    crops = ImageEncoderConfig(size_px=64, margin=MARGIN)

    def __init__(self) -> None:
        self._network = random_network(self.crops.condition_size, "epsilon")
        self.points: torch.Tensor | None = None

    def __getattr__(self, name):
        return getattr(self._network, name)

    def encode_crops(self, crops, half_extent):
        count = len(half_extent)
        flat, maps = torch.zeros(count, 21), torch.full((count, 21, SIZE, SIZE), -2 * float(np.log(SIZE)))
        if self.points is not None:
            maps = maps_at(self.points)
        seen = ImageFeatures(torch.zeros(count, 1), torch.zeros(count, 21, 2), flat, flat, flat[:, 0], maps)
        return seen, torch.zeros(count, self.crops.condition_size)


def test_the_estimator_gives_the_sample_that_the_image_shows():
    network = Pointing()
    frame = Frame(np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8), CAMERA)
    found = detections(1)
    config = DiffusionEstimatorConfig(samples=6, steps=2, condition="both")
    undecided = DiffusionEstimator(network, config=config).estimate(frame, found)
    without = DiffusionEstimator(
        network, config=DiffusionEstimatorConfig(samples=6, steps=2, condition="both", selection=False)
    )
    torch.testing.assert_close(undecided.hands.joints, without.estimate(frame, found).hands.joints)

    view = undecided.view
    for shown in (1, 4):
        network.points = projected(undecided.samples.joints, view)[:, shown].float()
        selected = DiffusionEstimator(network, config=config).estimate(frame, found)
        distances = (undecided.samples.joints - selected.hands.joints[:, None]).norm(dim=-1).mean(-1)[0]
        assert distances.argmin() == shown
        # The samples move with the hand, and stay as far apart.
        torch.testing.assert_close(
            selected.samples.joints - selected.hands.joints[:, None],
            undecided.samples.joints - undecided.hands.joints[:, None],
        )
        torch.testing.assert_close(selected.weights, undecided.weights)
        torch.testing.assert_close(without.estimate(frame, found).hands.joints, undecided.hands.joints)


def test_a_sample_that_had_no_weight_before_gets_none():
    joints = samples(4)
    view = view_of(joints[:, 0])
    maps = maps_at(projected(joints, view)[:, 1], sigma=0.01)
    prior = torch.tensor([[0.5, 0.0, 0.25, 0.25]])  # the likely sample was excluded
    weights = heat_weights(joints, view, maps, MARGIN, None, prior)
    assert weights[0, 1] == 0
    assert weights.sum() == pytest.approx(1.0)
