"""Graphs on a pretended CUDA: tensors are bound in place, results stay on their device, and failures are told."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from helpers.diffusion import random_condition, random_network
from helpers.fake_onnx_cuda import fake_onnx_cuda
from helpers.gpu import needs_onnx_cuda
from helpers.pretended_cuda import PretendedTensor, pretended_cuda
from helpers.temporal import TINY, noisy_videos
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument

from hand_pose_ros.common.gpu_failure import GpuFailedError, why_gpu_failed
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.common.onnx_session import OnnxGraph, OnnxUnavailableError, open_session
from hand_pose_ros.estimator.diffusion.onnx_denoiser import OnnxDenoiser
from hand_pose_ros.estimator.temporal.network import OnnxTemporal
from hand_pose_ros.networks.diffusion.onnx import export_onnx
from hand_pose_ros.networks.diffusion.sampling import fit_samples, sample_joints
from hand_pose_ros.networks.onnx_graph import export_graph
from hand_pose_ros.networks.temporal.onnx import export_temporal
from hand_pose_ros.networks.temporal.transformer import TemporalTransformer
from hand_pose_ros.synthetic.motion.video_bank import cut_windows


class Sums(torch.nn.Module):
    """(n, 3), (n, 3) -> the sum (n, 3), and its positive entries, whose number is not known before."""

    def forward(self, first, second):
        total = first + second
        return total, total[total > 0]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("graph") / "sums.onnx"
    inputs = {"first": torch.ones(2, 3), "second": torch.ones(2, 3)}
    export_graph(Sums(), inputs, ["total", "positive"], path, {"positive": "found"})
    return path


FIRST, SECOND = np.float32([[1, -2, 3]]), np.float32([[1, 1, 1]])


def test_arrays_and_tensors_give_the_same_on_a_cpu(path):
    graph = OnnxGraph(path)
    assert not graph.on_cuda
    expected = [FIRST + SECOND, np.float32([2, 4])]
    for first in (FIRST, torch.from_numpy(FIRST)):
        for found, array, value in zip(
            graph.run({"first": first, "second": SECOND}),
            graph.run_arrays({"first": first, "second": SECOND}),
            expected,
            strict=True,
        ):
            assert torch.equal(found, torch.from_numpy(value))
            np.testing.assert_array_equal(array, value)


def test_on_cuda_tensors_are_bound_where_they_are(path, monkeypatch):
    sessions = fake_onnx_cuda(monkeypatch)
    with pretended_cuda():
        graph = OnnxGraph(path, "cuda")
        assert graph.on_cuda
        assert graph.device.type == "cuda"
        first = torch.from_numpy(FIRST).to("cuda")
        total, positive = graph.run({"first": first.mT.contiguous().mT, "second": SECOND})
        assert isinstance(total, PretendedTensor)
        assert isinstance(positive, PretendedTensor)
        assert total.tolist() == [[2, -1, 4]]
        assert positive.tolist() == [2, 4]
        arrays = graph.run_arrays({"first": FIRST, "second": SECOND})
    assert sessions[0].bindings[0].bound == [
        ("first", "cuda", (1, 3)),
        ("second", "cuda", (1, 3)),
        ("total", "cuda", (1, 3)),
        ("positive", "cpu", None),  # of a size that only the run tells
    ]
    assert [one.tolist() for one in arrays] == [[[2, -1, 4]], [2, 4]]


def test_cuda_without_a_pytorch_that_has_it_takes_tensors_of_the_cpu(path, monkeypatch):
    sessions = fake_onnx_cuda(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    graph = OnnxGraph(path, "auto")
    assert graph.on_cuda
    total, _ = graph.run({"first": torch.from_numpy(FIRST), "second": SECOND})
    assert total.device.type == "cpu"
    assert total.tolist() == [[2, -1, 4]]
    assert {device for _, device, _ in sessions[0].bindings[0].bound} == {"cpu"}


def test_a_failure_of_the_gpu_is_told_apart_from_wrong_inputs(path, monkeypatch):
    sessions = fake_onnx_cuda(monkeypatch)
    graph = OnnxGraph(path, "cuda")
    sessions[0].error = Fail("CUDA failure 2: out of memory")
    with pytest.raises(GpuFailedError, match="out of memory") as caught:
        graph.run({"first": FIRST, "second": SECOND})
    assert "out of memory" in why_gpu_failed(caught.value)
    sessions[0].error = InvalidArgument("wrong shape")
    with pytest.raises(InvalidArgument) as caught:
        graph.run_arrays({"first": FIRST, "second": SECOND})
    assert not why_gpu_failed(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out of memory"),
        (RuntimeError("CUDA error: unspecified launch failure\nmore"), "unspecified launch failure)"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "EXECUTION_FAILED"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), ""),
        (ValueError("CUDA error"), ""),
    ],
)
def test_errors_of_a_gpu_are_recognised(error, words):
    assert words in why_gpu_failed(error)
    assert bool(why_gpu_failed(error)) == bool(words)


def test_cuda_that_is_not_there_or_does_not_start_is_refused_with_the_reason(path, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(OnnxUnavailableError, match=r"'cuda'.*onnxruntime has no CUDA.*onnxruntime-gpu"):
        open_session(path, "cuda")
    fake_onnx_cuda(monkeypatch)
    real = onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnxruntime, "InferenceSession", lambda path, options, providers: real(path, options, [])
    )
    with pytest.raises(OnnxUnavailableError, match="could not start CUDA"):
        open_session(path, "cuda")
    assert "CUDAExecutionProvider" not in open_session(path, "auto").get_providers()


@needs_onnx_cuda
def test_a_real_gpu_gives_the_denoiser_s_samples_of_the_cpu(tmp_path):
    model = random_network()
    export_onnx(model, tmp_path)
    condition, noise = random_condition(2), torch.randn(4, 21, 3)
    samples = []
    for denoiser in (model, OnnxDenoiser(tmp_path, "cuda")):
        encoded = denoiser.encode(to(condition, denoiser.mean.device))
        x0 = sample_joints(denoiser, encoded, noise.to(denoiser.mean), 3)
        samples.append(fit_samples(denoiser, encoded, x0).joints)
    assert samples[1].is_cuda
    torch.testing.assert_close(samples[1].cpu(), samples[0], rtol=0, atol=2e-3)


@pytest.mark.parametrize("steps", [None, 3])
def test_the_denoiser_samples_on_cuda_without_leaving_it(steps, tmp_path, monkeypatch):
    model = random_network()
    export_onnx(model, tmp_path)
    condition, noise = random_condition(2), torch.randn(4, 21, 3)

    def samples(denoiser, place):
        generator = torch.Generator(place).manual_seed(1)
        encoded = denoiser.encode(to(condition, denoiser.mean.device))
        x0 = sample_joints(denoiser, encoded, noise.to(place), steps, generator)
        return fit_samples(denoiser, encoded, x0)

    expected = samples(model, "cpu")
    sessions = fake_onnx_cuda(monkeypatch)
    with pretended_cuda():
        denoiser = OnnxDenoiser(tmp_path, "cuda")
        assert denoiser.mean.is_cuda
        found = to(samples(denoiser, "cuda"), torch.device("cpu"))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)
    bound = [device for session in sessions for one in session.bindings for _, device, _ in one.bound]
    assert len(bound) > 20
    assert set(bound) == {"cuda"}


def test_the_temporal_transformer_runs_on_cuda(tmp_path, monkeypatch):
    torch.manual_seed(2)
    model = TemporalTransformer(TINY).eval()
    export_temporal(model, tmp_path / "temporal.onnx")
    windows = cut_windows(noisy_videos(2, frames=6), TINY.window)
    with torch.inference_mode():
        expected = model.newest(windows.window, windows.proportions)
    sessions = fake_onnx_cuda(monkeypatch)
    with pretended_cuda():
        network = OnnxTemporal(tmp_path / "temporal.onnx", "cuda")
        assert network.device.type == "cuda"
        found = network.newest(to(windows.window, network.device), windows.proportions.to(network.device))
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.cpu(), other, rtol=1e-3, atol=1e-4)
    assert {device for _, device, _ in sessions[0].bindings[0].bound} == {"cuda"}
