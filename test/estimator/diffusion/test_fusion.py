"""From samples to one hand: fusion methods and weights."""

from __future__ import annotations

import math

import pytest
import torch
from helpers.diffusion import random_condition, random_network

from hand_pose_ros.estimator.diffusion.fusion import FUSIONS, fuse_samples, reprojection_weights
from hand_pose_ros.networks.condition import Encoded
from hand_pose_ros.networks.hand_head import HandParameters, hand_from_raw


class Retracing:
    """A denoiser whose IK head recognises the joints that it is shown."""

    def __init__(self, hands: HandParameters) -> None:
        self._hands = hands

    def fit(self, samples, encoded):
        joints = encoded.to_joints(samples)
        index = (joints[:, None] - self._hands.joints).flatten(2).norm(dim=-1).argmin(1)
        return HandParameters(*(value[index] for value in self._hands))


def hands(count, seed=0):
    raw = torch.randn(count, 67, generator=torch.Generator().manual_seed(seed))
    return hand_from_raw(raw)


def space(count):
    mean_and_scale = torch.full((count, 21, 3), 0.1), torch.full((count, 21, 3), 0.5)
    return Encoded(torch.zeros(count, 1), torch.zeros(count, 21, 1), *mean_and_scale)


def uniform(count, samples):
    return torch.full((count, samples), 1 / samples)


@pytest.mark.parametrize("method", FUSIONS)
def test_equal_samples_give_that_hand(method):
    two = hands(2)
    samples = HandParameters(*(value[:, None].expand(-1, 5, *value.shape[1:]) for value in two))
    fused = fuse_samples(samples, uniform(2, 5), method, Retracing(two), space(2))
    for one, other in zip(fused, two, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=2e-6)


def test_fit_shows_the_head_the_weighted_mean():
    model = random_network()
    encoded = model.encode(random_condition(1))
    samples = HandParameters(*(value[None] for value in hands(4)))
    weights = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    mean = sum(weight * joints for weight, joints in zip(weights[0], samples.joints[0], strict=True))
    expected = model.fit(encoded.to_samples(mean[None]), encoded)
    fused = fuse_samples(samples, weights, "fit", model, encoded)
    torch.testing.assert_close(fused.joints, expected.joints, rtol=0, atol=1e-5)


def test_medoid_is_the_sample_with_the_least_distance_to_the_others():
    samples = HandParameters(*(value.unflatten(0, (3, 6)) for value in hands(18)))
    fused = fuse_samples(samples, uniform(3, 6), "medoid", None, None)
    for index in range(3):
        joints = samples.joints[index]
        costs = [sum((a - b).norm(dim=-1).mean() for b in joints) for a in joints]
        best = min(range(6), key=costs.__getitem__)
        torch.testing.assert_close(fused.joints[index], joints[best])
        torch.testing.assert_close(fused.angles[index], samples.angles[index, best])


def test_angles_are_averaged_and_rotations_stay_rotations():
    samples = HandParameters(*(value[None] for value in hands(5)))
    fused = fuse_samples(samples, uniform(1, 5), "angles", None, None)
    torch.testing.assert_close(fused.angles, samples.angles.mean(1))
    torch.testing.assert_close(fused.rotation @ fused.rotation.mT, torch.eye(3)[None], rtol=0, atol=1e-5)


def test_weight_of_one_sample_gives_that_sample():
    samples = HandParameters(*(value[None] for value in hands(5)))
    weights = torch.tensor([[0.0, 0.0, 1.0, 0.0, 0.0]])
    for method in FUSIONS:
        found = Retracing(HandParameters(*(value[0] for value in samples)))
        fused = fuse_samples(samples, weights, method, found, space(1))
        torch.testing.assert_close(fused.joints[0], samples.joints[0, 2], rtol=0, atol=2e-5)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="fusion must be one of"):
        fuse_samples(hands(1), uniform(1, 1), "mode", None, None)


def test_reprojection_weights():
    residual = torch.tensor([[0.1, 0.2, torch.nan], [torch.nan] * 3, [0.3, 0.3, 0.3]])
    weights = reprojection_weights(residual, 0.1)
    ratio = math.exp(-(0.2**2 - 0.1**2) / (2 * 0.1**2))
    expected = torch.tensor([[1 / (1 + ratio), ratio / (1 + ratio), 0.0], [1 / 3] * 3, [1 / 3] * 3])
    torch.testing.assert_close(weights, expected)
    alike = reprojection_weights(residual, math.inf)
    torch.testing.assert_close(alike, torch.tensor([[0.5, 0.5, 0.0], [1 / 3] * 3, [1 / 3] * 3]))
