"""Calibration files: what is written reads back, files from the field are read, bad files are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from hand_pose_ros.camera.calibration import load_calibration, save_calibration
from hand_pose_ros.camera.model import CameraModel, UncalibratedCameraError

FROM_THE_FIELD = """\
image_width: 640
image_height: 480
camera_name: narrow_stereo/left
camera_matrix:
  rows: 3
  cols: 3
  data: [580.46715,    0.     ,  315.27153,
           0.     ,  576.62721,  247.47257,
           0.     ,    0.     ,    1.     ]
camera_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [0.134462, -0.311908, 2e-3, 0.003083, 0.000000]
"""


@pytest.mark.parametrize(
    "camera",
    [
        CameraModel.pinhole(500.0, 501.0, 320.0, 240.0, 640, 480),
        CameraModel(640, 480, 1000 / 3, 500.0, 320.0, 240.0, "plumb_bob", (-0.3, 0.1, 0.001, 0.0, -1e-17)),
        CameraModel(1920, 1080, 900.0, 900.0, 960.0, 540.0, "rational_polynomial", (0.1,) * 8),
        CameraModel(640, 480, 300.0, 300.0, 320.0, 240.0, "equidistant", (0.0,) * 4),
    ],
)
def test_what_is_written_reads_back(camera: CameraModel, tmp_path: Path) -> None:
    save_calibration(tmp_path / "camera.yaml", camera, "front")
    assert load_calibration(tmp_path / "camera.yaml") == (camera, "front")


def test_a_file_from_the_field(tmp_path: Path) -> None:
    path = tmp_path / "left.yaml"
    path.write_text(FROM_THE_FIELD)
    camera, name = load_calibration(path)
    assert name == "narrow_stereo/left"
    assert (camera.fx, camera.cy, camera.distortion_model) == (580.46715, 247.47257, "plumb_bob")
    assert camera.distortion == (0.134462, -0.311908, 2e-3, 0.003083, 0.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mapping"),
        ("a: [1", "not valid YAML"),
        ("image_width: 640", "lacks image_height, camera_matrix"),
        (FROM_THE_FIELD.replace("315.27153", "wide"), "camera_matrix must have a list of numbers"),
        (FROM_THE_FIELD.replace("580.46715", "-1.0"), "fx must be a positive focal length"),
        (FROM_THE_FIELD.replace("640", "wide"), "image_width must be a whole number"),
    ],
)
def test_bad_files_are_named_with_what_is_wrong(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_calibration(path)
    assert str(path) in str(caught.value)


def test_an_uncalibrated_file_keeps_its_own_error(tmp_path: Path) -> None:
    path = tmp_path / "zero.yaml"
    path.write_text(FROM_THE_FIELD.replace("580.46715", "0"))
    with pytest.raises(UncalibratedCameraError, match=r"zero\.yaml"):
        load_calibration(path)
