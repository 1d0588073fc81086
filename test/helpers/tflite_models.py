"""Small TFLite files, written with the schema's own builders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import flatbuffers
import numpy as np
import tflite


@dataclass
class Tensor:
    """A tensor of a file: its shape, and its content if it is constant."""

    shape: Sequence[int]
    content: np.ndarray | None = None
    kind: int = tflite.TensorType.FLOAT32

    @classmethod
    def constant(cls, content: np.ndarray) -> Tensor:
        kinds = {
            np.dtype(np.float32): tflite.TensorType.FLOAT32,
            np.dtype(np.float16): tflite.TensorType.FLOAT16,
            np.dtype(np.int32): tflite.TensorType.INT32,
            np.dtype(np.int8): tflite.TensorType.INT8,
        }
        return cls(content.shape, content, kinds[content.dtype])


@dataclass
class Operator:
    """An operator: its name in the schema, indices of tensors, class of its options and their values."""

    kind: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options_class: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def tflite_file(
    tensors: Sequence[Tensor], operators: Sequence[Operator], inputs: Sequence[int], outputs: Sequence[int]
) -> bytes:
    """The content of a TFLite file with one graph."""
    builder = flatbuffers.Builder()
    buffers = [_buffer(builder, None)]
    written = []
    for index, tensor in enumerate(tensors):
        number = 0
        if tensor.content is not None:
            number = len(buffers)
            buffers.append(_buffer(builder, tensor.content))
        name, shape = builder.CreateString(f"tensor_{index:02d}"), _integers(builder, tensor.shape)
        tflite.TensorStart(builder)
        tflite.TensorAddShape(builder, shape)
        tflite.TensorAddType(builder, tensor.kind)
        tflite.TensorAddBuffer(builder, number)
        tflite.TensorAddName(builder, name)
        written.append(tflite.TensorEnd(builder))
    kinds = sorted({one.kind for one in operators})
    codes = [_code(builder, kind) for kind in kinds]
    steps = [_operator(builder, one, kinds.index(one.kind)) for one in operators]
    parts = {
        "Tensors": _offsets(builder, written),
        "Inputs": _integers(builder, inputs),
        "Outputs": _integers(builder, outputs),
        "Operators": _offsets(builder, steps),
    }
    tflite.SubGraphStart(builder)
    for name, part in parts.items():
        getattr(tflite, f"SubGraphAdd{name}")(builder, part)
    graphs = _offsets(builder, [tflite.SubGraphEnd(builder)])
    code_list, buffer_list = _offsets(builder, codes), _offsets(builder, buffers)
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddOperatorCodes(builder, code_list)
    tflite.ModelAddSubgraphs(builder, graphs)
    tflite.ModelAddBuffers(builder, buffer_list)
    builder.Finish(tflite.ModelEnd(builder), b"TFL3")
    return bytes(builder.Output())


def _buffer(builder: Any, content: np.ndarray | None) -> int:
    data = None if content is None else builder.CreateByteVector(np.ascontiguousarray(content).tobytes())
    tflite.BufferStart(builder)
    if data is not None:
        tflite.BufferAddData(builder, data)
    return tflite.BufferEnd(builder)


def _code(builder: Any, kind: str) -> int:
    number = getattr(tflite.BuiltinOperator, kind)
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, number)
    tflite.OperatorCodeAddBuiltinCode(builder, number)
    tflite.OperatorCodeAddVersion(builder, 1)
    return tflite.OperatorCodeEnd(builder)


def _operator(builder: Any, operator: Operator, code: int) -> int:
    inputs, outputs = _integers(builder, operator.inputs), _integers(builder, operator.outputs)
    options = None
    if operator.options_class:
        getattr(tflite, f"{operator.options_class}Start")(builder)
        for name, value in operator.options.items():
            getattr(tflite, f"{operator.options_class}Add{name}")(builder, value)
        options = getattr(tflite, f"{operator.options_class}End")(builder)
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, code)
    tflite.OperatorAddInputs(builder, inputs)
    tflite.OperatorAddOutputs(builder, outputs)
    if options is not None:
        tflite.OperatorAddBuiltinOptionsType(builder, getattr(tflite.BuiltinOptions, operator.options_class))
        tflite.OperatorAddBuiltinOptions(builder, options)
    return tflite.OperatorEnd(builder)


def _integers(builder: Any, values: Sequence[int]) -> int:
    return builder.CreateNumpyVector(np.asarray(values, np.int32))


def _offsets(builder: Any, values: Sequence[int]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependUOffsetTRelative(value)
    return builder.EndVector()
