"""The bank stores each crop once, training learns eight images by heart, and sigma follows the errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.image_networks import drawn_hands

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.networks.registry import HAND_ORIENTATION, load_network
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.rotations import rotation_from_vector
from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.task import create_task
from hand_pose_ros.training.tasks.orientation import feature_bank
from hand_pose_ros.training.tasks.orientation.feature_bank import BankOptions, read_bank
from hand_pose_ros.training.tasks.orientation.losses import rotation_error
from hand_pose_ros.training.trainer import WEIGHTS, Trainer


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    save_shard(folder / "one", drawn_hands(8), 0, {})
    return (str(folder),)


def test_a_bank_is_made_once(folders, tmp_path, monkeypatch):
    options = BankOptions(folders, copies=2)
    made = read_bank(tmp_path, options, seed=3)
    assert made.count == 16
    assert set(np.unique(made.sign)) == {-1.0, 1.0}
    monkeypatch.setattr(feature_bank, "open_features", lambda: pytest.fail("the features are stored"))
    for first, second in zip(made, read_bank(tmp_path, options, seed=3), strict=True):
        np.testing.assert_array_equal(first, second)


def test_both_sides_have_the_same_labels(folders, tmp_path):
    right, left = (
        read_bank(tmp_path / name, BankOptions(folders, left_share=share, exact=True), seed=0)
        for name, share in (("right", 0.0), ("left", 1.0))
    )
    np.testing.assert_array_equal(right.rotation, left.rotation)
    np.testing.assert_array_equal(right.depth, left.depth)
    assert np.abs(right.features.astype(float) - left.features).mean() > 0.05


def options_of(folders, bank):
    bank_options = {"folders": list(folders), "exact": True, "left_share": 0.0}
    return {
        "bank": str(bank),
        "rendered": bank_options,
        "validation_rendered": bank_options,
        "batch_size": 8,
        "network": {"dropout": 0.0},
    }


@pytest.mark.slow
def test_eight_images_are_learnt_by_heart(folders, tmp_path):
    config = read_dataclass(
        TrainingConfig,
        {
            "task": HAND_ORIENTATION,
            "options": options_of(folders, tmp_path / "bank") | {"frozen_blocks": True},
            "steps": 800,
            "threads": 1,
            "half_weights": True,
            "optimiser": {"learning_rate": 3e-3, "warm_up_steps": 5, "ema_decay": 0.9, "weight_decay": 0.0},
            "every": {"validation_steps": 1000},
        },
    )
    task = create_task(HAND_ORIENTATION, config.options, 1)
    before = task.validate(task.model.eval())
    trainer = Trainer(task, config, tmp_path / "run")
    assert trainer.run()
    after = trainer.figures
    assert after["rendered_tilt_deg"] < 8 < before["rendered_tilt_deg"]
    assert after["rendered_depth"] < 0.4 * before["rendered_depth"]
    loaded = load_network(tmp_path / "run" / WEIGHTS, HAND_ORIENTATION).network
    stored = task.validate(loaded)
    assert stored["rendered_tilt_deg"] == pytest.approx(after["rendered_tilt_deg"], abs=0.5)


def test_the_second_stage_starts_from_the_first_and_trains_the_blocks(folders, tmp_path):
    options = options_of(folders, tmp_path / "bank")
    first = create_task(HAND_ORIENTATION, options | {"frozen_blocks": True}, 1)
    assert not first.learning_rates
    assert not any(one.requires_grad for one in first.model.blocks.parameters())
    save_weights(tmp_path / "first.safetensors", first.model, HAND_ORIENTATION, first.metadata())
    second = create_task(HAND_ORIENTATION, options | {"warm_start": str(tmp_path / "first.safetensors")}, 2)
    assert set(second.learning_rates) == {"blocks", "expand", "depthwise"}
    for ours, theirs in zip(second.model.parameters(), first.model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    terms = [task.losses(torch.Generator().manual_seed(5)) for task in (first, second)]
    for name, term in terms[0].items():
        torch.testing.assert_close(term, terms[1][name], atol=1e-4, rtol=1e-4)
    sum(terms[1].values()).backward()
    for name, parameter in second.model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_nothing_to_train_on_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one of rendered, photos, two_views"):
        create_task(HAND_ORIENTATION, {"bank": str(tmp_path), "rendered": {"folders": []}}, 1)


@pytest.mark.parametrize("angle", [1e-9, 0.1, 1.5, 2.8, math.pi])
def test_rotation_errors_are_angles_with_finite_gradients(angle):
    axis = torch.nn.functional.normalize(torch.tensor([[1.0, 2.0, -0.5]], dtype=torch.float64))
    truth = rotation_from_vector(torch.tensor([[0.3, -0.2, 0.9]], dtype=torch.float64))
    turned = (rotation_from_vector(angle * axis) @ truth).requires_grad_()
    error = rotation_error(turned, truth)
    if angle < 3:
        torch.testing.assert_close(error, angle * axis, atol=1e-7, rtol=1e-6)
    error.abs().sum().backward()
    assert turned.grad.isfinite().all()


@pytest.mark.parametrize("angle", [0.2, 1.4, 1.8, 2.6, 3.1])
def test_descent_makes_rotation_errors_smaller(angle):
    axis = torch.nn.functional.normalize(torch.tensor([[1.0, 2.0, -0.5]], dtype=torch.float64))
    turn = (angle * axis).requires_grad_()
    rotation_error(rotation_from_vector(turn), torch.eye(3, dtype=torch.float64)[None]).abs().sum().backward()
    assert (turn.grad * axis).sum() > 0.5
