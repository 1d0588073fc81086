"""The ONNX export: onnxruntime gives what PyTorch gives, and whatever else is in the folder is refused by name."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from helpers.diffusion import random_condition, random_network

from hand_pose_ros import hand
from hand_pose_ros.estimator.diffusion.onnx_denoiser import OnnxDenoiser
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.networks.diffusion.onnx import GRAPHS, METADATA_FILE, export_onnx, main
from hand_pose_ros.networks.diffusion.unet1d_rows import RowUNet1d
from hand_pose_ros.networks.weights import save_weights


@pytest.fixture(scope="module")
def model():
    return random_network()


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    export_onnx(model, folder)
    return folder


def assert_same(actual, expected, tolerance=2e-5):
    for one, other in zip(actual, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance)


def noisy_joints(count, seed=0):
    return torch.randn(count, hand.NUM_JOINTS, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_rearranged_unet_gives_the_same_numbers(model, count):
    rows = RowUNet1d(model.unet, model.schedule.steps)
    encoded = model.encode(random_condition(count))
    noisy = noisy_joints(count)
    for step in (0, 7, 19):
        expected = model.denoise(noisy, torch.full((count,), step), encoded)
        assert_same((rows(noisy, torch.full((count,), step), encoded.features, encoded.joints),), (expected,))
        assert_same((rows(noisy, torch.tensor([step]), encoded.features, encoded.joints),), (expected,))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_every_graph_gives_what_pytorch_gives_for_any_number_of_hands(model, folder, count):
    exported = OnnxDenoiser(folder, threads=1)
    condition = random_condition(count)
    encoded = model.encode(condition)
    assert_same(exported.encode(condition), encoded)
    noisy = noisy_joints(count)
    for t in (torch.full((count,), 5), torch.arange(count)):
        assert_same((exported.denoise(noisy, t, encoded),), (model.denoise(noisy, t, encoded),))
    assert_same(exported.fit(noisy, encoded), model.fit(noisy, encoded))


def test_a_residual_diffusion_is_exported_with_its_regression(tmp_path):
    model = random_network(residual=True)
    export_onnx(model, tmp_path)
    exported = OnnxDenoiser(tmp_path, threads=1)
    encoded = model.encode(random_condition(4))
    assert not torch.allclose(encoded.mean[0], encoded.mean[1])
    assert_same(exported.encode(random_condition(4)), encoded)
    assert_same(exported.fit(noisy_joints(4), encoded), model.fit(noisy_joints(4), encoded))


def test_hands_from_the_head_graph_are_within_limits_for_extreme_inputs(model, folder):
    exported = OnnxDenoiser(folder, threads=1)
    encoded = model.encode(random_condition(6))
    fitted = exported.fit(noisy_joints(6) * torch.logspace(-3, 6, 6)[:, None, None], encoded)
    assert angle_bounds().contains(fitted.angles, 1e-6).all()
    assert proportion_bounds().contains(fitted.proportions, 1e-6).all()
    identity = torch.eye(3).expand(6, 3, 3)
    torch.testing.assert_close(fitted.rotation @ fitted.rotation.mT, identity, rtol=0, atol=1e-5)


def test_metadata_hold_all_that_sampling_needs(model, folder):
    exported = OnnxDenoiser(folder, threads=1)
    assert torch.equal(exported.schedule.betas, model.schedule.betas)
    assert torch.equal(exported.mean, model.mean)
    assert torch.equal(exported.scale, model.scale)
    assert exported.parametrisation == model.parametrisation
    assert exported.spread_scale == pytest.approx(1.25)
    assert json.loads((folder / METADATA_FILE).read_text())["config"] == json.loads(
        json.dumps(model.config.to_dict())
    )


def test_image_features_alone_keypoints_alone_and_both(tmp_path):
    model = random_network(image_features=8)
    export_onnx(model, tmp_path)
    exported = OnnxDenoiser(tmp_path, threads=1)
    condition, image = random_condition(3), torch.randn(3, 8)
    for given in ((condition, None), (None, image), (condition, image)):
        assert_same(exported.encode(*given), model.encode(*given))
    with pytest.raises(ValueError, match="give keypoints"):
        exported.encode(None)


def test_image_features_are_refused_by_a_network_without(folder):
    with pytest.raises(ValueError, match="without image features"):
        OnnxDenoiser(folder, threads=1).encode(random_condition(1), torch.zeros(1, 8))


def test_the_export_leaves_the_network_as_it_was(tmp_path):
    model = random_network().train()
    export_onnx(model, tmp_path)
    assert model.training
    with pytest.raises(ValueError, match="must be a folder"):
        export_onnx(model, tmp_path / METADATA_FILE)


def damaged(folder, target, name, change):
    shutil.copytree(folder, target)
    content = (target / name).read_bytes()
    (target / name).write_bytes(change(content))
    return target


@pytest.mark.parametrize("name", [f"{name}.onnx" for name in GRAPHS])
def test_a_truncated_or_missing_graph_is_named(folder, tmp_path, name):
    broken = damaged(folder, tmp_path / "copy", name, lambda content: content[: len(content) // 2])
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        OnnxDenoiser(broken)
    (broken / name).unlink()
    with pytest.raises(ValueError, match=f"there is no .*{name}"):
        OnnxDenoiser(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content[:100], "truncated"),
        (lambda content: b"[]", "does not describe"),
        (lambda content: content.replace(b'"hand_diffusion"', b'"mesh"'), "does not describe"),
        (lambda content: content.replace(b'"format_version": ', b'"format_version": 9'), "format version 9"),
        (lambda content: content.replace(b'"betas"', b'"gammas"'), "betas"),
        (lambda content: content.replace(b'"mean": [', b'"mean": ["a",'), "not the description"),
    ],
)
def test_damaged_metadata_are_refused(folder, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        OnnxDenoiser(damaged(folder, tmp_path / "copy", METADATA_FILE, change))


def test_a_folder_without_an_export_is_refused(tmp_path):
    with pytest.raises(ValueError, match="hand_pose export-onnx"):
        OnnxDenoiser(tmp_path)


def test_the_command_writes_the_folder_and_says_what_is_wrong(model, tmp_path, capsys):
    weights = tmp_path / "weights.safetensors"
    save_weights(weights, model, "hand_diffusion", model.config.to_dict())
    assert main(["--weights", str(weights), "--output", str(tmp_path / "out")]) == 0
    assert OnnxDenoiser(tmp_path / "out").parametrisation == "x0"
    with pytest.raises(SystemExit):
        main(["--weights", str(tmp_path / "none"), "--output", str(tmp_path / "out")])
    assert "there is no weight file" in capsys.readouterr().err
