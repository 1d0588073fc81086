"""Eight meshes are learnt by heart, from features or crops; conditions are added to trained weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.image_networks import drawn_hands
from helpers.mano_files import write_npz

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.networks.mesh_diffusion.config import MeshDiffusionConfig
from hand_pose_ros.networks.orientation.network import OrientationNetwork
from hand_pose_ros.networks.registry import HAND_ORIENTATION, MESH_DIFFUSION, load_network
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.task import create_task
from hand_pose_ros.training.tasks.mesh_diffusion import crop_bank
from hand_pose_ros.training.tasks.mesh_diffusion import task as task_module
from hand_pose_ros.training.tasks.mesh_diffusion.crop_bank import mesh_targets, read_mesh_bank
from hand_pose_ros.training.tasks.orientation.feature_bank import BankOptions
from hand_pose_ros.training.trainer import WEIGHTS, Trainer

SMALL = {
    "points": 64,
    "width": 32,
    "heads": 2,
    "blocks": 2,
    "levels": 2,
    "steps": 20,
    "condition_size_px": 24,
}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Operations this small wait for a second thread longer than they take."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    save_shard(folder / "one", drawn_hands(8), 0, {})
    return folder


def options_of(folder, bank, **network):
    images = {"folders": [str(folder)], "exact": True, "left_share": 0.0}
    return {
        "bank": str(bank),
        "rendered": images,
        "validation": images,
        "batch_size": 8,
        "network": {**SMALL, **network},
    }


def train(options, steps, output, rate=3e-3):
    values = {
        "task": MESH_DIFFUSION,
        "options": options,
        "steps": steps,
        "threads": 1,
        "device": "cpu",
        "optimiser": {"learning_rate": rate, "warm_up_steps": 5, "ema_decay": 0.9, "weight_decay": 0.0},
        "every": {"validation_steps": 10_000},
    }
    task = create_task(MESH_DIFFUSION, options, 1)
    trainer = Trainer(task, read_dataclass(TrainingConfig, values), output)
    assert trainer.run()
    return trainer


@pytest.mark.slow
def test_eight_meshes_are_learnt_by_heart(folder, tmp_path):
    options = options_of(folder, tmp_path / "bank")
    trainer = train(options, 600, tmp_path / "run")
    figures = trainer.figures
    assert figures["mpvpe_mm"] < 8
    assert figures["pa_mpvpe_mm"] < 5
    assert figures["auc_vertices"] > 0.8
    loaded = load_network(tmp_path / "run" / WEIGHTS, MESH_DIFFUSION).network
    assert trainer.task.validate(loaded) == pytest.approx(figures, rel=1e-3)
    # An extra condition is added to the weights: nothing changes at first, and it trains.
    depth = options_of(folder, tmp_path / "depth_bank", conditions=["depth"])
    depth |= {"warm_start": str(tmp_path / "run" / WEIGHTS), "frozen_base": True}
    task = create_task(MESH_DIFFUSION, depth, 1)
    assert task.validate(task.model.eval()) == pytest.approx(figures, rel=1e-3)
    base = {name: one.clone() for name, one in loaded.state_dict().items()}
    tuned = train(depth, 3, tmp_path / "depth").task.model
    for name, one in base.items():
        assert torch.equal(tuned.state_dict()[name], one), name
    assert tuned.conditions["depth"].last.weight.any()


def test_direct_regression_trains_too(folder, tmp_path):
    options = options_of(folder, tmp_path / "bank", diffusion=False, decoder="self_attention")
    untrained = train(options, 1, tmp_path / "untrained").figures
    trained = train(options, 40, tmp_path / "run").figures
    assert trained["mpvpe_mm"] < 0.8 * untrained["mpvpe_mm"]


def test_a_bank_is_made_once_and_its_meshes_lie_on_the_labels(folder, tmp_path, monkeypatch):
    options, config = BankOptions((str(folder),), copies=2), MeshDiffusionConfig(conditions=("depth",))
    made = read_mesh_bank(tmp_path, options, config, seed=3)
    assert made.count == 16
    assert set(np.unique(made.sign)) == {-1.0, 1.0}
    monkeypatch.setattr(crop_bank, "open_features", lambda: pytest.fail("the features are stored"))
    for first, second in zip(made, read_mesh_bank(tmp_path, options, config, seed=3), strict=True):
        np.testing.assert_array_equal(first, second)
    targets = mesh_targets(made)
    placed = targets.joints + targets.wrist[:, None]
    projected = placed[..., :2] / placed[..., 2:] / targets.half_extent[:, None, None]
    np.testing.assert_allclose(projected.numpy(), made.points, atol=1e-3)
    # The depth image shows the hand where its joints are, at about their depth.
    size = config.condition_size_px
    columns, rows = ((made.points + 1) * (size / 2)).astype(int).clip(0, size - 1).transpose(2, 0, 1)
    seen = made.depth[np.arange(16)[:, None], rows, columns].astype(float)
    assert np.isfinite(seen).mean() > 0.95
    behind = targets.joints[..., 2].numpy() - seen
    assert -0.1 < np.nanmedian(behind) < 0.3
    with pytest.raises(ValueError, match="take another bank"):
        read_mesh_bank(tmp_path, options, MeshDiffusionConfig(encoder=RESNET), seed=3)


RESNET = MeshDiffusionConfig().encoder.from_dict({"kind": "resnet", "size_px": 64})


def test_a_resnet_trains_on_crops(folder, tmp_path):
    options = options_of(folder, tmp_path / "bank", encoder=RESNET.to_dict())
    task = create_task(MESH_DIFFUSION, options, 1)
    sum(task.losses(torch.Generator().manual_seed(1)).values()).backward()
    assert task.model.encoder.resnet.conv1.weight.grad.abs().max() > 0
    with np.load(tmp_path / "bank" / "rendered" / "00-000000.npz") as stored:
        assert stored["inputs"].shape == (8, 64, 64, 3)
        assert (stored["sign"] == 1).all()


def test_frozen_blocks_run_once_for_each_crop(folder, tmp_path):
    orientation = OrientationNetwork()
    path = tmp_path / "orientation.safetensors"
    save_weights(path, orientation, HAND_ORIENTATION, orientation.config.to_dict())
    options = options_of(folder, tmp_path / "bank", encoder={"kind": "landmark_blocks"})
    options |= {"blocks_start": str(path), "rates": {"encoder.landmark": 0.1}}
    moving, frozen = (
        create_task(MESH_DIFFUSION, {**options, "frozen_blocks": one, **rates}, 1)
        for one, rates in ((False, {}), (True, {"rates": {}}))
    )
    assert moving.learning_rates == {"encoder.landmark": 0.1}
    first = [task.losses(torch.Generator().manual_seed(1)) for task in (moving, frozen)]
    for name, term in first[0].items():
        assert float(first[1][name]) == pytest.approx(float(term), rel=2e-3), name  # the maps have 16 bits
    for task, terms in zip((moving, frozen), first, strict=True):
        sum(terms.values()).backward()
        grad = task.model.encoder.landmark.expand.weight.grad
        assert grad is None if task is frozen else grad.abs().max() > 0
        assert torch.equal(task.model.encoder.landmark.expand.weight, orientation.expand.weight)
    patched = pytest.MonkeyPatch()
    with patched.context() as patch:
        patch.setattr(frozen.model.encoder, "blocks", lambda _: pytest.fail("their outputs are stored"))
        frozen.losses(torch.Generator().manual_seed(2))


def test_a_frozen_base_keeps_its_running_statistics(folder, tmp_path):
    options = options_of(folder, tmp_path / "bank", encoder=RESNET.to_dict(), conditions=["keypoints"])
    task = create_task(MESH_DIFFUSION, {**options, "frozen_base": True}, 1)
    before = {name: one.clone() for name, one in task.model.train().encoder.state_dict().items()}
    for share in (0.0, 1.0):  # without and with the condition
        object.__setattr__(task.options, "condition_share", share)
        sum(task.losses(torch.Generator().manual_seed(1)).values()).backward()
    for name, one in task.model.encoder.state_dict().items():
        assert torch.equal(one, before[name]), name
    assert task.model.conditions["keypoints"].last.weight.grad.any()


def test_losses_are_a_function_of_the_generator(folder, tmp_path):
    task = create_task(MESH_DIFFUSION, options_of(folder, tmp_path / "bank", conditions=["silhouette"]), 1)
    first, second, other = (task.losses(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_validation_averages_views(folder, tmp_path):
    images = {"folders": [str(folder)], "left_share": 0.0}
    one, several = (
        options_of(folder, tmp_path / "bank") | {"validation": images, "views": views} for views in (1, 3)
    )
    figures = []
    for options in (one, several):
        task = create_task(MESH_DIFFUSION, options, 1)
        # A network that tells each crop's true mesh has no error in any number of views.
        bank = read_mesh_bank(
            tmp_path / "bank" / "validation",
            BankOptions((str(folder),), copies=options["views"], left_share=0.0),
            task.options.network,
            Seed.IMAGE_VALIDATION,
        )
        truth = mesh_targets(bank).vertices
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(task_module, "sample_meshes", lambda *_, rows=truth: rows[:, None])
            figures.append(task.validate(task.model.eval()))
        assert bank.count == 8 * options["views"]
        assert figures[-1]["mpvpe_mm"] < 1e-3
    assert np.load(tmp_path / "bank" / "validation" / "02-000000.npz")["sign"].shape == (8,)


def test_a_network_of_the_users_mano(folder, tmp_path):
    options = options_of(folder, tmp_path / "bank", mesh="mano", diffusion=False)
    options["mano_file"] = str(write_npz(tmp_path / "MANO_RIGHT.npz"))
    untrained = train(options, 1, tmp_path / "untrained").figures
    trainer = train(options, 30, tmp_path / "run")
    assert trainer.figures["mpvpe_mm"] < 0.9 * untrained["mpvpe_mm"]
    assert len(trainer.task.model.filling) == 778
    with pytest.raises(ValueError, match="draws the mesh of the template 'mano'"):
        load_network(tmp_path / "run" / WEIGHTS, MESH_DIFFUSION)
    for changes in ({"mano_file": ""}, {"network": dict(SMALL)}):
        with pytest.raises(ValueError, match="belong together"):
            create_task(MESH_DIFFUSION, options | changes, 1)


def test_bad_options_and_hands_are_refused(folder, tmp_path):
    options = options_of(folder, tmp_path / "bank")
    for changes, reason in (
        ({"rendered": {"folders": []}}, "rendered must name folders"),
        ({"steps": 50}, "within those of the network"),
        ({"frozen_base": True}, "nothing to train"),
        ({"losses": {"normals": -1.0}}, "must not be negative"),
        ({"losses": {"triangles": -1}}, "nor the triangles"),
        ({"condition_share": 2.0}, "condition_share"),
        ({"frozen_blocks": True}, "need the encoder 'landmark_blocks'"),
    ):
        with pytest.raises(ValueError, match=reason):
            create_task(MESH_DIFFUSION, {**options, **changes}, 1)
    unknown = drawn_hands(2)
    unknown.angles[:] = np.nan
    save_shard(tmp_path / "unknown" / "one", unknown, 0, {})
    with pytest.raises(ValueError, match="no hand with known angles"):
        create_task(MESH_DIFFUSION, options_of(tmp_path / "unknown", tmp_path / "none"), 1).losses(
            torch.Generator().manual_seed(Seed.ARBITRARY)
        )
    task = create_task(MESH_DIFFUSION, options, 1)
    save_weights(tmp_path / "other.safetensors", task.model, MESH_DIFFUSION, task.metadata())
    larger = options_of(folder, tmp_path / "bank", width=64) | {
        "warm_start": str(tmp_path / "other.safetensors")
    }
    with pytest.raises(ValueError, match="do not fit the network 'mesh_diffusion'"):
        create_task(MESH_DIFFUSION, larger, 1)
