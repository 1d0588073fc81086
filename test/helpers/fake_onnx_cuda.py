"""An onnxruntime that claims to run on CUDA: its sessions run on the CPU and record what is bound to them."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import onnxruntime

PROVIDERS = ["CUDAExecutionProvider", "CPUExecutionProvider"]


class FakeBinding:
    """Records bindings; inputs and outputs on CUDA are read and written by their addresses.

    bound: (name, device, shape) of every binding in order; the shape is None where onnxruntime allocates.
    """

    def __init__(self) -> None:
        self.bound: list[tuple[str, str, tuple[int, ...] | None]] = []
        self.inputs: dict[str, np.ndarray] = {}
        self.outputs: dict[str, np.ndarray | None] = {}
        self.results: list[np.ndarray] = []

    def bind_cpu_input(self, name: str, array: np.ndarray) -> None:
        """Bind an array."""
        assert array.flags.c_contiguous
        self.bound.append((name, "cpu", array.shape))
        self.inputs[name] = array

    def bind_input(
        self, name: str, device: str, index: int, kind: type, shape: tuple[int, ...], address: int
    ) -> None:
        """Bind memory of the pretended GPU."""
        assert (device, index) == ("cuda", 0)
        self.bound.append((name, device, shape))
        self.inputs[name] = _memory(kind, shape, address)

    def bind_output(
        self,
        name: str,
        device: str = "cpu",
        index: int = 0,
        kind: Any = None,
        shape: Any = None,
        address: int = 0,
    ) -> None:
        """Bind memory of the pretended GPU, or leave the allocation to onnxruntime."""
        assert index == 0
        self.bound.append((name, device, shape))
        self.outputs[name] = None if shape is None else _memory(kind, shape, address)

    def get_outputs(self) -> list[Any]:
        """Values with a method ``numpy``."""
        return [FakeValue(one) for one in self.results]


class FakeValue:
    """An OrtValue."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def numpy(self) -> np.ndarray:
        """The values."""
        return self._array


class FakeCudaSession:
    """A session that says that it runs on CUDA. bindings: of each run. error: raised by the next runs if set."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.bindings: list[FakeBinding] = []
        self.error: Exception | None = None

    def get_providers(self) -> list[str]:
        """CUDA first."""
        return PROVIDERS

    def get_inputs(self) -> list[Any]:
        """See ``InferenceSession``."""
        return self._session.get_inputs()

    def get_outputs(self) -> list[Any]:
        """See ``InferenceSession``."""
        return self._session.get_outputs()

    def io_binding(self) -> FakeBinding:
        """A binding for one run."""
        self.bindings.append(FakeBinding())
        return self.bindings[-1]

    def run_with_iobinding(self, binding: FakeBinding) -> None:
        """Run on the CPU, and write what is bound on the pretended GPU."""
        if self.error is not None:
            raise self.error
        binding.results = self._session.run(list(binding.outputs), binding.inputs)
        for target, result in zip(binding.outputs.values(), binding.results, strict=True):
            if target is not None:
                assert target.shape == result.shape
                assert target.dtype == result.dtype
                target[...] = result


def fake_onnx_cuda(monkeypatch) -> list[FakeCudaSession]:
    """Let onnxruntime claim to have CUDA; returns the list to which every new session is added."""
    real, sessions = onnxruntime.InferenceSession, []

    def start(path, options, providers):
        session = real(path, options, providers=["CPUExecutionProvider"])
        if providers != PROVIDERS:
            return session
        sessions.append(FakeCudaSession(session))
        return sessions[-1]

    monkeypatch.setattr(onnxruntime, "InferenceSession", start)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: PROVIDERS)
    return sessions


def _memory(kind: type, shape: tuple[int, ...], address: int) -> np.ndarray:
    dtype = np.dtype(kind)
    size = int(np.prod(shape)) * dtype.itemsize
    return np.frombuffer((ctypes.c_byte * size).from_address(address), dtype).reshape(shape)
