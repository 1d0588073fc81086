"""The networks of the diffusion estimator: conditions, limits, sampling, and that they can learn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from helpers.diffusion import random_condition, random_network

from hand_pose_ros import hand
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.networks.condition import (
    ConditionConfig,
    ConditionEncoder,
    KeypointCondition,
    joint_features,
)
from hand_pose_ros.networks.diffusion.baseline import HandRegressor, HandRegressorConfig
from hand_pose_ros.networks.diffusion.network import HandDiffusion, HandDiffusionConfig
from hand_pose_ros.networks.diffusion.sampling import antithetic_noise, sample_joints
from hand_pose_ros.networks.hand_head import hand_from_raw
from hand_pose_ros.training.tasks.keypoints import DiffusionLifting, LiftingOptions


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def assert_within_limits(hands):
    assert angle_bounds().contains(hands.angles, 1e-6).all()
    assert proportion_bounds().contains(hands.proportions, 1e-6).all()
    identity = torch.eye(3).expand_as(hands.rotation)
    torch.testing.assert_close(hands.rotation @ hands.rotation.mT, identity, rtol=0, atol=1e-5)
    assert (torch.linalg.det(hands.rotation) > 0).all()
    bones = hands.joints[:, [b for _, b in hand.BONES]] - hands.joints[:, [a for a, _ in hand.BONES]]
    torch.testing.assert_close(bones.norm(dim=-1), hands.proportions, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [0.0, 1e-6, 1.0, 1e3, 1e6])
def test_every_hand_is_within_limits_whatever_the_input(size):
    assert_within_limits(hand_from_raw(size * torch.randn(50, 67, generator=generator())))
    model = random_network()
    encoded = model.encode(random_condition(5))
    assert_within_limits(model.fit(size * torch.randn(5, 21, 3, generator=generator()), encoded))


def test_the_baseline_is_within_limits_for_missing_and_extreme_keypoints():
    config = HandRegressorConfig(32, 1, ConditionConfig(width=32, blocks=1))
    model = HandRegressor(config).eval()
    condition = random_condition(4)
    extreme = condition._replace(points=condition.points * 1e5, depth=condition.depth * 1e5)
    for given in (condition, extreme):
        assert_within_limits(model(given))


def test_an_untrained_head_gives_the_neutral_hand_with_the_palm_up():
    model = HandDiffusion(
        HandDiffusionConfig(channels=(8, 16), condition=ConditionConfig(width=16, blocks=0))
    )
    torch.nn.init.zeros_(model.head.out.weight)
    hands = model.fit(torch.randn(2, 21, 3), model.encode(random_condition(2)))
    torch.testing.assert_close(hands.angles, angle_bounds().neutral.expand(2, -1), rtol=0, atol=1e-5)
    assert (hands.joints[:, 9, 1] < -0.5).all()  # up in the image
    torch.testing.assert_close(hands.rotations[:, 0, :, 2], torch.tensor([[0.0, 0.0, 1.0]] * 2))


def test_missing_keypoints_reach_the_network_as_zeros():
    features = joint_features(random_condition(3))
    assert features.isfinite().all()
    assert not features[0, 3, [0, 1, 2, 3, 4, 5, 6, 7]].any()
    assert not features[1, :, :8].any()
    assert not features[0, :, 6].any()  # no confidence is given for the first hand
    assert features[2, 5, 5] == 0
    assert features[2, 5, 4] == 1


def fused_encoder(dropout=0.5):
    torch.manual_seed(0)
    encoder = ConditionEncoder(ConditionConfig(width=16, blocks=1, image_features=8, dropout=dropout))
    with torch.no_grad():
        for parameter in encoder.parameters():
            if not parameter.any():
                parameter.normal_(std=0.3)
    return encoder


def test_image_features_alone_keypoints_alone_and_both():
    encoder = fused_encoder().eval()
    keypoints, image = random_condition(3), torch.randn(3, 8, generator=generator())
    both, points, images = encoder(keypoints, image), encoder(keypoints), encoder(None, image)
    for one, other in ((both, points), (both, images), (points, images)):
        assert (one.features[0] - other.features[0]).abs().max() > 1e-3
    assert not images.joints.any()
    # The second hand has no keypoints, so that keypoints add nothing to its image; and the other way round.
    torch.testing.assert_close(both.features[1], images.features[1])
    without = image.clone()
    without[2] = torch.nan
    torch.testing.assert_close(encoder(keypoints, without).features[2], points.features[2])


def test_condition_dropout_shows_each_condition_alone_as_often_as_configured():
    encoder, count = fused_encoder(dropout=0.6), 400
    one = random_condition(1)
    keypoints = KeypointCondition(*(value.repeat_interleave(count, 0) for value in one))
    image = torch.randn(1, 8, generator=generator()).expand(count, 8)
    alone = {
        "both": encoder.eval()(one, image[:1]),
        "keypoints": encoder(one),
        "image": encoder(None, image[:1]),
    }
    seen = encoder.train()(keypoints, image, generator(1)).features
    shares = {
        name: (seen - value.features).abs().amax(-1).lt(1e-5).double().mean().item()
        for name, value in alone.items()
    }
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["keypoints"] == pytest.approx(0.3, abs=0.08)
    assert shares["image"] == pytest.approx(0.3, abs=0.08)
    assert torch.equal(seen, encoder(keypoints, image, generator(1)).features)
    torch.testing.assert_close(
        encoder.eval()(keypoints, image, generator(1)).features, alone["both"].features.expand(count, -1)
    )


def test_conditions_that_an_encoder_cannot_use_are_refused():
    plain = ConditionEncoder(ConditionConfig(width=16, blocks=0))
    with pytest.raises(ValueError, match="without image features"):
        plain(random_condition(1), torch.zeros(1, 8))
    for encoder in (plain, fused_encoder()):
        with pytest.raises(ValueError, match="give keypoints"):
            encoder(None)


@pytest.mark.parametrize("parametrisation", ["x0", "epsilon"])
@pytest.mark.parametrize("steps", [1, 4, None])
def test_sampling_is_finite_and_reproducible(parametrisation, steps):
    model = random_network(parametrisation=parametrisation)
    encoded = model.encode(random_condition(2))
    noise = antithetic_noise(5, generator())
    first, second = (sample_joints(model, encoded, noise, steps, generator(3)) for _ in range(2))
    assert first.shape == (2, 5, 21, 3)
    assert first.isfinite().all()
    assert torch.equal(first, second)
    other = sample_joints(model, encoded, antithetic_noise(5, generator(9)), steps, generator(4))
    assert not torch.allclose(first, other)


def test_hands_are_sampled_independently_of_each_other():
    model = random_network()
    noise = antithetic_noise(4, generator())
    condition = random_condition(3)
    together = sample_joints(model, model.encode(condition), noise, 3)
    for index in range(3):
        one = KeypointCondition(*(value[index : index + 1] for value in condition))
        alone = sample_joints(model, model.encode(one), noise, 3)
        torch.testing.assert_close(alone[0], together[index], rtol=0, atol=1e-5)


def test_antithetic_noise_is_normal_and_cancels():
    noise = antithetic_noise(2000, generator())
    assert noise.mean().abs() < 1e-6
    assert noise.std() == pytest.approx(1, abs=0.01)
    assert antithetic_noise(3, generator()).shape == (3, 21, 3)


def test_the_diffusion_runs_on_standardised_joints():
    model = random_network()
    encoded, joints = model.encode(random_condition(4)), torch.randn(4, 2, 21, 3)
    torch.testing.assert_close(encoded.to_joints(encoded.to_samples(joints)), joints)
    model.set_statistics(torch.randn(5000, 21, 3, generator=generator()) * 2 + 1)
    encoded = model.encode(random_condition(1))
    standard = encoded.to_samples(torch.randn(1, 5000, 21, 3, generator=generator(1)) * 2 + 1)
    assert standard.mean().abs() < 0.02
    assert standard.std() == pytest.approx(1, abs=0.02)


def test_a_residual_diffusion_starts_on_standardised_joints_and_moves_with_the_condition():
    model = random_network()
    config = replace(model.config, residual=True)
    torch.manual_seed(0)
    residual = HandDiffusion(config).eval()
    residual.load_state_dict(model.state_dict(), strict=False)
    condition = random_condition(3)
    for one, same in zip(residual.encode(condition), model.encode(condition), strict=True):
        torch.testing.assert_close(one, same)
    residual.regression[1].weight.data.normal_(std=0.1)
    encoded = residual.encode(condition)
    assert not torch.allclose(encoded.mean[0], encoded.mean[1])
    assert (encoded.scale > 0).all()
    fitted = residual.fit(torch.randn(3, 21, 3, generator=generator()), encoded)
    assert_within_limits(fitted)
    fitted.joints.sum().backward()
    assert residual.regression[1].weight.grad is None  # the head has no say in what the regression learns


def test_a_configuration_survives_a_round_trip_and_refuses_nonsense():
    config = HandDiffusionConfig(steps=7, channels=(8, 16), condition=ConditionConfig(image_features=3))
    assert HandDiffusionConfig.from_dict(config.to_dict()) == config
    for values in (
        {"stepz": 3},
        {"schedule": "square"},
        {"parametrisation": "v"},
        {"condition": {"dropout": 2}},
    ):
        with pytest.raises(ValueError, match=r"stepz|schedule|parametrisation|dropout"):
            HandDiffusionConfig.from_dict(values)


class EightHands(DiffusionLifting):
    """The same eight hands in every step."""

    def __init__(self) -> None:
        condition = ConditionConfig(width=64, blocks=1)
        network = HandDiffusionConfig(
            steps=10, channels=(16, 32), head_width=128, head_blocks=1, condition=condition
        )
        super().__init__(LiftingOptions(batch_size=32, validation_hands=8), network)

    def _batch(self, count, generator):
        hands = super()._batch(8, torch.Generator().manual_seed(0))
        index = torch.arange(count) % 8
        return _taken(hands, index)


def _taken(value, index):
    if isinstance(value, torch.Tensor):
        return value[index]
    return type(value)(*(_taken(part, index) for part in value))


def test_a_tiny_network_overfits_eight_hands():
    torch.manual_seed(0)
    task = EightHands()
    batch = task._batch(32, generator())
    task._batch = lambda count, generator: batch if count == 32 else _taken(batch, torch.arange(8))
    before = task.validate(task.model)
    optimiser = torch.optim.Adam(task.model.parameters(), lr=3e-3)
    noise = generator(1)
    for _ in range(120):
        optimiser.zero_grad()
        sum(task.losses(noise).values()).backward()
        optimiser.step()
    after = task.validate(task.model)
    assert after["head_mm"] < min(5.0, 0.15 * before["head_mm"])
    assert after["unet_mm"] < min(5.0, 0.15 * before["unet_mm"])
