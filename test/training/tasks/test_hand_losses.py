"""The losses of hands are plain means where everything is known, and leave out what is not."""

from __future__ import annotations

import pytest
import torch
from helpers.diffusion import random_network

from hand_pose_ros.networks.hand_head import hand_from_raw
from hand_pose_ros.synthetic.detector.noise import DetectorNoise
from hand_pose_ros.synthetic.observed_hands import sample_hands
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.training.tasks.hand_losses import (
    LossWeights,
    diffusion_losses,
    hand_losses,
    targets_of_generated,
)

WEIGHTS = LossWeights(diffusion=3.0, camera=2.0, canonical=0.5, reprojection=0.7, angles=0.3)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def hands():
    return sample_hands(6, PoseSampler(), DetectorNoise(), generator())


@pytest.fixture(scope="module")
def predicted(hands):
    return hand_from_raw(torch.randn(len(hands.angles), 67, generator=generator(1)))


def test_terms_of_known_hands_are_weighted_means(hands, predicted):
    truth, observed = targets_of_generated(hands), hands.observed

    def projected(joints):
        placed = joints + observed.wrist[:, None]
        extent = observed.view.half_extent.clamp(min=0.03)[:, None, None]
        return placed[..., :2] / placed[..., 2:].clamp(min=0.3) / extent

    canonical = predicted.joints @ predicted.rotation - observed.joints @ hands.rotation
    expected = {
        "camera": 2.0 * (predicted.joints - observed.joints).abs().mean(),
        "canonical": 0.5 * canonical.abs().mean(),
        "reprojection": 0.7 * (projected(predicted.joints) - projected(observed.joints)).abs().mean(),
        "angles": 0.3 * (predicted.angles - hands.angles).abs().mean(),
    }
    torch.testing.assert_close(hand_losses(predicted, truth, WEIGHTS), expected)
    assert hand_losses(predicted, truth, LossWeights(camera=0.0, angles=0.0)).keys() == {
        "canonical",
        "reprojection",
    }


def test_the_diffusion_term_is_the_error_of_the_prediction(hands):
    truth, model = targets_of_generated(hands), random_network()
    encoded = model.encode(hands.observed.condition)
    losses = diffusion_losses(model, encoded, truth, WEIGHTS, generator(2))
    draws = generator(2)
    x0 = encoded.to_samples(truth.joints)
    t = torch.randint(model.schedule.steps, (len(x0),), generator=draws)
    noisy = model.schedule.add_noise(x0, torch.randn(x0.shape, generator=draws), t)
    prediction = model.denoise(noisy, t, encoded)
    torch.testing.assert_close(losses["diffusion"], 3.0 * (prediction - x0).square().mean())
    assert losses.keys() == {"diffusion", "camera", "canonical", "reprojection", "angles"}


def test_a_residual_diffusion_learns_the_rest_of_a_regression(hands):
    truth = targets_of_generated(hands)
    model = random_network(residual=True).requires_grad_(True)
    encoded = model.encode(hands.observed.condition)
    losses = diffusion_losses(model, encoded, truth, LossWeights(diffusion=0.7), generator(2))
    normal = torch.distributions.Normal(encoded.mean, encoded.scale)
    unit = torch.distributions.Normal(0.0, model.scale)
    error = ((truth.joints - encoded.mean) / model.scale).square()
    surprise = unit.log_prob(torch.zeros(21, 3)) - normal.log_prob(truth.joints)
    torch.testing.assert_close(losses["regression"], 0.7 * (error + surprise).mean())
    losses["diffusion"].backward()
    assert model.regression[1].weight.grad is None  # of the space, which the diffusion takes as it is


@pytest.mark.parametrize("residual", [False, True])
def test_what_is_unknown_changes_no_loss(hands, predicted, residual):
    model, truth = random_network(residual=residual), targets_of_generated(hands)
    encoded = model.encode(hands.observed.condition)
    weights = truth.weights.clone()
    weights[:2], weights[3, 5:] = 0.0, 0.0
    hidden = truth._replace(
        weights=weights, joints=truth.joints.masked_fill((weights == 0)[..., None], torch.nan)
    )
    other = truth._replace(weights=weights, joints=torch.where((weights == 0)[..., None], 9.0, truth.joints))
    for losses in (
        lambda one: hand_losses(predicted, one, WEIGHTS),
        lambda one: diffusion_losses(model, encoded, one, WEIGHTS, generator(2)),
    ):
        for name, term in losses(hidden).items():
            assert term.isfinite(), name
            torch.testing.assert_close(term, losses(other)[name])
