"""DiffHand's recipes train on miniature copies of their sets, with new crops in every step."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.recipes import recipe_on_miniatures

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.networks.mesh_diffusion.config import MeshDiffusionConfig
from hand_pose_ros.networks.registry import MESH_DIFFUSION, load_network
from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.task import create_task
from hand_pose_ros.training.tasks.mesh_diffusion.crop_bank import mesh_targets
from hand_pose_ros.training.tasks.mesh_diffusion.task import MeshOptions
from hand_pose_ros.training.trainer import WEIGHTS, Trainer

RECIPES = {"freihand": 8, "ho3d": 2, "dexycb": 6}
"""Set -> hands of its miniature."""
SMALL = {
    "points": 64,
    "width": 32,
    "heads": 2,
    "levels": 2,
    "steps": 20,
    "encoder": {"kind": "resnet", "size_px": 64},
}


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def small(name, tmp_path):
    recipe, images = recipe_on_miniatures(f"mesh_diffusion_{name}", tmp_path)
    recipe["options"]["network"] |= SMALL
    recipe["options"] |= {"batch_size": 4, "validation": images | {"exact": True}}
    return recipe, recipe["options"]


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipe_trains_on_its_set(name, tmp_path):
    recipe, options = small(name, tmp_path)
    read_dataclass(MeshOptions, options, "options")
    config = read_dataclass(TrainingConfig, recipe | {"steps": 2, "threads": 1, "precision": "fp32"})
    trainer = Trainer(create_task(MESH_DIFFUSION, options, 1), config, tmp_path / "run")
    before = trainer.model.encoder.resnet.conv1.weight.detach().clone()
    assert trainer.run()
    assert trainer.task._fresh.count == RECIPES[name]
    assert not torch.equal(trainer.model.encoder.resnet.conv1.weight, before)
    assert 0 < trainer.figures["pa_mpvpe_mm"] < 200
    assert load_network(tmp_path / "run" / WEIGHTS, MESH_DIFFUSION).network.config.encoder.kind == "resnet"
    assert not list(tmp_path.rglob("*.npz")) or name == "dexycb", "no crop is stored"


def test_every_step_cuts_new_crops_with_labels_of_the_hands(tmp_path):
    _, options = small("ho3d", tmp_path)
    task = create_task(MESH_DIFFUSION, options, 1)
    task.make_data()
    fresh = task._fresh
    first, again, other = (fresh.draw(4, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first.inputs, other.inputs)
    task.prepare(torch.Generator().manual_seed(2))
    for one, two in zip(other, fresh.draw(4, torch.Generator().manual_seed(2)), strict=True):
        np.testing.assert_array_equal(one, two)
    # The posed template projects onto the labels of the crops.
    targets = mesh_targets(first)
    placed = (targets.joints + targets.wrist[:, None]).numpy()
    projected = placed[..., :2] / placed[..., 2:] / first.half_extent[:, None, None]
    assert np.linalg.norm(projected - first.points, axis=-1).mean() < 0.05


def test_the_papers_sizes_are_those_of_the_recipes(tmp_path):
    for name in RECIPES:
        recipe, _ = recipe_on_miniatures(f"mesh_diffusion_{name}", tmp_path / name)
        options = read_dataclass(MeshOptions, recipe["options"], "options")
        assert options.network == MeshDiffusionConfig.from_dict(recipe["options"]["network"])
        assert (options.batch_size, options.steps, options.network.blocks) == (64, 10, 3)
        assert (options.losses.joints, options.losses.normals) == (1.0, 0.05)
