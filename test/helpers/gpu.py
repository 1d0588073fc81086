"""The GPUs that tests run on: the pretended one everywhere, and a real one where there is one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
import torch

from hand_pose_ros.common.onnx_session import why_no_onnx_cuda
from helpers.pretended_cuda import pretended_cuda

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
needs_onnx_cuda = pytest.mark.skipif(
    not torch.cuda.is_available() or bool(why_no_onnx_cuda()), reason="needs a CUDA GPU and onnxruntime-gpu"
)


@contextlib.contextmanager
def real_cuda() -> Iterator[None]:
    """Compute with all digits, to compare with the CPU."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


GPUS: dict[str, Callable[[], AbstractContextManager]] = {"pretended": pretended_cuda, "real": real_cuda}
ON_GPUS = pytest.mark.parametrize("gpu", ["pretended", pytest.param("real", marks=needs_cuda)])
"""Runs a test on each GPU; its argument ``gpu`` is a key of ``GPUS``."""
