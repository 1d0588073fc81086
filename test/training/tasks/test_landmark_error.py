"""The bank holds the landmark network's real errors, once; the task learns which crops have large ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.image_networks import drawn_hands

from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.networks.landmark_error import LandmarkErrorNetwork
from hand_pose_ros.networks.orientation.features import SHAPE
from hand_pose_ros.networks.registry import LANDMARK_ERROR
from hand_pose_ros.training.task import create_task
from hand_pose_ros.training.tasks import landmark_error
from hand_pose_ros.training.tasks.landmark_error import ErrorBankOptions, make_errors, read_errors
from hand_pose_ros.training.tasks.orientation.crops import cut_crops


class Shifting:
    """A landmark network that finds each landmark ``shift`` of the crop's side right of the truth."""

    input_side_px = 64

    def __init__(self, points, shift, presence=0.9):
        self.answers = iter(points)
        self.shift, self.presence = shift, presence

    def run(self, image):
        assert image.shape == (64, 64, 3)
        assert image.dtype == np.float32
        points = (next(self.answers) + 1) / 2 + (self.shift, 0)
        screen = np.concatenate((64 * points, np.zeros((21, 1))), 1)
        features = np.full((1, *SHAPE[1:], SHAPE[0]), 0.5, np.float32)
        return [screen.ravel(), np.array([self.presence]), np.array([1.0]), np.zeros(63), features[0]]


@pytest.mark.parametrize("left", [0.0, 1.0], ids=["right", "left"])
def test_errors_are_distances_in_half_extents(left):
    hands = drawn_hands(4)
    options = ErrorBankOptions(("unused",), left_share=left, exact=True)
    crops = cut_crops(hands, options.crop.exact(), np.random.default_rng(0), 64)
    points = crops.points * np.array((-1 if left else 1, 1))
    made = make_errors(hands, options, Shifting(points, 0.1), np.random.default_rng(0))
    half_extent = np.ptp(points, axis=1).max(-1) / 2
    np.testing.assert_allclose(made.error, np.repeat(0.2 / half_extent[:, None], 21, 1), rtol=1e-4)
    np.testing.assert_allclose(made.pooled.astype(float), 0.5)
    assert made.count == 4


def test_crops_without_a_hand_are_left_out():
    hands = drawn_hands(2)
    options = ErrorBankOptions(("unused",), left_share=0.0, exact=True)
    made = make_errors(hands, options, Shifting(hands.points, 0.0, presence=0.2), np.random.default_rng(0))
    assert made.pooled.shape == (0, SHAPE[0])
    assert made.error.shape == (0, 21)


@pytest.fixture
def folders(tmp_path):
    save_shard(tmp_path / "images" / "one", drawn_hands(8), 0, {})
    return [str(tmp_path / "images")]


def test_a_bank_is_made_once(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(landmark_error, "open_features", lambda: Shifting(list(drawn_hands(8).points), 0.1))
    options = ErrorBankOptions(tuple(folders), left_share=0.0)
    made = read_errors(tmp_path / "bank", options, seed=1)
    monkeypatch.setattr(landmark_error, "open_features", lambda: pytest.fail("the errors are stored"))
    for first, second in zip(made, read_errors(tmp_path / "bank", options, seed=1), strict=True):
        np.testing.assert_array_equal(first, second)


def test_it_learns_which_crops_have_large_errors(folders, tmp_path, monkeypatch):
    generator = np.random.default_rng(0)
    pooled = generator.standard_normal((256, SHAPE[0])).astype(np.float16)
    error = np.exp(-2 + pooled[:, :1].astype(np.float32)) * generator.exponential(size=(256, 21))
    bank = landmark_error.LandmarkErrors(pooled, error.astype(np.float32))
    monkeypatch.setattr(landmark_error, "read_errors", lambda *_: bank)
    options = {"bank": str(tmp_path), "rendered": {"folders": folders}, "validation": {"folders": folders}}
    task = create_task(LANDMARK_ERROR, options | {"batch_size": 128}, 1)
    assert isinstance(task.model, LandmarkErrorNetwork)
    optimiser, draw = torch.optim.AdamW(task.model.parameters(), lr=3e-3), torch.Generator().manual_seed(0)
    for _ in range(200):
        loss = sum(task.losses(draw).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    figures = task.validate(task.model.eval())
    assert figures["hand_rank"] > 0.9
    assert figures["ratio"] == pytest.approx(1, abs=0.2)
    assert task.metadata() == {"width": 64, "dropout": 0.1}


def test_bad_options_are_refused(folders, tmp_path):
    with pytest.raises(ValueError, match="batch_size"):
        create_task(
            LANDMARK_ERROR, {"bank": str(tmp_path), "rendered": {"folders": folders}, "batch_size": 0}, 1
        )
