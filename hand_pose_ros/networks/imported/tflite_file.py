"""The module reads the graph of a TFLite file: its operations, their options, and its constant tensors.

It reads float networks with one input, such as MediaPipe's; weights may be stored as float16. The format is
described by TensorFlow Lite's schema, which the library ``tflite`` reads.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

_MOST_OPERATIONS: Final = 10_000
_MOST_TENSORS: Final = 100_000
_NUMPY_TYPES: Final = {"FLOAT32": np.float32, "FLOAT16": np.float16, "INT32": np.int32}
READ_ERRORS: Final = (
    struct.error,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    AttributeError,
)


@dataclass(frozen=True)
class Operation:
    """One operation of the graph.

    kind: its name in the schema, such as 'CONV_2D'. inputs, outputs: indices of tensors; -1 for an absent one.
    options: the values of its options by the schema's names; enumerations by their names ('SAME', 'RELU6').
    """

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class TfliteGraph:
    """The graph of a file, in the order in which its operations run.

    input: index of the input. outputs: indices of the outputs, in the order of their names.
    shapes: shape of each tensor as stored, (n, height, width, channels) for images.
    constants: values of the constant tensors by index; float16 is read as float32.
    """

    input: int
    outputs: tuple[int, ...]
    operations: tuple[Operation, ...]
    shapes: tuple[tuple[int, ...], ...]
    constants: Mapping[int, np.ndarray]


def read_tflite(content: bytes) -> TfliteGraph:
    """Read the graph in the content of a TFLite file.

    Raises:
        ValueError: not a TFLite file, a damaged one, or one with several inputs, with sparse or quantised tensors.
        ImportError: the library ``tflite`` is not installed.
    """
    import tflite

    if len(content) < 8 or not tflite.Model.ModelBufferHasIdentifier(content, 0):
        raise ValueError("not a TFLite file: its identifier TFL3 is missing")
    try:
        model: Any = tflite.Model.GetRootAs(content, 0)
        graph = model.Subgraphs(0)
        if graph is None or not 0 < graph.OperatorsLength() <= _MOST_OPERATIONS:
            raise ValueError("it has no operations, or too many")
        if graph.TensorsLength() > _MOST_TENSORS or graph.InputsLength() != 1:
            raise ValueError("it has several inputs, or too many tensors")
        tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
        shapes = tuple(tuple(map(int, _vector(one.ShapeAsNumpy()))) for one in tensors)
        constants = _constants(model, tensors, shapes)
        codes = [_kind(model.OperatorCodes(index)) for index in range(model.OperatorCodesLength())]
        read = [_operation(graph.Operators(index), codes) for index in range(graph.OperatorsLength())]
        outputs = sorted(_vector(graph.OutputsAsNumpy()), key=lambda index: tensors[index].Name())
        result = TfliteGraph(
            input=int(graph.InputsAsNumpy()[0]),
            outputs=tuple(map(int, outputs)),
            operations=tuple(one for one in read if one.kind != "DEQUANTIZE"),
            shapes=shapes,
            constants=constants | _dequantised(read, constants),
        )
        _check_order(result)
    except READ_ERRORS as error:
        raise ValueError(f"the TFLite file cannot be read: {error}") from error
    return result


def _vector(values: Any) -> list[int]:
    return [] if isinstance(values, int) else values.tolist()  # the library returns 0 for an absent vector


def _kind(code: Any) -> str:
    import tflite

    return _enum_name(tflite.BuiltinOperator, max(code.BuiltinCode(), code.DeprecatedBuiltinCode()))


def _enum_name(enumeration: Any, value: int) -> str:
    for name, number in vars(enumeration).items():
        if number == value and not name.startswith("_"):
            return name
    raise ValueError(f"{enumeration.__name__} has no value {value}")


def _constants(model: Any, tensors: list[Any], shapes: tuple[tuple[int, ...], ...]) -> dict[int, np.ndarray]:
    import tflite

    constants = {}
    for index, (tensor, shape) in enumerate(zip(tensors, shapes, strict=True)):
        data = model.Buffers(tensor.Buffer()).DataAsNumpy()
        if isinstance(data, int) or not len(data):
            continue
        if tensor.Sparsity() is not None:
            raise ValueError("sparse tensors are not supported")
        kind = _enum_name(tflite.TensorType, tensor.Type())
        if kind not in _NUMPY_TYPES:
            raise ValueError(f"tensors of type {kind} are not supported")
        values = np.frombuffer(data.tobytes(), _NUMPY_TYPES[kind]).reshape(shape)
        constants[index] = values.astype(np.float32) if kind == "FLOAT16" else values
    return constants


def _operation(operator: Any, codes: list[str]) -> Operation:
    kind = codes[operator.OpcodeIndex()]
    return Operation(
        kind,
        tuple(_vector(operator.InputsAsNumpy())),
        tuple(_vector(operator.OutputsAsNumpy())),
        _options(operator),
    )


_CONVOLUTION: Final = (
    "Padding",
    "StrideH",
    "StrideW",
    "DilationHFactor",
    "DilationWFactor",
    "FusedActivationFunction",
)
_OPTIONS: Final[dict[str, tuple[str, ...]]] = {
    "AddOptions": ("FusedActivationFunction",),
    "ConcatenationOptions": ("Axis", "FusedActivationFunction"),
    "Conv2DOptions": _CONVOLUTION,
    "DepthwiseConv2DOptions": _CONVOLUTION,
    "FullyConnectedOptions": ("FusedActivationFunction",),
    "Pool2DOptions": (
        "Padding",
        "StrideH",
        "StrideW",
        "FilterHeight",
        "FilterWidth",
        "FusedActivationFunction",
    ),
    "ReducerOptions": ("KeepDims",),
    "ResizeBilinearOptions": ("AlignCorners", "HalfPixelCenters"),
}
"""Class of the schema -> the options that are read; other classes have none that matters here."""
_OPTION_ENUMS: Final = {"Padding": "Padding", "FusedActivationFunction": "ActivationFunctionType"}


def _options(operator: Any) -> dict[str, Any]:
    """Read the options of an operator with the class that the schema names for it."""
    import tflite

    table = operator.BuiltinOptions()
    if table is None:
        return {}
    name = _enum_name(tflite.BuiltinOptions, operator.BuiltinOptionsType())
    if name not in _OPTIONS:
        return {}
    reader = getattr(tflite, name)()
    reader.Init(table.Bytes, table.Pos)
    values = {option: getattr(reader, option)() for option in _OPTIONS[name]}
    for option, enumeration in _OPTION_ENUMS.items():
        if option in values:
            values[option] = _enum_name(getattr(tflite, enumeration), values[option])
    return values


def _dequantised(operations: list[Operation], constants: Mapping[int, np.ndarray]) -> dict[int, np.ndarray]:
    """Return the outputs of the operations that widen constant float16 tensors."""
    widened = {}
    for one in operations:
        if one.kind == "DEQUANTIZE":
            (source,), (target,) = one.inputs, one.outputs
            if source not in constants:
                raise ValueError("quantised activations are not supported")
            widened[target] = constants[source]
    return widened


def _check_order(graph: TfliteGraph) -> None:
    """Check that every operation reads only what was computed before it."""
    known = {graph.input, -1, *graph.constants}
    for one in graph.operations:
        if not known.issuperset(one.inputs):
            raise ValueError(f"an input of {one.kind} is not computed before it")
        known.update(one.outputs)
    if not known.issuperset(graph.outputs):
        raise ValueError("an output is not computed")
