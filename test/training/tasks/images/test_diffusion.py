"""The tasks on hand images: conditions are dropped as configured, files start each other, and training learns."""

from __future__ import annotations

import pytest
import torch
from helpers.diffusion import random_network
from helpers.image_networks import drawn_hands, small_config, small_network

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.networks.registry import IMAGE_HAND_DIFFUSION as KIND
from hand_pose_ros.networks.weights import load_weights, save_weights
from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.optimisation import generator_ahead, make_optimiser, seeded_generator
from hand_pose_ros.training.task import create_task
from hand_pose_ros.training.tasks.images.baseline import ImageRegressionLifting
from hand_pose_ros.training.tasks.images.diffusion import ImageDiffusionLifting
from hand_pose_ros.training.trainer import Trainer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    save_shard(folder / "one", drawn_hands(24), 0, {})
    return str(folder)


def options(folder, kind="diffusion", **values):
    config = small_config().to_dict()
    network = {"image": config["image"], "diffusion": config["diffusion"]}
    if kind == "regressor":
        condition = {"width": 32, "blocks": 1}
        network = {"image": config["image"], "regressor": {"head_width": 32, "condition": condition}}
    data = {"rendered": [folder], "batch_size": 6, "held_back": 4, "negatives": 2}
    return {"data": data, "network": network, "keypoint_hands": 4, **values}


@pytest.mark.parametrize(
    ("kind", "terms"), [("diffusion", {"diffusion"}), ("regressor", set())], ids=["diffusion", "baseline"]
)
def test_every_term_is_finite_and_reaches_the_encoder(folder, kind, terms):
    task = create_task(f"image_hand_{kind}", options(folder, kind, image_losses={"contrastive": 0.1}), 1)
    losses = task.losses(torch.Generator().manual_seed(0))
    assert losses.keys() == terms | {
        "points",
        "spread",
        "depth",
        "presence",
        "heat",
        "contrastive",
        "camera",
        "canonical",
        "reprojection",
        "angles",
    }
    assert all(term.isfinite() for term in losses.values())
    sum(losses.values()).backward()
    for name, parameter in task.model.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name
    assert task.model.image.resnet.conv1.weight.grad.any()
    figures = task.validate(task.model.eval())
    assert figures.keys() == {f"rendered_{n}" for n in ("epe_px", "image_mm", "keypoints_mm", "both_mm")}
    assert all(value > 0 for value in figures.values())


def test_terms_of_weight_zero_are_left_out(folder):
    off = {"presence": 0.0, "spread": 0.0, "heat": 0.0}
    task = create_task(KIND, options(folder, image_losses=off, losses={"angles": 0.0}), 1)
    losses = task.losses(torch.Generator().manual_seed(0))
    assert not losses.keys() & {"presence", "spread", "heat", "angles", "contrastive"}
    assert not hasattr(task.model.image, "projection")


def test_the_encoder_can_be_trained_alone(folder):
    off = dict.fromkeys(("diffusion", "camera", "canonical", "reprojection", "angles"), 0.0)
    task = create_task(KIND, options(folder, losses=off), 1)
    losses = task.losses(torch.Generator().manual_seed(0))
    assert losses.keys() == {"points", "heat", "spread", "depth", "presence"}
    sum(losses.values()).backward()
    assert all(parameter.grad is None for parameter in task.model.diffusion.parameters())


def test_a_step_does_not_depend_on_whether_it_was_prepared(folder):
    first, second = (create_task(KIND, options(folder), 1) for _ in range(2))
    second.prepare(generator_ahead(7, 3))
    losses = [task.losses(seeded_generator(7, 3)) for task in (first, second)]
    for name, term in losses[0].items():
        assert torch.equal(term, losses[1][name]), name


def test_conditions_are_dropped_as_often_as_configured(folder):
    task = create_task(KIND, options(folder, image_only=0.5, keypoints_only=0.2), 1)
    batch = task._batches.make(0)
    condition = torch.zeros(batch.count, task.model.config.image.condition_size)
    shown = {"image": 0, "keypoints": 0, "both": 0}
    generator = torch.Generator().manual_seed(0)
    for _ in range(200):
        keypoints, image = task._shown(batch, condition, generator)
        has_points, has_image = keypoints.points.isfinite().any(-1).any(-1), image.isfinite().all(-1)
        assert (has_points | has_image).all()
        shown["image"] += int((~has_points).sum())
        shown["keypoints"] += int((~has_image).sum())
    assert shown["image"] / 1200 == pytest.approx(0.5, abs=0.06)
    assert shown["keypoints"] / 1200 == pytest.approx(0.2, abs=0.06)
    with pytest.raises(ValueError, match="add up"):
        create_task(KIND, options(folder, image_only=0.8, keypoints_only=0.3), 1)


def test_warm_starts(folder, tmp_path):
    keypoints = random_network()
    path = tmp_path / "keypoints.safetensors"
    save_weights(path, keypoints, "hand_diffusion", keypoints.config.to_dict())
    network = {"image": small_config().image.to_dict()}
    task = create_task(KIND, options(folder, network=network, warm_start=str(path), warm_rate=0.25), 1)
    assert task.model.diffusion.config.steps == keypoints.config.steps
    assert torch.equal(task.model.diffusion.head.out.weight, keypoints.head.out.weight)
    groups = make_optimiser(
        task.model, TrainingConfig("", steps=1).optimiser, task.learning_rates
    ).param_groups
    rate = {id(p): group["rate"] for group in groups for p in group["params"]}
    assert rate[id(task.model.diffusion.head.out.weight)] == 0.25
    assert rate[id(task.model.diffusion.encoder.image[0].weight)] == 1.0
    assert rate[id(task.model.diffusion.encoder.absent_image)] == 1.0
    assert not task.model.diffusion.encoder.image[-1].weight.any()
    assert rate[id(task.model.image.resnet.conv1.weight)] == 1.0

    both = small_network()
    path = tmp_path / "both.safetensors"
    save_weights(path, both, KIND, both.config.to_dict())
    task = create_task(KIND, options(folder, network={}, warm_start=str(path)), 1)
    assert task.model.config == both.config
    assert torch.equal(task.model.image.present.weight, both.image.present.weight)

    task = create_task("image_hand_regressor", options(folder, "regressor", warm_start=str(path)), 1)
    assert torch.equal(task.model.image.present.weight, both.image.present.weight)

    save_weights(path, keypoints, "something", {})
    with pytest.raises(ValueError, match="'something'"):
        create_task(KIND, options(folder, warm_start=str(path)), 1)
    with pytest.raises(ValueError, match="expected 'image_hand_diffusion' or 'image_hand_regressor'"):
        create_task("image_hand_regressor", options(folder, "regressor", warm_start=str(path)), 1)


def test_unknown_options_are_named(folder):
    with pytest.raises(ValueError, match=r"options\.data\.colour|unknown key: options.data.colour"):
        create_task(KIND, options(folder, data={"rendered": [folder], "colour": 1}), 1)


def test_a_frozen_encoder_stays_as_it_is_while_the_rest_learns(folder, tmp_path):
    given = options(folder, frozen_encoder=True)
    config = read_dataclass(TrainingConfig, {"task": KIND, "steps": 3, "device": "cpu", "options": given})
    trainer = Trainer(create_task(config.task, config.options, config.seed), config, tmp_path)
    before = {name: tensor.clone() for name, tensor in trainer.model.state_dict().items()}
    trainer.run()
    changed = {name for name, tensor in trainer.model.state_dict().items() if not tensor.equal(before[name])}
    assert changed
    assert not [name for name in changed if name.startswith("image.")]
    losses = trainer.task.losses(torch.Generator().manual_seed(0))
    assert losses.keys() == {"diffusion", "camera", "canonical", "reprojection", "angles"}
    off = dict.fromkeys(losses, 0.0)
    with pytest.raises(ValueError, match="nothing to train"):
        create_task(KIND, options(folder, frozen_encoder=True, losses=off), 1)


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(folder, tmp_path):
    values = {
        "task": KIND,
        "steps": 4,
        "device": "cpu",
        "precision": "bf16",
        "options": options(folder, encoder_threads=2),
        "every": {"log_steps": 2, "validation_steps": 4},
    }
    config = read_dataclass(TrainingConfig, values)

    def trainer(name):
        return Trainer(create_task(config.task, config.options, config.seed), config, tmp_path / name)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        trainer("whole").run()
        part = trainer("parts")
        assert not part.run(lambda: part.step == 2)
        rest = trainer("parts")
        rest.resume()
        rest.run()
    finally:
        torch.set_num_threads(threads)
    whole, parts = (
        load_weights(tmp_path / n / "weights.safetensors", KIND).tensors for n in ("whole", "parts")
    )
    assert all(torch.equal(tensor, parts[name]) for name, tensor in whole.items())


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["diffusion", "regressor"])
def test_a_small_network_learns_sixteen_drawn_hands(tmp_path, kind):
    save_shard(tmp_path / "one", drawn_hands(16), 0, {})
    still = {"view": None, "occluders": None, "photometric": None, "fill_share": 0.0}
    data = {
        "rendered": [str(tmp_path)],
        "validation_rendered": [str(tmp_path)],
        "batch_size": 16,
        "held_back": 16,
        "negatives": 4,
        "augmentation": still,
    }
    given = options(str(tmp_path), kind, image_only=0.6) | {"data": data, "keypoint_hands": 0}
    task = create_task(f"image_hand_{kind}", given, 1)
    assert isinstance(task, ImageDiffusionLifting if kind == "diffusion" else ImageRegressionLifting)
    optimiser = torch.optim.Adam(task.model.parameters(), lr=2e-3)
    before = task.validate(task.model.eval())
    task.model.train()
    for step in range(100):
        optimiser.zero_grad()
        sum(task.losses(seeded_generator(0, step)).values()).backward()
        optimiser.step()
    after = task.validate(task.model.eval())
    assert after["rendered_epe_px"] < 0.3 * before["rendered_epe_px"]
    assert after["rendered_image_mm"] < 0.7 * before["rendered_image_mm"]
