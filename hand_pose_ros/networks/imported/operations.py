"""The module builds the PyTorch counterpart of a TFLite operation.

Images (n, height, width, channels) of the file are (n, channels, height, width) here; tensors with other numbers
of axes are as in the file. Images are flattened in the file's order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hand_pose_ros.networks.imported.tflite_file import Operation

Shape = tuple[int, ...]
_ACTIVATIONS: Final[dict[str, Callable[[], nn.Module]]] = {
    "NONE": nn.Identity,
    "RELU": nn.ReLU,
    "RELU6": nn.ReLU6,
}


def build(operation: Operation, shapes: tuple[Shape, ...], constants: Mapping[int, np.ndarray]) -> nn.Module:
    """Build the module that maps the operation's inputs which are not constant to its output.

    Args:
        shapes: of the graph's tensors, as in the file.
        constants: values of the graph's constant tensors.

    Raises:
        ValueError: the operation, or one of its options, is not supported.
    """
    if operation.kind not in _BUILDERS:
        raise ValueError(
            f"the operation {operation.kind} is not supported; known are {', '.join(sorted(_BUILDERS))}"
        )
    if len(operation.outputs) != 1:
        raise ValueError(f"{operation.kind} has {len(operation.outputs)} outputs, expected 1")
    module = _BUILDERS[operation.kind](operation, shapes, constants)
    activation = operation.options.get("FusedActivationFunction", "NONE")
    if activation not in _ACTIVATIONS:
        raise ValueError(f"the activation {activation} is not supported")
    return module if activation == "NONE" else nn.Sequential(module, _ACTIVATIONS[activation]())


class _Add(nn.Module):
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second


class _Concatenate(nn.Module):
    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *tensors: Tensor) -> Tensor:
        return torch.cat(tensors, dim=self.axis)


class _Pad(nn.Module):
    """Zero padding; ``pads`` in the order of ``torch.nn.functional.pad``."""

    def __init__(self, pads: list[int]) -> None:
        super().__init__()
        self.pads = pads

    def forward(self, values: Tensor) -> Tensor:
        return functional.pad(values, self.pads)


class _Reshape(nn.Module):
    """Reshape to ``shape`` without the batch axis; images are flattened in the order height, width, channels."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, values: Tensor) -> Tensor:
        if values.dim() == 4:
            values = values.permute(0, 2, 3, 1)
        return values.reshape(-1, *self.shape)


class _GlobalMean(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


class _Resize(nn.Module):
    """Bilinear resize to ``size`` (height, width)."""

    def __init__(self, size: Shape, align_corners: bool) -> None:
        super().__init__()
        self.size = size
        self.align_corners = align_corners

    def forward(self, images: Tensor) -> Tensor:
        return functional.interpolate(images, self.size, mode="bilinear", align_corners=self.align_corners)


def _weights(
    operation: Operation, constants: Mapping[int, np.ndarray], outputs_axis: int
) -> tuple[Tensor, Tensor]:
    """Return the weights and the bias of a layer; the bias is zero if the file has none."""
    weights = torch.from_numpy(constants[operation.inputs[1]].copy())
    bias = operation.inputs[2] if len(operation.inputs) > 2 else -1
    if bias < 0:
        return weights, torch.zeros(weights.shape[outputs_axis])
    return weights, torch.from_numpy(constants[bias].copy())


def _same_pads(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Return the padding before and after an axis for TensorFlow's rule SAME, which puts the odd pixel last."""
    total = max((-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def _padded(operation: Operation, shape: Shape, kernel: Shape, module: nn.Module) -> nn.Module:
    """Return ``module``, after the padding that the operation on images of ``shape`` asks for."""
    options = operation.options
    if options["Padding"] == "VALID":
        return module
    dilations = (options.get("DilationHFactor", 1), options.get("DilationWFactor", 1))
    strides = (options["StrideH"], options["StrideW"])
    (top, bottom), (left, right) = (
        _same_pads(*sizes) for sizes in zip(shape[1:3], kernel, strides, dilations, strict=True)
    )
    if top == bottom and left == right and isinstance(module, nn.Conv2d):
        module.padding = (top, left)
        return module
    return nn.Sequential(_Pad([left, right, top, bottom]), module) if max(bottom, right) else module


def _convolution(
    operation: Operation, shapes: tuple[Shape, ...], constants: Mapping[int, np.ndarray]
) -> nn.Module:
    depthwise = operation.kind == "DEPTHWISE_CONV_2D"
    weights, bias = _weights(operation, constants, 3 if depthwise else 0)
    # The file has (outputs, height, width, inputs), or (1, height, width, outputs) for a depthwise one.
    weights = weights.permute(3, 0, 1, 2) if depthwise else weights.permute(0, 3, 1, 2)
    options, shape = operation.options, shapes[operation.inputs[0]]
    layer = nn.Conv2d(
        shape[3],
        weights.shape[0],
        (weights.shape[2], weights.shape[3]),
        stride=(options["StrideH"], options["StrideW"]),
        dilation=(options["DilationHFactor"], options["DilationWFactor"]),
        groups=shape[3] if depthwise else 1,
    )
    _fill(layer, weights, bias)
    return _padded(operation, shape, tuple(weights.shape[2:]), layer)


def _linear(
    operation: Operation, shapes: tuple[Shape, ...], constants: Mapping[int, np.ndarray]
) -> nn.Module:
    weights, bias = _weights(operation, constants, 0)
    if len(shapes[operation.inputs[0]]) != 2:
        raise ValueError("FULLY_CONNECTED is supported for inputs with two axes only")
    layer = nn.Linear(weights.shape[1], weights.shape[0])
    _fill(layer, weights, bias)
    return layer


def _fill(layer: nn.Conv2d | nn.Linear, weights: Tensor, bias: Tensor) -> None:
    with torch.no_grad():
        if weights.shape != layer.weight.shape:
            raise ValueError(f"weights of shape {tuple(weights.shape)}, expected {tuple(layer.weight.shape)}")
        layer.weight.copy_(weights)
        assert layer.bias is not None  # made with one
        layer.bias.copy_(bias)


def _prelu(operation: Operation, shapes: tuple[Shape, ...], constants: Mapping[int, np.ndarray]) -> nn.Module:
    del shapes
    slopes = torch.from_numpy(constants[operation.inputs[1]].copy())
    if slopes.numel() != slopes.shape[-1]:
        raise ValueError("PRELU is supported with one slope a channel only")
    layer = nn.PReLU(slopes.numel())
    with torch.no_grad():
        layer.weight.copy_(slopes.reshape(-1))
    return layer


def _max_pool(
    operation: Operation, shapes: tuple[Shape, ...], constants: Mapping[int, np.ndarray]
) -> nn.Module:
    del constants
    options = operation.options
    kernel = (options["FilterHeight"], options["FilterWidth"])
    pool = nn.MaxPool2d(kernel, (options["StrideH"], options["StrideW"]))
    padded = _padded(operation, shapes[operation.inputs[0]], kernel, pool)
    if padded is not pool:
        raise ValueError("MAX_POOL_2D is supported without padding only")
    return pool


def _pad(operation: Operation, shapes: tuple[Shape, ...], constants: Mapping[int, np.ndarray]) -> nn.Module:
    if len(shapes[operation.inputs[0]]) != 4:
        raise ValueError("PAD is supported for images only")
    _, rows, columns, channels = constants[operation.inputs[1]].tolist()
    return _Pad([*columns, *rows, *channels])


def _reshape(
    operation: Operation, shapes: tuple[Shape, ...], constants: Mapping[int, np.ndarray]
) -> nn.Module:
    del constants
    shape = shapes[operation.outputs[0]]
    if shape[0] != 1 or len(shape) == 4:
        raise ValueError(f"RESHAPE to {shape} is not supported")
    return _Reshape(shape[1:])


def _concatenate(
    operation: Operation, shapes: tuple[Shape, ...], constants: Mapping[int, np.ndarray]
) -> nn.Module:
    del constants
    axes = len(shapes[operation.outputs[0]])
    axis = operation.options["Axis"] % axes
    return _Concatenate({0: 0, 1: 2, 2: 3, 3: 1}[axis] if axes == 4 else axis)


def _mean(operation: Operation, shapes: tuple[Shape, ...], constants: Mapping[int, np.ndarray]) -> nn.Module:
    axes = sorted(constants[operation.inputs[1]].ravel().tolist())
    if axes != [1, 2] or len(shapes[operation.inputs[0]]) != 4 or operation.options.get("KeepDims"):
        raise ValueError("MEAN is supported over the height and width of images only")
    return _GlobalMean()


def _resize(
    operation: Operation, shapes: tuple[Shape, ...], constants: Mapping[int, np.ndarray]
) -> nn.Module:
    size = tuple(constants[operation.inputs[1]].tolist())
    align, half = (operation.options[name] for name in ("AlignCorners", "HalfPixelCenters"))
    if align == half:
        raise ValueError("RESIZE_BILINEAR is supported with half pixel centres or aligned corners only")
    del shapes
    return _Resize(size, bool(align))


def _without_weights(make: Callable[[], nn.Module]) -> Callable[..., nn.Module]:
    def builder(*_: Any) -> nn.Module:
        return make()

    return builder


_BUILDERS: Final[dict[str, Callable[..., nn.Module]]] = {
    "ADD": _without_weights(_Add),
    "CONCATENATION": _concatenate,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _linear,
    "LOGISTIC": _without_weights(nn.Sigmoid),
    "MAX_POOL_2D": _max_pool,
    "MEAN": _mean,
    "PAD": _pad,
    "PRELU": _prelu,
    "RESHAPE": _reshape,
    "RESIZE_BILINEAR": _resize,
}
