"""Camera calibrations to CameraModel: calibration files, and CameraInfo messages."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from hand_pose_ros.camera.calibration_formats import parse_calibration
from hand_pose_ros.camera.lens_check import check_lens
from hand_pose_ros.camera.model import CameraModel, UncalibratedCameraError

_MOST_BYTES: Final = 1 << 18
_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """A camera read from a file, its name, and what the reader had to assume or what the lens does not cover."""

    camera: CameraModel
    name: str
    warnings: tuple[str, ...] = ()


def read_calibration(path: str | Path) -> Calibration:
    """Read a calibration file of any format that :mod:`~hand_pose_ros.camera.calibration_formats` knows.

    Raises:
        FileNotFoundError: no such file.
        UncalibratedCameraError: the camera matrix is zero.
        ValueError: the file is not a calibration file, or no lens has such coefficients; the message names the
            file and what is wrong.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no calibration file {path}")
    try:
        document = parse_calibration(_text(path))
        camera = CameraModel.from_camera_info(
            width=document.width,
            height=document.height,
            distortion_model=document.model,
            d=document.d,
            k=document.k,
            binning_x=document.binning[0],
            binning_y=document.binning[1],
            roi_x_offset=document.roi[0],
            roi_y_offset=document.roi[1],
            roi_width=document.roi[2],
            roi_height=document.roi[3],
        )
        oddity = check_lens(camera)
    except UncalibratedCameraError as error:
        raise UncalibratedCameraError(f"{path}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not a camera calibration: {error}") from error
    warnings = (*document.warnings, *([oddity] if oddity else []))
    return Calibration(camera, document.name, tuple(f"{path}: {warning}" for warning in warnings))


def load_calibration(path: str | Path) -> tuple[CameraModel, str]:
    """The camera and its name from a calibration file; warnings are logged. See :func:`read_calibration`."""
    calibration = read_calibration(path)
    for warning in calibration.warnings:
        _LOGGER.warning(warning)
    return calibration.camera, calibration.name


def _text(path: Path) -> str:
    if not path.is_file():  # a pipe would block
        raise ValueError("it is not a regular file")
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it has more than {_MOST_BYTES} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("it is not a text file") from error


def save_calibration(path: str | Path, camera: CameraModel, name: str = "camera") -> None:
    """Write the camera as a calibration file that camera_info_manager and image_proc accept."""
    k = camera.K.flatten().tolist()
    document = {
        "image_width": camera.width,
        "image_height": camera.height,
        "camera_name": name,
        "camera_matrix": _matrix(3, 3, k),
        "distortion_model": camera.distortion_model or "plumb_bob",
        "distortion_coefficients": _matrix(
            1, len(camera.distortion or (0.0,) * 5), camera.distortion or (0.0,) * 5
        ),
        "rectification_matrix": _matrix(3, 3, (1, 0, 0, 0, 1, 0, 0, 0, 1)),
        "projection_matrix": _matrix(3, 4, (*k[0:3], 0, *k[3:6], 0, *k[6:9], 0)),
    }
    Path(path).write_text(yaml.safe_dump(document, sort_keys=False, default_flow_style=None))


def camera_from_message(message: Any, rectified: bool = False) -> CameraModel:
    """The camera of the image that comes with a sensor_msgs/CameraInfo; ``rectified`` for an image_rect topic.

    The message may come from rclpy or from any library that reads bags: only its field names matter.

    Raises:
        UncalibratedCameraError: K[0], or P[0] for a rectified image, is 0.
        ValueError: the calibration is not valid, or no lens has such distortion coefficients.
    """
    d, k, p = ([float(value) for value in values] for values in (message.d, message.k, message.p))
    roi = message.roi
    camera = CameraModel.from_camera_info(
        width=message.width,
        height=message.height,
        distortion_model=message.distortion_model,
        d=d,
        k=k,
        p=p,
        binning_x=message.binning_x,
        binning_y=message.binning_y,
        roi_x_offset=roi.x_offset,
        roi_y_offset=roi.y_offset,
        roi_width=roi.width,
        roi_height=roi.height,
        rectified=rectified,
    )
    check_lens(camera)
    return camera


def _matrix(rows: int, columns: int, data: Any) -> dict[str, Any]:
    return {"rows": rows, "cols": columns, "data": [float(value) for value in data]}
