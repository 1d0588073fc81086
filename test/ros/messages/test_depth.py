"""Depth images in the encodings of depth cameras, and malformed ones."""

import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sensor_msgs.msg import Image

from hand_pose_ros.ros.messages.depth import depth_image


def message(values, encoding, padding=0, big=False):
    rows = [row.tobytes() + b"\7" * padding for row in values]
    height, width = values.shape
    result = Image(height=height, width=width, encoding=encoding, step=len(rows[0]), is_bigendian=big)
    result.data = array.array("B", b"".join(rows))
    return result


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("order", ["<", ">"])
def test_both_units_are_read(padding, order):
    millimetres = np.array([[500, 0, 65535], [1, 2, 3]], f"{order}u2")
    expected = np.array([[0.5, np.nan, 65.535], [0.001, 0.002, 0.003]])
    found = depth_image(message(millimetres, "16UC1", padding, big=order == ">"))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    metres = np.array([[0.5, np.nan, np.inf], [0.0, -1.0, 2.5]], f"{order}f4")
    expected = np.array([[0.5, np.nan, np.nan], [np.nan, np.nan, 2.5]])
    np.testing.assert_allclose(depth_image(message(metres, "32FC1", padding, big=order == ">")), expected)
    assert found.dtype == np.float32


def test_other_encodings_and_wrong_sizes_are_refused():
    good = message(np.ones((2, 3), "<u2"), "16UC1")
    with pytest.raises(ValueError, match="encoding"):
        depth_image(message(np.ones((2, 3), np.uint8), "mono8"))
    good.step = 5
    with pytest.raises(ValueError, match="cannot hold"):
        depth_image(good)
    good.step, good.height = 6, 3
    with pytest.raises(ValueError, match="too few"):
        depth_image(good)
    good.height, good.width = 2**20, 2**20
    with pytest.raises(ValueError, match="too large"):
        depth_image(good)


@given(
    size=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    step=st.integers(0, 24),
    encoding=st.sampled_from(("16UC1", "32FC1", "mono16", "rgb8", "")),
    big=st.booleans(),
    data=st.binary(max_size=120),
)
def test_any_message_is_read_or_refused(size, step, encoding, big, data):
    height, width = size
    result = Image(height=height, width=width, encoding=encoding, step=step, is_bigendian=big)
    result.data = array.array("B", data)
    try:
        depth_m = depth_image(result)
    except ValueError:
        return
    assert depth_m.shape == size
    assert not (depth_m <= 0).any()
    assert not np.isinf(depth_m).any()
