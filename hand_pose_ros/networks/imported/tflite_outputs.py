"""Makes a tensor inside a TFLite file's network one of its outputs, without another copy of the network."""

from __future__ import annotations

import struct
from typing import Any, Final

from hand_pose_ros.networks.imported.tflite_file import READ_ERRORS

_OUTPUTS_FIELD: Final = 8  # of the subgraph's table in TensorFlow Lite's schema


def with_output(content: bytes, tensor: int) -> bytes:
    """Return the content of a TFLite file whose network also gives ``tensor``, as its last output.

    The list of outputs is written anew at the end of the file, and the graph is pointed to it; all else stays.

    Args:
        tensor: index of the tensor in the file.

    Raises:
        ValueError: not a TFLite file, or it has no such tensor, or the order of the outputs' names would not put
            it last. ImportError: the library ``tflite`` is not installed.
    """
    import tflite

    if len(content) < 8 or not tflite.Model.ModelBufferHasIdentifier(content, 0):
        raise ValueError("not a TFLite file: its identifier TFL3 is missing")
    try:
        graph: Any = tflite.Model.GetRootAs(content, 0).Subgraphs(0)
        outputs = [int(index) for index in graph.OutputsAsNumpy()]
        if tensor in outputs or not 0 <= tensor < graph.TensorsLength():
            raise ValueError(f"tensor {tensor} is an output already, or does not exist")
        names = [graph.Tensors(index).Name() for index in outputs]
        if not max(names) < graph.Tensors(tensor).Name():
            raise ValueError(f"tensor {tensor} would not be the last output by name")
        at = graph._tab.Pos + graph._tab.Offset(_OUTPUTS_FIELD)
    except READ_ERRORS as error:
        raise ValueError(f"the TFLite file cannot get another output: {error}") from error
    changed = bytearray(content) + bytes(-len(content) % 4)
    struct.pack_into("<I", changed, at, len(changed) - at)
    return bytes(changed + struct.pack(f"<I{len(outputs) + 1}i", len(outputs) + 1, *outputs, tensor))
