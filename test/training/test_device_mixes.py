"""Every training task on a GPU, pretended or real: steps, validation and saving mix no devices."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
import torch
from helpers.diffusion import random_network
from helpers.gpu import GPUS, ON_GPUS
from helpers.image_networks import drawn_hands, small_config
from helpers.scene_layers import write_blob_layers

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.networks.orientation.features import SHAPE
from hand_pose_ros.networks.registry import HAND_DIFFUSION, load_network
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.task import TASKS, create_task
from hand_pose_ros.training.tasks import landmark_error
from hand_pose_ros.training.trainer import WEIGHTS, Trainer

SMALL_CONDITION = {"width": 32, "blocks": 1}
SMALL_MESH = {"points": 64, "width": 16, "heads": 2, "blocks": 1, "levels": 1, "steps": 10}
SMALL_DIFFUSION = {"channels": [16, 24], "head_width": 32, "head_blocks": 1, "condition": SMALL_CONDITION}


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """Options of each task, as small as it gets; of the tasks on images with every loss."""
    folder = tmp_path_factory.mktemp("data")
    save_shard(folder / "images" / "one", drawn_hands(16), 0, {})
    diffusion = random_network()
    save_weights(folder / "diffusion", diffusion, HAND_DIFFUSION, diffusion.config.to_dict())
    image = small_config().to_dict()["image"]
    of_images = {
        "data": {"rendered": [str(folder / "images")], "batch_size": 4, "held_back": 4, "negatives": 2},
        "keypoint_hands": 4,
        "image_losses": {"contrastive": 0.1},
    }
    crops = {"folders": [str(folder / "images")], "exact": True, "left_share": 0.0}
    regressor = {"head_width": 32, "condition": SMALL_CONDITION}
    keypoints = {"batch_size": 8, "validation_hands": 8}
    return {
        "hand_diffusion": {**keypoints, "network": SMALL_DIFFUSION},
        "hand_regressor": {**keypoints, "network": regressor},
        "image_hand_diffusion": {**of_images, "network": {"image": image, "diffusion": SMALL_DIFFUSION}},
        "image_hand_regressor": {**of_images, "network": {"image": image, "regressor": regressor}},
        "hand_orientation": {
            "bank": str(folder / "features"),
            "rendered": crops,
            "validation_rendered": crops,
            "batch_size": 8,
            "network": {"dropout": 0.0},
        },
        "hand_heatmap": {
            "data": {"rendered": [str(folder / "images")], "batch_size": 4, "held_back": 4},
            "network": {"image_size": 32, "width": 8},
        },
        "hand_detector": {
            "layers": write_blob_layers(folder / "layers"),
            "network": {"image_size": 64, "width": 16},
            "landmark_start": False,
            "batch_size": 4,
            "validation_scenes": 3,
            "backgrounds": 3,
        },
        "landmark_error": {
            "bank": str(folder / "errors"),
            "rendered": crops,
            "validation": crops,
            "batch_size": 8,
        },
        "mesh_diffusion": {
            "bank": str(folder / "mesh_features"),
            "rendered": crops,
            "validation": crops,
            "batch_size": 4,
            "network": {**SMALL_MESH, "conditions": ["depth", "keypoints"]},
        },
        "temporal": {
            "diffusion": str(folder / "diffusion"),
            "bank": str(folder / "bank"),
            "videos": 3,
            "frames": 8,
            "samples": 2,
            "sample_steps": 1,
            "batch_size": 4,
            "validation_videos": 2,
            "network": {"window": 4, "width": 48, "layers": 1, "heads": 2, "hidden": 32},
        },
    }


@pytest.fixture(autouse=True)
def drawn_errors(monkeypatch):
    """Errors of landmarks as if the landmark network had found drawn hands, which it does not."""
    generator = np.random.default_rng(0)
    pooled = generator.standard_normal((16, SHAPE[0])).astype(np.float16)
    errors = landmark_error.LandmarkErrors(pooled, generator.exponential(size=(16, 21)).astype(np.float32))
    monkeypatch.setattr(landmark_error, "read_errors", lambda *_: errors)


def train(task, name, given, device, output):
    """One step, with validation."""
    values = {"task": name, "options": given, "steps": 1, "precision": "fp32", "device": device}
    config = read_dataclass(TrainingConfig, values)
    trainer = Trainer(task, config, output)
    assert trainer.run()
    return trainer


@ON_GPUS
@pytest.mark.parametrize("name", TASKS)
def test_a_run_on_a_gpu_mixes_no_devices(name, gpu, options, tmp_path):
    expected = train(create_task(name, options[name], 1), name, options[name], "cpu", tmp_path / "cpu")
    task = create_task(name, options[name], 1)
    with GPUS[gpu]():
        trainer = train(task, name, options[name], "cuda", tmp_path / "gpu")
        assert trainer.device.type == "cuda"
        assert all(one.is_cuda for one in trainer.model.parameters())
        assert all(math.isfinite(value) for value in trainer.figures.values())
    assert trainer.figures.keys() == expected.figures.keys()
    for found, other in zip(*(rows(tmp_path / place) for place in ("gpu", "cpu")), strict=True):
        assert found == pytest.approx(other, rel=1e-2)
    for name_, tensor in load_network(tmp_path / "gpu" / WEIGHTS).network.state_dict().items():
        torch.testing.assert_close(
            tensor, expected.averaged.model.state_dict()[name_], rtol=1e-2, atol=1e-4, msg=name_
        )


def rows(folder):
    with (folder / "validation.csv").open() as file:
        return [
            {name: float(value) for name, value in row.items() if name != "seconds"}
            for row in csv.DictReader(file)
        ]
