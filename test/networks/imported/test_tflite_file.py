"""Files that are no TFLite networks, or damaged ones, raise a ValueError and nothing else."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest
from helpers.tflite_models import Operator, Tensor, tflite_file
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.networks.imported.network import import_network
from hand_pose_ros.networks.imported.tflite_file import read_tflite

_IMAGE = (1, 4, 4, 3)


def adding(constant: np.ndarray) -> bytes:
    tensors = [Tensor(_IMAGE), Tensor.constant(constant), Tensor(_IMAGE)]
    return tflite_file(tensors, [Operator("ADD", (0, 1), (2,), "AddOptions")], (0,), (2,))


GOOD = adding(np.ones((1, 1, 1, 3), np.float32))


def test_a_graph_is_read():
    graph = read_tflite(GOOD)
    assert (graph.input, graph.outputs) == (0, (2,))
    assert graph.shapes == (_IMAGE, (1, 1, 1, 3), _IMAGE)
    (operation,) = graph.operations
    assert (operation.kind, operation.inputs, operation.outputs) == ("ADD", (0, 1), (2,))
    assert operation.options == {"FusedActivationFunction": "NONE"}
    np.testing.assert_array_equal(graph.constants[1], 1)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"not a network at all", bytes(1000)])
def test_other_files_are_refused(content):
    with pytest.raises(ValueError, match="not a TFLite file"):
        read_tflite(content)


def test_quantised_weights_are_refused():
    with pytest.raises(ValueError, match="tensors of type INT8 are not supported"):
        read_tflite(adding(np.ones((1, 1, 1, 3), np.int8)))


def test_several_inputs_are_refused():
    tensors = [Tensor(_IMAGE), Tensor(_IMAGE), Tensor(_IMAGE)]
    content = tflite_file(tensors, [Operator("ADD", (0, 1), (2,), "AddOptions")], (0, 1), (2,))
    with pytest.raises(ValueError, match="several inputs"):
        read_tflite(content)


def test_an_operation_whose_input_comes_later_is_refused():
    tensors = [Tensor(_IMAGE), Tensor(_IMAGE), Tensor(_IMAGE)]
    operators = [Operator("ADD", (0, 2), (1,), "AddOptions"), Operator("LOGISTIC", (0,), (2,))]
    with pytest.raises(ValueError, match="an input of ADD is not computed before it"):
        read_tflite(tflite_file(tensors, operators, (0,), (1,)))


@pytest.mark.parametrize("length", [8, 20, 100, len(GOOD) // 2, len(GOOD) - 8])
def test_truncated_files_are_refused(length):
    with pytest.raises(ValueError, match="TFLite"):
        read_tflite(GOOD[:length])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(8, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_damaged_files_raise_nothing_but_value_errors(changes):
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value
    with suppress(ValueError):
        import_network(bytes(content))
