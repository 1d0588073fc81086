"""Calibration files in the field's formats give the same camera; what is missing or misspelt is named."""

from __future__ import annotations

import json
import logging
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.camera.calibration import load_calibration, read_calibration
from hand_pose_ros.camera.calibration_formats import parse_calibration
from hand_pose_ros.camera.model import CameraModel

D = (-0.28, 0.09, 0.0007, -0.0004, 0.01)
LENS = CameraModel(640, 480, 554.2, 553.9, 321.7, 238.4, "plumb_bob", D)
SIZE = "image_width: 640\nimage_height: 480\n"
MATRIX = "camera_matrix: {rows: 3, cols: 3, data: [554.2, 0, 321.7, 0, 553.9, 238.4, 0, 0, 1]}\n"
COEFFICIENTS = f"distortion_coefficients: {{rows: 1, cols: 5, data: {list(D)}}}\n"
PLUMB_BOB = "distortion_model: plumb_bob\n"

OPENCV = f"""\
%YAML:1.0
---
image_width: 640
image_height: 480
camera_matrix: !!opencv-matrix
   rows: 3
   cols: 3
   dt: d
   data: [ 5.542e+02, 0., 321.7, 0., 553.9, 238.4, 0., 0., 1. ]
distortion_coefficients: !!opencv-matrix
   rows: 1
   cols: 5
   dt: d
   data: {list(D)}
avg_reprojection_error: 0.31
"""
OST = f"""\
# oST version 5.0 parameters


[image]

width
640

height
480

[narrow_stereo]

camera matrix
554.2 0.000000 321.7
0.000000 553.9 238.4
0.000000 0.000000 1.000000

distortion
{" ".join(map(str, D))}

rectification
1.0 0.0 0.0
0.0 1.0 0.0
0.0 0.0 1.0

projection
520.1 0.0 322.0 0.0
0.0 530.4 238.0 0.0
0.0 0.0 1.0 0.0
"""
ECHO = f"""\
header:
  stamp: {{sec: 12, nanosec: 0}}
  frame_id: cam
height: 480
width: 640
distortion_model: plumb_bob
d: {list(D)}
k: [554.2, 0.0, 321.7, 0.0, 553.9, 238.4, 0.0, 0.0, 1.0]
r: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
p: [520.1, 0.0, 322.0, 0.0, 0.0, 530.4, 238.0, 0.0, 0.0, 0.0, 1.0, 0.0]
binning_x: 0
binning_y: 0
roi: {{x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false}}
---
"""
KALIBR = f"""\
cam0:
  cam_overlaps: []
  camera_model: pinhole
  distortion_coeffs: {list(D)}
  distortion_model: radtan
  intrinsics: [554.2, 553.9, 321.7, 238.4]
  resolution: [640, 480]
  rostopic: /cam0/image_raw
"""
NODE = f"""\
/**:
  ros__parameters:
    image_width: 640
    image_height: 480
    distortion_model: plumb_bob
    camera_matrix: {{data: [554.2, 0.0, 321.7, 0.0, 553.9, 238.4, 0.0, 0.0, 1.0]}}
    distortion_coefficients: {{data: {list(D)}}}
"""
ORB_SLAM = f"""\
%YAML:1.0
Camera.type: "PinHole"
Camera.fx: 554.2
Camera.fy: 553.9
Camera.cx: 321.7
Camera.cy: 238.4
Camera.k1: {D[0]}
Camera.k2: {D[1]}
Camera.p1: {D[2]}
Camera.p2: {D[3]}
Camera.k3: {D[4]}
Camera.width: 640
Camera.height: 480
"""
JSON = json.dumps(
    {
        "image_width": 640,
        "image_height": 480,
        "camera_matrix": [[554.2, 0, 321.7], [0, 553.9, 238.4], [0, 0, 1]],
        "dist_coeff": [list(D)],
    }
)


@pytest.mark.parametrize(
    "text",
    [
        SIZE + MATRIX + PLUMB_BOB + COEFFICIENTS,
        SIZE + MATRIX + "camera_model: plumb_bob\n" + COEFFICIENTS,
        SIZE + MATRIX + COEFFICIENTS,
        SIZE + MATRIX + PLUMB_BOB + f"distortion_coefficients: {list(D)}\n",
        SIZE + MATRIX + PLUMB_BOB + f"distortion_coefficients: {{data: {str(list(D))[1:-1]!r}}}\n",
        SIZE.replace("640", "640.0").replace("480", "'480'") + MATRIX + COEFFICIENTS,
        "width: 640\nheight: 480\nK: [554.2, 0, 321.7, 0, 553.9, 238.4, 0, 0, 1]\nD: " + str(list(D)),
        "\ufeff" + (SIZE + MATRIX + COEFFICIENTS).replace("\n", "\r\n"),
        OPENCV,
        OPENCV.replace("---\n", ""),
        OST,
        ECHO,
        KALIBR,
        NODE,
        ORB_SLAM,
        JSON,
    ],
    ids=lambda text: text.split("\n")[0][:20],
)
def test_all_formats_give_the_same_camera(text, tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    assert load_calibration(path)[0] == LENS


def test_a_region_of_interest_in_a_message_is_applied(tmp_path):
    path = tmp_path / "camera.yaml"
    region = "roi: {x_offset: 100, y_offset: 40, height: 240, width: 320"
    path.write_text(ECHO.replace("roi: {x_offset: 0, y_offset: 0, height: 0, width: 0", region))
    camera, _ = load_calibration(path)
    assert (camera.width, camera.height, camera.cx, camera.cy) == (320, 240, 321.7 - 100, 238.4 - 40)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            SIZE + MATRIX + PLUMB_BOB + COEFFICIENTS.replace("coefficients", "coefficents"),
            "'distortion_coefficents' is not a key .* did you mean 'distortion_coefficients'",
        ),
        (SIZE + MATRIX.replace("camera_matrix", "camera_matix"), "did you mean 'camera_matrix'"),
        (SIZE + MATRIX + "lens_distortion_coef_list: [0.1]\n", "did you mean 'distortion_coefficients'"),
        (
            SIZE + MATRIX + PLUMB_BOB,
            "names the distortion model 'plumb_bob' but has no distortion_coefficients",
        ),
        (SIZE + MATRIX + "width: 320\n" + COEFFICIENTS, "image_width and width say the same"),
        (KALIBR + KALIBR.replace("cam0", "cam1"), "it holds several cameras"),
        (ECHO + ECHO, "it holds several documents"),
        (SIZE + MATRIX + "distortion_coefficients: {data: [.nan]}\n", "must be finite"),
        (SIZE + "K: [1, 2, 3]\n", "K must have 9 elements, got 3"),
        (SIZE.replace("640", "true") + MATRIX + COEFFICIENTS, "image_width must be a whole number"),
        (OST.replace("camera matrix", "camera"), "an ost.txt has a width, a height and a camera matrix"),
        (SIZE + MATRIX + "distortion_coefficients: {data: [1480.5, -3320.1, 0, 0, 812.3]}\n", "no lens has"),
        (
            KALIBR.replace("camera_model: pinhole", "camera_model: omni"),
            "the projection 'omni' is not supported",
        ),
        (SIZE + MATRIX + COEFFICIENTS + "fx: 100\nfy: 100\ncx: 1\ncy: 1\n", "contradict each other"),
        ("a: &a [1]\nb: *a\n", "it lacks image_width"),
        ("[" * 5000, "nested too deeply|not valid YAML"),
    ],
)
def test_what_is_wrong_is_named(text, message, tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_calibration(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_fisheye_lenses_are_told_by_each_format(tmp_path):
    path = tmp_path / "camera.yaml"
    k = "".join(f"Camera.k{index}: {0.01 * index}\n" for index in range(1, 5))
    orb_slam = ORB_SLAM.split("Camera.k1")[0].replace("PinHole", "KannalaBrandt8") + k
    opencv = OPENCV.replace(str(list(D)), "[0.01, 0.02, 0.03, 0.04]") + "fisheye_model: 1\n"
    for text in (orb_slam + "Camera.width: 640\nCamera.height: 480\n", opencv):
        path.write_text(text)
        camera, _ = load_calibration(path)
        assert camera.distortion_model == "equidistant"
        assert camera.distortion == pytest.approx((0.01, 0.02, 0.03, 0.04))


def test_control_characters_of_a_file_reach_no_log(tmp_path, caplog):
    path = tmp_path / "camera.yaml"
    path.write_text(SIZE + MATRIX + COEFFICIENTS + '"\\e[31mred\\nline": 1\n')
    load_calibration(path)
    assert "\x1b" not in caplog.text
    assert "[31mred line" in caplog.text


def test_unknown_keys_and_a_missing_distortion_are_told(tmp_path, caplog):
    path = tmp_path / "camera.yaml"
    path.write_text(SIZE + MATRIX + "operator: somebody\n")
    with caplog.at_level(logging.WARNING):
        camera, _ = load_calibration(path)
    assert camera.distortion_model == ""
    assert "not known were ignored: operator" in caplog.text
    assert "no distortion_coefficients: the lens counts as free of distortion" in caplog.text


def test_a_fold_inside_the_image_is_told(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(SIZE.replace("640", "1280").replace("480", "960") + MATRIX + "D: [0, 0, 0, 0, -0.2]\n")
    (warning,) = read_calibration(path).warnings
    assert "folds back" in warning


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="not a regular file"):
        load_calibration(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"a" * (1 << 21))
    with pytest.raises(ValueError, match="more than 262144 bytes"):
        load_calibration(tmp_path / "large")
    (tmp_path / "binary").write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match="not a text file"):
        load_calibration(tmp_path / "binary")
    with pytest.raises(FileNotFoundError, match="there is no calibration file"):
        load_calibration(tmp_path / "absent")


_TEXTS = [ECHO, KALIBR, OST, OPENCV, ORB_SLAM, JSON]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(_TEXTS),
    st.lists(st.tuples(st.integers(0, 600), st.text(max_size=8)), min_size=1, max_size=5),
)
def test_changed_files_raise_nothing_but_value_errors(text, changes):
    for place, inserted in changes:
        at = place % (len(text) + 1)
        text = text[:at] + inserted + text[at + len(inserted) :]
    error = ""
    try:
        assert isinstance(parse_calibration(text).width, int)
    except ValueError as caught:
        error = str(caught)
    assert len(error) < 1500


def test_a_complete_file_needs_no_warning(tmp_path):
    path = tmp_path / "camera.yaml"
    path.write_text(SIZE + MATRIX + PLUMB_BOB + COEFFICIENTS)
    assert read_calibration(path).warnings == ()
