"""Camera calibrations to CameraModel: YAML files of camera_info_manager, and CameraInfo messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hand_pose_ros.camera.model import CameraModel, UncalibratedCameraError


def load_calibration(path: str | Path) -> tuple[CameraModel, str]:
    """Read the camera and its name from a calibration file.

    Raises:
        FileNotFoundError: no such file.
        UncalibratedCameraError: the camera matrix is zero.
        ValueError: the file is not a calibration file; the message names the file and what is wrong.
    """
    path = Path(path)
    try:
        return _from_document(yaml.safe_load(path.read_text()))
    except UncalibratedCameraError as error:
        raise UncalibratedCameraError(f"{path}: {error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} is not a camera calibration: {error}") from error


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
        UncalibratedCameraError: K[0] is 0.
        ValueError: the calibration is not valid.
    """
    d, k, p = ([float(value) for value in values] for values in (message.d, message.k, message.p))
    roi = message.roi
    return CameraModel.from_camera_info(
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


def _from_document(document: Any) -> tuple[CameraModel, str]:
    if not isinstance(document, dict):
        raise ValueError("expected a mapping with image_width, image_height and camera_matrix")
    missing = [key for key in ("image_width", "image_height", "camera_matrix") if key not in document]
    if missing:
        raise ValueError(f"it lacks {', '.join(missing)}")
    # Files of camera_info_manager before 2010 have no distortion model: they are plumb_bob.
    camera = CameraModel.from_camera_info(
        width=document["image_width"],
        height=document["image_height"],
        distortion_model=document.get("distortion_model") or "plumb_bob",
        d=_data(document, "distortion_coefficients"),
        k=_data(document, "camera_matrix"),
    )
    return camera, str(document.get("camera_name", "camera"))


def _matrix(rows: int, columns: int, data: Any) -> dict[str, Any]:
    return {"rows": rows, "cols": columns, "data": [float(value) for value in data]}


def _data(document: dict[str, Any], key: str) -> list[float]:
    entry = document.get(key, {"data": []})
    if not isinstance(entry, dict) or not isinstance(entry.get("data"), list):
        raise ValueError(f"{key} must have a list of numbers as its data, got {entry!r}")
    try:
        return [float(value) for value in entry["data"]]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key} must have a list of numbers as its data, got {entry['data']!r}") from error
