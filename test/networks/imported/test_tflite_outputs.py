"""A tensor inside a network becomes one more output; every backend gives it, and the others stay the same."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tflite_models import Operator, Tensor, tflite_file

from hand_pose_ros.networks.imported.backends import open_tflite
from hand_pose_ros.networks.imported.tflite_outputs import with_output

_IMAGE = (1, 4, 4, 3)


def twice_added() -> bytes:
    """Adds the image to itself (tensor 2), and once more (tensor 1, the output)."""
    operators = [Operator("ADD", (0, 0), (2,), "AddOptions"), Operator("ADD", (2, 0), (1,), "AddOptions")]
    return tflite_file([Tensor(_IMAGE)] * 3, operators, (0,), (1,))


def channels_last(values: np.ndarray) -> np.ndarray:
    return values.transpose(1, 2, 0) if values.shape[0] == 3 else values


@pytest.mark.parametrize("backend", ["litert", "onnxruntime", "torch"])
def test_the_inner_tensor_is_the_last_output(backend):
    if backend == "litert":
        pytest.importorskip("ai_edge_litert")
    image = np.random.default_rng(0).random(_IMAGE[1:], dtype=np.float32)
    (alone,) = open_tflite(twice_added(), backend, "cpu", 1).run(image)
    last, inner = open_tflite(with_output(twice_added(), 2), backend, "cpu", 1).run(image)
    np.testing.assert_array_equal(last, alone)
    np.testing.assert_allclose(channels_last(last), 3 * image, rtol=1e-6)
    np.testing.assert_allclose(channels_last(inner), 2 * image, rtol=1e-6)


@pytest.mark.parametrize(
    ("tensor", "message"), [(1, "is an output already"), (9, "does not exist"), (0, "last")]
)
def test_other_tensors_are_refused(tensor, message):
    with pytest.raises(ValueError, match=message):
        with_output(twice_added(), tensor)


@pytest.mark.parametrize("content", [b"", b"not a network", b"\0\0\0\0TFL3" + bytes(40)])
def test_other_files_are_refused(content):
    with pytest.raises(ValueError, match="TFLite file"):
        with_output(content, 3)
