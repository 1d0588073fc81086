"""Stated uncertainty against errors of a known size, and the factor that is fitted to them."""

import numpy as np
import pytest
import torch
from helpers.frames import poses
from helpers.image_networks import drawn_hands, small_network

from hand_pose_ros.common.named_tensors import cat
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.evaluation import reliability, report
from hand_pose_ros.evaluation.accuracy.keypoint_sets import generated_hands, observations_of
from hand_pose_ros.evaluation.calibration.command import fit_spread_scale, main
from hand_pose_ros.evaluation.calibration.images import image_errors
from hand_pose_ros.evaluation.methods import estimator_method
from hand_pose_ros.evaluation.reliability import AxisErrors, ShapeErrors
from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.networks.condition import ConditionConfig
from hand_pose_ros.networks.diffusion.network import HandDiffusion, HandDiffusionConfig
from hand_pose_ros.networks.registry import IMAGE_HAND_DIFFUSION, load_network
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.pose import Frame

CONFIG = DiffusionEstimatorConfig(samples=4, steps=2)


def normal_errors(stated: float, count: int = 4000) -> AxisErrors:
    """Errors that are ``1 / stated`` times as large as they are said to be."""
    rng = np.random.default_rng(2)
    sigma = rng.uniform(0.5, 3.0, (count, 20, 3))
    state = rng.integers(0, 3, (count, 20))
    return AxisErrors(rng.normal(size=sigma.shape) * sigma / stated, sigma, state)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    config = HandDiffusionConfig(
        channels=(8, 16), head_width=32, head_blocks=1, condition=ConditionConfig(width=32, blocks=1)
    )
    return HandDiffusion(config).eval()


@pytest.fixture(scope="module")
def observations():
    return observations_of(generated_hands(10, seed=11))


def test_true_sigmas_are_found_to_be_true():
    errors = normal_errors(1.0)
    rows = reliability.coverage(errors)
    assert rows["within 1 sigma"] == pytest.approx(reliability.ONE_SIGMA, abs=0.01)
    assert rows["within 2 sigma, y"] == pytest.approx(reliability.TWO_SIGMA, abs=0.01)
    np.testing.assert_allclose(reliability.reliability_curve(errors), reliability.PROBABILITIES, atol=0.01)


def test_too_small_sigmas_show():
    assert reliability.coverage(normal_errors(0.5))["within 1 sigma"] == pytest.approx(0.383, abs=0.01)
    assert (reliability.reliability_curve(normal_errors(0.5)) < reliability.PROBABILITIES).all()


def test_the_factor_is_what_makes_sigmas_true():
    errors = normal_errors(0.5)
    common = np.full((len(errors.error), 1, 1), 0.8)
    larger = np.hypot(errors.error, common * np.sign(errors.error))
    for error, floor in ((errors.error, 0 * common), (larger, common)):
        shape = ShapeErrors(error, errors.sigma, floor, errors.state)
        scale = fit_spread_scale(shape)
        assert scale == pytest.approx(2.0, rel=0.02)
        rows = reliability.coverage(shape.stated(scale))
        assert rows["within 1 sigma"] == pytest.approx(reliability.ONE_SIGMA, abs=1e-3)
    with pytest.raises(ValueError, match="no joint"):
        fit_spread_scale(ShapeErrors(*(np.full((1, 20, 3), np.nan),) * 3, np.zeros((1, 20))))


def test_shape_errors_are_those_of_the_estimator_at_the_true_size(network, observations):
    errors = reliability.shape_errors(network, observations, CONFIG)
    assert errors.error.shape == errors.spread.shape == (10, 20, 3)
    for index, observation in enumerate(observations):
        frame = Frame(observation.image(), observation.camera)
        (pose,) = poses(DiffusionEstimator(network, config=CONFIG), frame, [observation.detection])
        if not pose.valid:
            continue
        size = np.linalg.norm(observation.joints_m[5] - observation.joints_m[0])
        relative = (pose.joints_m - pose.joints_m[0]) * size / pose.anchor_length_m
        expected = relative - (observation.joints_m - observation.joints_m[0])
        np.testing.assert_allclose(errors.error[index], expected[1:], atol=1e-5)
    assert (errors.spread > 0).all()
    expected = np.hypot(2 * errors.spread, errors.common)
    np.testing.assert_allclose(errors.stated(2.0).sigma, expected)


def test_absolute_errors_come_with_the_published_covariance(network, observations):
    method = estimator_method(DiffusionEstimator(network, config=CONFIG))
    prediction = method(observations)
    errors = reliability.absolute_errors(prediction, observations)
    known = np.isfinite(prediction.joints_m).all((1, 2))
    assert len(errors.error) == known.sum()
    variance = prediction.covariance_m2[known][0, 7, 2, 2]
    assert errors.sigma[0, 7, 2] == pytest.approx(np.sqrt(variance))


def test_joints_are_visible_hidden_or_outside(observations):
    state = reliability.joint_state(observations)
    assert state.shape == (10, 21)
    assert (state[observations[3].outside.nonzero()[0] * 0 + 3][:, observations[3].outside] == 2).all()
    assert (state == 1).sum() == sum(observation.hidden.sum() for observation in observations)


def test_the_command_writes_calibrated_weights(network, tmp_path, capsys):
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    save_weights(before, network, "hand_diffusion", network.config.to_dict())
    options = [
        "--weights",
        str(before),
        "--output",
        str(after),
        "--hands",
        "12",
        "--samples",
        "4",
        "--steps",
        "2",
    ]
    assert main(options) == 0
    scale = load_network(after, "hand_diffusion").spread_scale
    assert scale != 1.0
    assert f"{scale:.3f}" in capsys.readouterr().out


def test_weights_with_an_image_encoder_are_calibrated_on_images(tmp_path, capsys):
    images = drawn_hands(16)
    images.detected[:6, :, :2], images.detected[:6, :, 2] = images.points[:6] + 0.05, images.depth[:6]
    save_shard(tmp_path / "images/one", images, 0, {})
    before, after = tmp_path / "before.safetensors", tmp_path / "after.safetensors"
    network = small_network()
    save_weights(before, network, IMAGE_HAND_DIFFUSION, network.config.to_dict())
    errors = image_errors(network, images, CONFIG, Seed.CALIBRATION)
    assert {name: len(one.error) for name, one in errors.items()} == {
        "image only": 16, "keypoints only": 6, "both": 6
    }  # fmt: skip
    assert not np.allclose(errors["both"].error, errors["keypoints only"].error)
    options = ["--weights", str(before), "--output", str(after), "--samples", "4", "--steps", "2"]
    with pytest.raises(SystemExit):
        main(options)
    assert "give --images" in capsys.readouterr().err
    assert main([*options, "--images", str(tmp_path / "images")]) == 0
    scale = load_network(after, IMAGE_HAND_DIFFUSION).spread_scale
    assert f"spread_scale {scale:.3f}" in capsys.readouterr().out
    both = cat([errors["image only"], errors["both"]])
    assert scale == pytest.approx(fit_spread_scale(both), rel=1e-3)
    assert reliability.coverage(both.stated(scale))["within 1 sigma"] == pytest.approx(0.6827, abs=0.01)


def test_the_plot_is_drawn(tmp_path):
    errors = {"shape": normal_errors(1.0, 50), "absolute": normal_errors(0.7, 50)}
    curves = {name: reliability.reliability_curve(value).tolist() for name, value in errors.items()}
    sigmas = {name: reliability.coverage(value) for name, value in errors.items()}
    report.plot_reliability(curves, sigmas, tmp_path / "plots" / "reliability.png")
    assert (tmp_path / "plots" / "reliability.png").stat().st_size > 10_000


def test_joints_without_a_label_do_not_count():
    errors = normal_errors(1.0)
    some = errors.error.copy()
    some[:, 5:] = np.nan
    rows = reliability.coverage(errors._replace(error=some).known())
    assert rows == pytest.approx(
        reliability.coverage(AxisErrors(some[:, :5], errors.sigma[:, :5], errors.state[:, :5]))
        | {name: value for name, value in rows.items() if name.startswith("sigma")}
    )
    some[7] = np.nan
    assert len(errors._replace(error=some).known().error) == len(some) - 1


def test_the_rank_correlation_tells_whether_sigma_orders_the_errors():
    rng = np.random.default_rng(4)
    size = rng.uniform(0.5, 3.0, (200, 1, 1))
    sigma = np.broadcast_to(size, (200, 20, 3))
    error = rng.normal(size=sigma.shape)
    state = np.zeros((200, 20), int)
    ordered = reliability.coverage(AxisErrors(error * sigma, sigma, state))[reliability.RANK_CORRELATION]
    unordered = reliability.coverage(AxisErrors(error, sigma, state))[reliability.RANK_CORRELATION]
    assert ordered > 0.9
    assert abs(unordered) < 0.2
    table = report.coverage_table({"a": reliability.coverage(AxisErrors(error, sigma, state))})
    assert f"| {unordered:.2f} |" in table
