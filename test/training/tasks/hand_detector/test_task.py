"""The task learns a few scenes by heart, freezes what it is told to, and repeats by its seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.scene_layers import write_blob_layers

from hand_pose_ros.hand_images.scenes.compose import Scene, SceneHands
from hand_pose_ros.networks.registry import HAND_DETECTOR
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.training.config import read_config
from hand_pose_ros.training.task import create_task
from hand_pose_ros.training.tasks.hand_detector.task import DetectorOptions, DetectorTraining
from hand_pose_ros.training.tasks.hand_detector.validation import DetectorValidation

SIZE = 64


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    return write_blob_layers(tmp_path_factory.mktemp("detector") / "layers")


def options(layers, **values):
    network = {"image_size": SIZE, "width": 16}
    chosen = {
        "network": network,
        "landmark_start": False,
        "batch_size": 4,
        "validation_scenes": 3,
        "backgrounds": 3,
    }
    return {"layers": layers, **chosen, **values}


def test_scenes_are_learned_by_heart(layers):
    torch.manual_seed(0)
    task = DetectorTraining.from_options(options(layers))
    task.model.train()
    optimiser = torch.optim.AdamW(task.model.parameters(), 4e-3)
    first = {}
    for step in range(40):
        # The same generator gives the same scenes.
        terms = task.losses(torch.Generator().manual_seed(step % 2))
        first = first or {name: float(term) for name, term in terms.items()}
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
    last = {name: float(term) for name, term in terms.items()}
    assert first.keys() == last.keys() == {"heat", "size", "points"}
    assert last["heat"] < 0.5 * first["heat"]
    assert last["size"] < 0.6 * first["size"]


def test_the_same_seed_gives_the_same_losses_also_ahead(layers):
    values = []
    for ahead in (False, True):
        task = create_task(HAND_DETECTOR, options(layers), seed=1)
        assert isinstance(task, DetectorTraining)
        if ahead:
            task.prepare(torch.Generator().manual_seed(4))
        terms = task.losses(torch.Generator().manual_seed(4))
        values.append([float(term) for term in terms.values()])
    assert values[0] == values[1]


def test_frozen_blocks_keep_their_weights(layers):
    task = DetectorTraining.from_options(options(layers, frozen_blocks=3))
    trained = {name for name, one in task.model.named_parameters() if one.requires_grad}
    assert not any(name.startswith(("encoder.stem", "encoder.blocks.2.")) for name in trained)
    assert any(name.startswith("encoder.blocks.3.") for name in trained)
    assert task.learning_rates == {"encoder.": 0.3}
    everything = DetectorTraining.from_options(options(layers))
    assert all(one.requires_grad for one in everything.model.parameters())
    nothing = DetectorTraining.from_options(options(layers, frozen_blocks=7))
    assert nothing.learning_rates == {}


def test_a_warm_start_continues(layers, tmp_path):
    first = DetectorTraining.from_options(options(layers))
    path = tmp_path / "weights.safetensors"
    save_weights(path, first.model, HAND_DETECTOR, first.metadata())
    torch.manual_seed(9)
    second = DetectorTraining.from_options(options(layers, warm_start=str(path)))
    for one, other in zip(first.model.parameters(), second.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_validation_counts_found_and_false_hands(layers):
    task = DetectorTraining.from_options(options(layers))
    figures = task.validate(task.model.eval())
    assert set(figures) == {"f1", "threshold", "recall", "false_per_image", "side", "points"}
    empty = Scene(
        np.zeros((SIZE, SIZE, 3), np.uint8), SceneHands(np.zeros((0, 21, 2)), np.zeros(0, bool), np.zeros(0))
    )
    with torch.no_grad():
        task.model.heat.bias.fill_(20.0)  # a hand everywhere
    assert DetectorValidation([empty])(task.model)["false_per_image"] >= 1


@pytest.mark.parametrize(
    "bad",
    [{"layers": ""}, {"batch_size": 0}, {"encoder_rate": 0}, {"frozen_blocks": -2}, {"scenes": {"photo": 2}}],
)
def test_impossible_options_are_refused(bad):
    with pytest.raises(ValueError, match=r"must|given"):
        DetectorTraining.from_options({"layers": "x", **bad})


def test_the_shipped_configuration_is_read():
    config = read_config("config/training/hand_detector.yaml", [])
    assert config.task == HAND_DETECTOR
    assert DetectorOptions(layers="x").batch_size == config.options["batch_size"]
