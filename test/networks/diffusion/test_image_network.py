"""Keypoints, image, or both as conditions of one network, and its start from the network of keypoints alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.diffusion import random_condition, random_network
from helpers.image_networks import small_config, small_network

from hand_pose_ros.networks.condition import (
    ConditionConfig,
    KeypointCondition,
    joint_features,
    joints_of_image,
    log_field,
)
from hand_pose_ros.networks.diffusion.image_network import (
    HandImageDiffusion,
    HandImageDiffusionConfig,
    warm_start,
)
from hand_pose_ros.networks.diffusion.network import HandDiffusion, HandDiffusionConfig
from hand_pose_ros.networks.registry import IMAGE_HAND_DIFFUSION, load_network
from hand_pose_ros.networks.weights import load_weights, restore, save_weights

SHIPPED = Path(__file__).parents[3] / "models/hand_diffusion.safetensors"


def random_image(model, count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, 64, 64, generator=generator)
    return model.encode_images(images, torch.full((count,), 0.3))


def test_keypoints_the_image_and_both_are_different_conditions():
    model = small_network()
    keypoints, (_, image) = random_condition(3), random_image(model, 3)
    both, points, images = (
        model.diffusion.encode(*given) for given in ((keypoints, image), (keypoints, None), (None, image))
    )
    for one, other in ((both, points), (both, images), (points, images)):
        assert (one.features[0] - other.features[0]).abs().max() > 1e-3
    # The second hand has no keypoints.
    torch.testing.assert_close(both.features[1], images.features[1])
    without = image.clone()
    without[2] = torch.nan
    absent = model.diffusion.encode(keypoints, without)
    torch.testing.assert_close(absent.features[2], points.features[2])
    torch.testing.assert_close(absent.joints[2], points.joints[2])
    nothing = model.diffusion.encode(
        KeypointCondition(*(value[1:2] for value in keypoints)), torch.full_like(image[:1], torch.nan)
    )
    assert nothing.features.isfinite().all()


def test_without_keypoints_the_image_s_joints_stand_in_for_them():
    model = small_network()
    seen, image = random_image(model, 2)
    extent = torch.full((2,), 0.3)
    joints = model.diffusion.encode(None, image).joints
    assert joints.shape == (2, 21, model.config.diffusion.condition.joint_features)
    as_detected = KeypointCondition(
        seen.points,
        seen.depth,
        torch.exp(-4 * seen.sigma),
        torch.ones(2, 21, dtype=torch.bool),
        extent,
    )
    torch.testing.assert_close(joints[..., :9], joint_features(as_detected))
    torch.testing.assert_close(joints[..., 9:11], seen.points)
    assert (joints[..., -1] == 1).all()
    direct = torch.cat((seen.points, seen.depth[..., None], seen.sigma.log()[..., None]), dim=-1)
    torch.testing.assert_close(joints[..., :9], joints_of_image(direct, log_field(extent)))


def test_old_configurations_and_weights_know_no_image():
    config = HandDiffusionConfig.from_dict({"condition": {"width": 32, "blocks": 1, "image_features": 0}})
    assert config.condition == ConditionConfig(32, 1)
    assert config.condition.joint_features == 9
    loaded = load_weights(SHIPPED, "hand_diffusion")
    restore(HandDiffusion(HandDiffusionConfig.from_dict(loaded.config)), loaded)
    with pytest.raises(ValueError, match="image_features must be 85 or more"):
        ConditionConfig(image_features=84, image_joints=True)


def test_a_warm_start_changes_nothing_until_it_is_trained():
    loaded = load_weights(SHIPPED, "hand_diffusion")
    old = HandDiffusion(HandDiffusionConfig.from_dict(loaded.config)).eval()
    restore(old, loaded)
    config = HandImageDiffusionConfig(small_config().image, HandDiffusionConfig.from_dict(loaded.config))
    model = HandImageDiffusion(config).eval()
    new = warm_start(model.diffusion, loaded)
    assert {name.split(".")[1] for name in new} == {"image", "fuse", "absent_keypoints", "absent_image"}
    norm = model.diffusion.encoder.image[-1]
    torch.nn.init.zeros_(norm.weight)
    keypoints = random_condition(3)
    image = random_image(model, 3)[1]
    noisy, t = torch.randn(3, 21, 3), torch.tensor([3, 20, 49])
    expected = old.encode(keypoints)
    # The second hand has no keypoints, so that the image stands in for them.
    rows = [0, 2]
    for given in ((keypoints, None), (keypoints, image)):
        encoded = model.diffusion.encode(*given)
        torch.testing.assert_close(encoded.features[rows], expected.features[rows], rtol=0, atol=1e-6)
        torch.testing.assert_close(
            model.diffusion.denoise(noisy, t, encoded)[rows],
            old.denoise(noisy, t, expected)[rows],
            rtol=0,
            atol=1e-5,
        )
        torch.testing.assert_close(
            model.diffusion.fit(noisy, encoded).joints[rows],
            old.fit(noisy, expected).joints[rows],
            rtol=0,
            atol=1e-5,
        )


def test_a_warm_start_refuses_what_does_not_fit(tmp_path):
    small = random_network()
    save_weights(tmp_path / "small.safetensors", small, "hand_diffusion", small.config.to_dict())
    model = small_network()
    with pytest.raises(ValueError, match="does not fit"):
        warm_start(model.diffusion, load_weights(tmp_path / "small.safetensors"))


def test_both_networks_are_one_file(tmp_path):
    model = small_network()
    path = tmp_path / "image.safetensors"
    save_weights(path, model, IMAGE_HAND_DIFFUSION, model.config.to_dict())
    again = load_network(path, IMAGE_HAND_DIFFUSION).network
    images = torch.randn(2, 3, 64, 64)
    extent = torch.full((2,), 0.2)
    assert torch.equal(again.encode_images(images, extent)[1], model.encode_images(images, extent)[1])
    with pytest.raises(ValueError, match="expected 'hand_diffusion'"):
        load_weights(path, "hand_diffusion")


def test_a_configuration_survives_a_round_trip_and_refuses_nonsense():
    config = small_config(projection=8)
    assert HandImageDiffusionConfig.from_dict(config.to_dict()) == config
    assert config.diffusion.condition.image_features == 32 + 1 + 84
    assert replace(config).diffusion.condition.image_joints
    for values in ({"resnet": {}}, {"image": {"depth": 19}}, {"diffusion": {"stepz": 1}}):
        with pytest.raises(ValueError, match=r"resnet|depth|stepz"):
            HandImageDiffusionConfig.from_dict(values)
