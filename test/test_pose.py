"""What flows between the rooms: frames that contradict themselves are refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.pose import Frame

CAMERA = CameraModel.pinhole(50.0, 50.0, 30.0, 24.0, 64, 48)
IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
DEPTH = np.linspace(0.3, 2.0, 48 * 64, dtype=np.float32).reshape(48, 64)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"image_bgr": IMAGE[:, 1:]}, "image_bgr must be an array of shape"),
        ({"image_bgr": IMAGE[..., 0]}, "image_bgr must be an array of shape"),
        ({"image_bgr": IMAGE.tolist()}, "image_bgr must be an array of shape"),
        ({"image_bgr": IMAGE.astype(np.float32)}, "image_bgr must be uint8"),
        ({"time_s": math.nan}, "time_s must be finite"),
        ({"time_s": math.inf}, "time_s must be finite"),
        ({"depth_m": DEPTH[1:]}, "depth_m must be an array of shape"),
        ({"depth_m": (1000 * DEPTH).astype(np.uint16)}, "depth_m must be of floats"),
    ],
)
def test_a_frame_that_contradicts_itself_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        Frame(**{"image_bgr": IMAGE, "camera": CAMERA, **values})


def test_a_mirrored_frame_is_flipped_as_a_whole():
    frame = Frame(IMAGE, CAMERA, 1.5, DEPTH)
    mirrored = frame.mirrored()
    np.testing.assert_array_equal(mirrored.image_bgr, IMAGE[:, ::-1])
    np.testing.assert_array_equal(mirrored.depth_m, DEPTH[:, ::-1])
    assert mirrored.camera.cx == 63 - 30.0
    assert mirrored.time_s == 1.5
    assert mirrored.mirrored().camera == CAMERA
    assert Frame(IMAGE, CAMERA).mirrored().depth_m is None
