"""Runs an ONNX graph on tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime
from torch import Tensor


def run_graph(path: Path, inputs: Mapping[str, Tensor]) -> list[np.ndarray]:
    """All outputs of the graph, on one thread of the CPU."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {name: value.detach().numpy() for name, value in inputs.items()})
