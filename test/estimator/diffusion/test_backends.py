"""Backends: all give the same poses, and a wrong file, folder, device or name is refused."""

from __future__ import annotations

import sys

import numpy as np
import onnxruntime
import pytest
import torch
from helpers.diffusion import CAMERA, detections, random_condition, random_network
from helpers.frames import blank_frame
from helpers.frames import poses as placed

from hand_pose_ros.common.device import BACKENDS
from hand_pose_ros.estimator.diffusion.backends import CompiledDenoiser, load_denoiser
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.diffusion.onnx_denoiser import OnnxDenoiser
from hand_pose_ros.networks.diffusion.baseline import HandRegressor
from hand_pose_ros.networks.diffusion.onnx import export_onnx
from hand_pose_ros.networks.runtime.onnx_cache import cached_export
from hand_pose_ros.networks.weights import save_weights


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """What each backend reads."""
    folder, model = tmp_path_factory.mktemp("weights"), random_network()
    save_weights(folder / "weights.safetensors", model, "hand_diffusion", model.config.to_dict())
    export_onnx(model, folder / "onnx")
    onnx = ("onnxruntime", "auto")
    return {name: folder / ("onnx" if name in onnx else "weights.safetensors") for name in BACKENDS}


@pytest.fixture
def uncompiled(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda module, **options: module)


def test_all_backends_give_the_same_poses(paths, uncompiled):
    config = DiffusionEstimatorConfig(samples=6, steps=3)
    poses = {}
    for backend in BACKENDS:
        denoiser, spread_scale = load_denoiser(paths[backend], backend, "cpu")
        assert spread_scale == pytest.approx(1.25)
        poses[backend] = placed(
            DiffusionEstimator(denoiser, spread_scale, config), blank_frame(CAMERA), detections(2)
        )
    for backend in BACKENDS[1:]:
        for pose, expected in zip(poses[backend], poses["torch"], strict=True):
            assert pose.valid
            for name in ("joints_m", "rotations", "angles_rad", "covariance_m2", "wrist_covariance"):
                np.testing.assert_allclose(
                    getattr(pose, name), getattr(expected, name), rtol=0, atol=2e-4, err_msg=backend
                )


@pytest.mark.slow
@pytest.mark.timeout(2400)  # a C++ compiler's work: a minute on an idle machine
@pytest.mark.skipif(" " in sys.prefix, reason="torch.compile cannot use headers in a folder with a space")
def test_a_compiled_step_gives_the_same_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv(
        "TORCHINDUCTOR_CACHE_DIR", str(tmp_path)
    )  # a process that was killed may have left half a file
    model = random_network()
    compiled = CompiledDenoiser(model)
    for count in (2, 3):
        encoded = model.encode(random_condition(count))
        noisy, t = torch.randn(count, 21, 3), torch.full((count,), 4)
        with torch.inference_mode():
            torch.testing.assert_close(
                compiled.denoise(noisy, t, encoded), model.denoise(noisy, t, encoded), rtol=0, atol=2e-5
            )


@pytest.mark.parametrize("backend", ["torch", "compiled"])
def test_pytorch_wants_a_file(paths, backend, uncompiled, tmp_path):
    with pytest.raises(ValueError, match=r"is a folder.*\.safetensors"):
        load_denoiser(paths["onnxruntime"], backend, "cpu")
    with pytest.raises(ValueError, match="there is no weight file"):
        load_denoiser(tmp_path / "none.safetensors", backend, "cpu")


def test_onnxruntime_exports_a_weight_file_once(paths, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = cached_export(paths["torch"])
    assert first.is_relative_to(tmp_path / "cache")
    written = (first / "model.json").stat().st_mtime_ns
    for backend in ("onnxruntime", "auto"):
        denoiser, _ = load_denoiser(paths["torch"], backend, "cpu")
        assert isinstance(denoiser, OnnxDenoiser)
    assert (first / "model.json").stat().st_mtime_ns == written
    monkeypatch.setenv("XDG_CACHE_HOME", str(paths["torch"]))  # a file: no cache can be made in it
    assert (cached_export(paths["torch"]) / "model.json").is_file()


def test_onnxruntime_refuses_what_is_no_model(tmp_path):
    with pytest.raises(ValueError, match="there is no weight file"):
        load_denoiser(tmp_path / "none", "onnxruntime", "cpu")
    with pytest.raises(ValueError, match="hand_pose export-onnx"):
        load_denoiser(tmp_path, "onnxruntime", "cpu")


def test_weights_of_another_network_are_refused(tmp_path):
    model = HandRegressor()
    save_weights(tmp_path / "weights", model, "hand_regressor", model.config.to_dict())
    with pytest.raises(ValueError, match="'hand_regressor', expected 'hand_diffusion'"):
        load_denoiser(tmp_path / "weights")


def test_unknown_names_are_refused(paths):
    with pytest.raises(ValueError, match="backend must be one of"):
        load_denoiser(paths["torch"], "tensorflow")
    with pytest.raises(ValueError, match="device must be one of"):
        load_denoiser(paths["torch"], "torch", "tpu")


def test_a_gpu_that_is_not_there_is_refused(paths, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    for backend in ("torch", "onnxruntime"):
        with pytest.raises(ValueError, match="CUDA"):
            load_denoiser(paths[backend], backend, "cuda")
        load_denoiser(paths[backend], backend, "auto")
