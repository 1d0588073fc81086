"""Each operation that the importer builds, against LiteRT on a network of one operation; others are refused."""

from __future__ import annotations

import numpy as np
import pytest
import tflite
import torch
from helpers.tflite_models import Operator, Tensor, tflite_file

from hand_pose_ros.networks.imported.network import import_network

_SAME, _VALID = tflite.Padding.SAME, tflite.Padding.VALID
_RELU6 = tflite.ActivationFunctionType.RELU6


def values(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def convolution(kind, size, kernel, stride, padding, dilation=1, channels=3, activation=0):
    """A file with one convolution of an image (1, size, size + 1, 3)."""
    depthwise = kind == "DEPTHWISE_CONV_2D"
    outputs = 3 if depthwise else channels
    weights = values(1, kernel, kernel, 3) if depthwise else values(channels, kernel, kernel, 3)
    covered = dilation * (kernel - 1) + 1
    sides = [-(-s // stride) if padding == _SAME else (s - covered) // stride + 1 for s in (size, size + 1)]
    options = {
        "Padding": padding,
        "StrideH": stride,
        "StrideW": stride,
        "FusedActivationFunction": activation,
    }
    options |= {"DilationHFactor": dilation, "DilationWFactor": dilation}
    options |= {"DepthMultiplier": 1} if depthwise else {}
    tensors = [
        Tensor((1, size, size + 1, 3)),
        Tensor.constant(weights),
        Tensor.constant(values(outputs, seed=1)),
        Tensor((1, *sides, outputs)),
    ]
    name = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
    return tflite_file(tensors, [Operator(kind, (0, 1, 2), (3,), name, options)], (0,), (3,))


def one_operation(kind, output, constants=(), options_class="", options=None, shape=(1, 6, 5, 3), repeat=1):
    """A file with one operation on an image, ``repeat`` times as its input, and on constants."""
    tensors = [Tensor(shape), *map(Tensor.constant, constants), Tensor(output)]
    inputs = (*([0] * repeat), *range(1, len(constants) + 1))
    operator = Operator(kind, inputs, (len(tensors) - 1,), options_class, options or {})
    return tflite_file(tensors, [operator], (0,), (len(tensors) - 1,))


def run_litert(content: bytes, image: np.ndarray) -> np.ndarray:
    interpreter_module = pytest.importorskip("ai_edge_litert.interpreter")
    interpreter = interpreter_module.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def run_imported(content: bytes, image: np.ndarray) -> np.ndarray:
    (output,) = import_network(content)(torch.from_numpy(image).permute(0, 3, 1, 2))
    output = output.detach()
    return (output.permute(0, 2, 3, 1) if output.dim() == 4 else output).numpy()


def assert_agrees(content: bytes, shape: tuple[int, ...]) -> None:
    image = values(*shape, seed=2)
    found, expected = run_imported(content, image), run_litert(content, image)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["CONV_2D", "DEPTHWISE_CONV_2D"])
@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"), [(3, 1, 1), (3, 2, 1), (5, 2, 1), (2, 2, 1), (3, 1, 2)]
)
@pytest.mark.parametrize("padding", [_SAME, _VALID])
def test_convolutions(kind, size, kernel, stride, dilation, padding):
    content = convolution(kind, size, kernel, stride, padding, dilation, channels=4)
    assert_agrees(content, (1, size, size + 1, 3))


def test_a_fused_activation():
    content = convolution("CONV_2D", 8, 3, 1, _SAME, activation=_RELU6)
    assert_agrees(content, (1, 8, 9, 3))


_NO_ACTIVATION = {"FusedActivationFunction": 0}
_SLOPES = np.array((((0.1, 0.3, -0.2),),), np.float32)
_PADS = np.array(((0, 0), (0, 1), (2, 0), (0, 4)), np.int32)


@pytest.mark.parametrize(
    "content",
    [
        one_operation("ADD", (1, 6, 5, 3), (), "AddOptions", _NO_ACTIVATION, repeat=2),
        one_operation("PRELU", (1, 6, 5, 3), (_SLOPES,)),
        one_operation("LOGISTIC", (1, 6, 5, 3)),
        one_operation("PAD", (1, 7, 7, 7), (_PADS,), "PadOptions"),
        one_operation("MEAN", (1, 3), (np.array((1, 2), np.int32),), "ReducerOptions", {"KeepDims": False}),
        one_operation("RESHAPE", (1, 45, 2), (np.array((1, 45, 2), np.int32),), "ReshapeOptions"),
        one_operation(
            "CONCATENATION", (1, 6, 5, 6), (), "ConcatenationOptions", {"Axis": 3, **_NO_ACTIVATION}, repeat=2
        ),
        one_operation(
            "MAX_POOL_2D",
            (1, 3, 2, 3),
            (),
            "Pool2DOptions",
            {"Padding": _VALID, "StrideH": 2, "StrideW": 2, "FilterHeight": 2, "FilterWidth": 2},
        ),
        *(
            one_operation(
                "RESIZE_BILINEAR",
                (1, 12, 10, 3),
                (np.array((12, 10), np.int32),),
                "ResizeBilinearOptions",
                rule,
            )
            for rule in ({"HalfPixelCenters": True}, {"AlignCorners": True})
        ),
    ],
    ids=["add", "prelu", "logistic", "pad", "mean", "reshape", "concatenation", "pool", "half", "corners"],
)
def test_other_operations(content):
    assert_agrees(content, (1, 6, 5, 3))


def test_a_dense_layer_after_a_mean():
    tensors = [
        Tensor((1, 6, 5, 3)),
        Tensor.constant(np.array((1, 2), np.int32)),
        Tensor((1, 3)),
        Tensor.constant(values(4, 3).astype(np.float16)),
        Tensor((4, 3)),
        Tensor.constant(values(4, seed=1)),
        Tensor((1, 4)),
    ]
    operators = [
        Operator("MEAN", (0, 1), (2,), "ReducerOptions", {"KeepDims": False}),
        Operator("DEQUANTIZE", (3,), (4,), "DequantizeOptions"),
        Operator("FULLY_CONNECTED", (2, 4, 5), (6,), "FullyConnectedOptions"),
    ]
    assert_agrees(tflite_file(tensors, operators, (0,), (6,)), (1, 6, 5, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (one_operation("TANH", (1, 6, 5, 3)), "the operation TANH is not supported"),
        (convolution("CONV_2D", 8, 3, 1, _SAME, activation=4), "the activation TANH is not supported"),
        (one_operation("MEAN", (1, 5, 3), (np.array((1,), np.int32),)), "MEAN is supported over"),
        (
            one_operation(
                "RESIZE_BILINEAR", (1, 12, 10, 3), (np.array((12, 10), np.int32),), "ResizeBilinearOptions"
            ),
            "RESIZE_BILINEAR is supported with",
        ),
        (one_operation("LOGISTIC", (1, 6, 5, 4), shape=(1, 6, 5, 4)), "must be a colour image"),
    ],
)
def test_unsupported_networks_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        import_network(content)
