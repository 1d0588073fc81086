"""The image tasks train on converted public sets, labelled in 3D or in 2D only."""

from __future__ import annotations

import pytest
import torch
from helpers.image_networks import small_config
from helpers.miniature_sets import WRITERS

from hand_pose_ros.hand_images.labelled.command import main
from hand_pose_ros.training.config_files import read_yaml
from hand_pose_ros.training.task import create_task

RECIPES = ("rhd", "stb", "interhand26m")


def convert(tmp_path, name):
    WRITERS[name](tmp_path / name)
    shards = tmp_path / "shards" / name
    assert main(["convert", name, str(tmp_path / name), "--in-2d", "--output", str(shards)]) == 0
    return str(shards)


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_of_a_paper_trains_on_its_set(tmp_path, repository, name):
    recipe = read_yaml(repository / "config" / "training" / "papers" / f"diffusion_fk_{name}.yaml")
    values = recipe["options"]
    data = values["data"] | {
        "real": [convert(tmp_path, name)],
        "batch_size": 4,
        "negatives": 1,
        "held_back": 1,
    }
    config = small_config().to_dict()
    network = {"image": config["image"], "diffusion": config["diffusion"]}
    task = create_task(recipe["task"], values | {"data": data, "network": network, "keypoint_hands": 2}, 1)
    losses = task.losses(torch.Generator().manual_seed(0))
    assert {"diffusion", "camera", "canonical", "reprojection", "contrastive"} <= losses.keys()
    sum(losses.values()).backward()
    assert all(term.isfinite() for term in losses.values())
    gradients = [parameter.grad for parameter in task.model.parameters() if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_sets_in_3d_and_in_2d_are_mixed(tmp_path):
    folders = [convert(tmp_path, name) for name in ("samples", "hand_labels")]
    config = small_config().to_dict()
    data = {"real": folders, "real_weights": [1.0, 1.0], "batch_size": 8, "negatives": 0, "held_back": 1}
    options = {"data": data, "network": {"image": config["image"], "diffusion": config["diffusion"]}}
    task = create_task("image_hand_diffusion", options | {"keypoint_hands": 2}, 1)
    losses = task.losses(torch.Generator().manual_seed(1))
    sum(losses.values()).backward()
    assert all(term.isfinite() for term in losses.values())
    for name, parameter in task.model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
