"""A GPU that fails: the CPU goes on with the same frame, once, and says so once."""

from __future__ import annotations

import logging

import pytest
import torch
from helpers.diffusion import CAMERA, detections
from helpers.fake_onnx_cuda import fake_onnx_cuda
from helpers.frames import blank_frame
from helpers.pretended_cuda import pretended_cuda
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from hand_pose_ros import factory
from hand_pose_ros.common.gpu_failure import GpuFailedError
from hand_pose_ros.cpu_fallback import CpuFallback
from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.factory import PipelineConfig, create_pipeline
from hand_pose_ros.pipeline import FrameResult

OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
LOST = RuntimeError("CUDA error: unspecified launch failure")
ONNX = GpuFailedError("onnxruntime on CUDA: CUDA failure 700")


class Pipeline:
    """Does what it is told on a device, and counts."""

    def __init__(self, device, error=None):
        self.device, self.error = device, error
        self.frames, self.resets, self.closed = [], 0, False

    def process(self, frame):
        if self.error is not None:
            raise self.error
        self.frames.append(frame)
        return FrameResult([], [], frame)

    def reset(self):
        self.resets += 1

    def set_hand_size(self, size):
        self.size = size

    def close(self):
        self.closed = True
        if self.error is LOST:
            raise self.error


@pytest.fixture
def made():
    return []


def fallback(made, device="auto", error=None):
    def create(place):
        made.append(Pipeline(place))
        if error is not None and place != "cpu":
            raise error
        return made[-1]

    return CpuFallback(create, device)


FRAME = blank_frame(CAMERA)


@pytest.mark.parametrize("error", [OUT_OF_MEMORY, LOST, ONNX], ids=["memory", "lost", "onnxruntime"])
def test_the_cpu_goes_on_with_the_frame_in_which_the_gpu_failed(made, error, caplog):
    pipeline = fallback(made)
    assert pipeline.process(FRAME).degraded == ""
    made[0].error = error
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            result = pipeline.process(FRAME)
            assert "on the CPU" in result.degraded
            assert str(error).splitlines()[0] in result.degraded
    assert [one.device for one in made] == ["auto", "cpu"]
    assert made[0].closed
    assert len(made[1].frames) == 3
    assert sum("on the CPU" in line.message for line in caplog.records) == 1
    pipeline.reset()
    pipeline.close()
    assert made[1].resets == 1
    assert made[1].closed


def test_other_errors_and_a_second_failure_are_raised(made):
    pipeline = fallback(made)
    made[0].error = RuntimeError("the detector's cable is loose")
    with pytest.raises(RuntimeError, match="cable"):
        pipeline.process(FRAME)
    made[0].error = OUT_OF_MEMORY
    pipeline.process(FRAME)
    made[1].error = OUT_OF_MEMORY
    with pytest.raises(torch.OutOfMemoryError):
        pipeline.process(FRAME)
    assert [one.device for one in made] == ["auto", "cpu"]


def test_a_gpu_that_fails_while_the_models_load(made):
    assert "out of memory" in fallback(made, "auto", OUT_OF_MEMORY).process(FRAME).degraded
    with pytest.raises(torch.OutOfMemoryError):
        fallback(made, "cuda", OUT_OF_MEMORY)


def test_a_device_that_nothing_here_can_use_is_refused_with_every_reason(monkeypatch):
    import onnxruntime

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ValueError, match=r"'cuda'.*PyTorch.*onnxruntime has no CUDA.*'cpu' or 'auto'"):
        create_pipeline(PipelineConfig(device="cuda"))


def test_only_a_pipeline_that_may_use_a_gpu_is_wrapped(monkeypatch):
    monkeypatch.setattr(factory, "_create_pipeline", lambda config: Pipeline(config.device))
    with pretended_cuda():
        wrapped = create_pipeline(PipelineConfig(device="auto"))
        assert isinstance(wrapped, CpuFallback)
        assert isinstance(create_pipeline(PipelineConfig(device="cpu")), Pipeline)
    monkeypatch.setattr(factory, "has_cuda", lambda: False)
    assert isinstance(create_pipeline(PipelineConfig(device="auto")), Pipeline)


def test_graphs_that_fail_on_cuda_are_replaced_and_the_hand_of_the_frame_still_comes(monkeypatch):
    """The whole way: onnxruntime raises, and the pipeline is built again for the CPU."""
    sessions = fake_onnx_cuda(monkeypatch)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(factory, "_create_tracker", lambda config, estimator: OneHand())
    pipeline = create_pipeline(PipelineConfig())
    assert len(sessions) == 5, "encoder, denoiser, head, orientation network, and temporal transformer"
    frame = blank_frame(CAMERA)
    result = pipeline.process(frame)
    assert result.hands[0].valid
    assert not result.degraded
    for session in sessions:
        session.error = Fail("CUDA failure 2: out of memory")
    for _ in range(2):
        result = pipeline.process(frame)
        assert result.hands[0].valid
        assert "out of memory" in result.degraded
    assert len(sessions) == 5


class OneHand:
    """A detector of the same hand in every image."""

    def detect(self, image_bgr):
        return detections(1)

    def reset(self): ...

    def close(self): ...


def test_the_cpu_takes_over_a_measured_hand_size(made):
    pipeline = fallback(made)
    size = HandSize(0.095, 0.002)
    pipeline.set_hand_size(size)
    made[0].error = LOST
    pipeline.process(blank_frame(CAMERA))
    assert [one.size for one in made] == [size, size]
