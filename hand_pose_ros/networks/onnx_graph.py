"""The module exports one network as one ONNX graph."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn

from hand_pose_ros.files.atomic_file import atomic_path

_OPSET: Final = 17


@torch.no_grad()
def export_graph(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    first_axis: Mapping[str, str] | None = None,
) -> None:
    """Trace ``module`` with the named example ``inputs`` and write the graph to ``path``.

    The first axis of every tensor is dynamic; it is called 'count', or as ``first_axis`` says.
    """
    names = dict.fromkeys((*inputs, *outputs), "count") | dict(first_axis or {})
    logger, level = logging.getLogger("torch.onnx"), logging.getLogger("torch.onnx").level
    with atomic_path(path) as unfinished, warnings.catch_warnings():
        # The tracer is the only exporter without further packages. It warns at every shape check and of itself.
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                str(unfinished),
                dynamo=False,
                opset_version=_OPSET,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes={name: {0: axis} for name, axis in names.items()},
            )
        finally:
            logger.setLevel(level)
        _state_sizes(unfinished, module(*inputs.values()))


def _state_sizes(path: Path, examples: Tensor | Sequence[Tensor]) -> None:
    """Write the sizes of the outputs' axes into the graph, of which the tracer misses some.

    Memory for outputs of known size is allocated where it is needed, such as on a GPU.
    """
    import onnx  # only where something is exported: it takes a while

    model = onnx.load(str(path))
    outputs = (examples,) if isinstance(examples, Tensor) else examples
    for output, example in zip(model.graph.output, outputs, strict=True):
        axes = output.type.tensor_type.shape.dim
        for axis, size in zip(axes[1:], example.shape[1:], strict=True):
            axis.dim_value = size
    onnx.save(model, str(path))
