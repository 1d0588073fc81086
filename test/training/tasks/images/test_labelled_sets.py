"""The image tasks train on converted public sets, labelled in 3D or in 2D only."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.image_networks import small_config
from helpers.miniature_sets import WRITERS
from helpers.recipes import recipe_on_miniatures

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.datasets.registry import SETS
from hand_pose_ros.hand_images.labelled.command import main
from hand_pose_ros.hand_images.labelled.write import FIRST_SOURCE
from hand_pose_ros.training.task import create_task
from hand_pose_ros.training.tasks.images.batches import ImageDataOptions, ImageSource

RECIPES = ("rhd", "stb", "interhand26m")


def convert(tmp_path, name):
    WRITERS[name](tmp_path / name)
    shards = tmp_path / "shards" / name
    assert main(["convert", name, str(tmp_path / name), "--in-2d", "--output", str(shards)]) == 0
    return str(shards)


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_of_a_paper_trains_on_its_set(tmp_path, name):
    recipe, data = recipe_on_miniatures(f"diffusion_fk_{name}", tmp_path)
    data |= {"batch_size": 4, "negatives": 1, "held_back": 1}
    config = small_config().to_dict()
    network = {"image": config["image"], "diffusion": config["diffusion"]}
    task = create_task(recipe["task"], recipe["options"] | {"network": network, "keypoint_hands": 2}, 1)
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


def test_sets_are_named_in_the_training_file(tmp_path):
    """Three sets by name, with weights; one of them by its 2D labels only."""
    for name in ("samples", "hand_labels", "rhd"):
        WRITERS[name](tmp_path / name)

    def entry(name, weight, **values):
        return {"set": name, "path": str(tmp_path / name), "shards": str(tmp_path / "shards" / name)} | {
            "weight": weight, **values
        }  # fmt: skip

    sets = [entry("samples", 3.0), entry("hand_labels", 1.0, labels="any"), entry("rhd", 2.0, labels="2d")]
    data = read_dataclass(ImageDataOptions, {"sets": sets, "batch_size": 4, "held_back": 1})
    source = ImageSource(data)
    drawn = source.draw(3000, np.random.default_rng(0)).source - FIRST_SOURCE
    numbers = [list(SETS).index(name) for name in ("samples", "hand_labels", "rhd")]
    shares = [float((drawn == number).mean()) for number in numbers]
    assert shares == pytest.approx([3 / 6, 1 / 6, 2 / 6], abs=0.03)
    table, rows, _ = source.sets["real"]
    hands = table.rows(rows)
    in_2d = np.isnan(hands.depth).all(1)
    assert (in_2d == (hands.source != FIRST_SOURCE + numbers[0])).all()
    for change, message in (
        ({"weight": None}, "must all have a weight, or none"),
        ({"set": "imagenet"}, r"sets\[1\]\.set must be one of rhd, stb"),
        ({"labels": "4d"}, r"sets\[1\]\.labels must be one of 3d, any, 2d"),
        ({"path": ""}, r"sets\[1\]\.path must name a folder"),
        ({"weight": 0.0}, r"sets\[1\]\.weight must be positive"),
        ({"folder": "x"}, r"unknown key: sets\[1\]\.folder"),
    ):
        wrong = [sets[0], sets[1] | change, sets[2]]
        with pytest.raises(ValueError, match=message):
            read_dataclass(ImageDataOptions, {"sets": wrong})
