"""The module finds the files of MediaPipe's two hand networks and verifies them.

``hand_pose models`` puts the files into the user's data folder. MediaPipe itself is never imported.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Final, NamedTuple

from hand_pose_ros.detection.detector import DetectorUnavailableError
from hand_pose_ros.files.regular_file import read_file
from hand_pose_ros.files.user_folders import data_folder, data_folders

TASK_URL: Final = "https://ai.google.dev/edge/mediapipe/solutions/vision/hand_landmarker"
COMPLEXITIES: Final = ("lite", "full")
CHECKSUMS: Final = {
    "palm_detection_lite.tflite": "e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18",
    "palm_detection_full.tflite": "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
    "hand_landmark_lite.tflite": "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6",
    "hand_landmark_full.tflite": "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
}
"""SHA-256 of the networks in MediaPipe 0.10.21 (Apache-2.0)."""
_FOLDER: Final = "mediapipe"
_TASK_FILES: Final = ("hand_detector.tflite", "hand_landmarks_detector.tflite")
LARGEST_FILE: Final = 64 << 20


class HandNetworks(NamedTuple):
    """The contents of the two TFLite files: the palm detector, and the landmarks of a hand in a crop."""

    palm: bytes
    landmarks: bytes


def networks_folder() -> Path:
    """The folder where the networks are stored: ``mediapipe`` in the user's data folder. It may not exist yet.

    Raises:
        OSError: the user has no data folder.
    """
    return data_folder() / _FOLDER


def read_networks(model_file: str = "", model_complexity: int = 1) -> HandNetworks:
    """Read the two networks.

    Args:
        model_file: path of a ``hand_landmarker.task``; empty for the networks that ``hand_pose models`` stored.
        model_complexity: 0 (lite) or 1 (full) of the stored networks; a task file has its own.

    Raises:
        ValueError: the task file is missing or holds no such networks, or an unknown complexity.
        DetectorUnavailableError: no file is named, and the networks are not stored or are damaged.
    """
    if model_file:
        return _from_task_file(Path(model_file))
    if model_complexity not in range(len(COMPLEXITIES)):
        raise ValueError(f"model_complexity must be 0 or 1, got {model_complexity}")
    level = COMPLEXITIES[model_complexity]
    return HandNetworks(
        *(read_stored(f"{kind}_{level}.tflite") for kind in ("palm_detection", "hand_landmark"))
    )


def read_stored(name: str) -> bytes:
    """Read one of the files in ``CHECKSUMS`` from the first data folder that holds it.

    Raises:
        DetectorUnavailableError: it is not there, or its content is another.
    """
    reasons = []
    for path in (folder / _FOLDER / name for folder in data_folders()):
        try:
            content = read_file(path, LARGEST_FILE)
        except (OSError, ValueError) as error:
            reasons.append(str(error))
            continue
        if not is_known(name, content):
            raise DetectorUnavailableError(f"{path} is damaged: run `hand_pose models` to store it again")
        return content
    raise DetectorUnavailableError(
        f"MediaPipe's hand networks are not stored on this machine ({reasons[0]}): run `hand_pose models` once"
    )


def is_known(name: str, content: bytes) -> bool:
    """Return whether ``content`` is that of the file ``name`` in ``CHECKSUMS``."""
    return hashlib.sha256(content).hexdigest() == CHECKSUMS[name]


def _from_task_file(path: Path) -> HandNetworks:
    if not path.is_file():
        raise ValueError(f"there is no model file {path}: download hand_landmarker.task from {TASK_URL}")
    try:
        with zipfile.ZipFile(path) as archive:
            return HandNetworks(*(read_member(archive, name) for name in _TASK_FILES))
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"cannot use {path} as a hand landmarker: {error}") from error


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """Read a file in an archive, of a bounded size.

    Raises:
        KeyError: there is no such file. ValueError: it is too large.
    """
    size = archive.getinfo(name).file_size
    if size > LARGEST_FILE:
        raise ValueError(f"{name} has {size} bytes, at most {LARGEST_FILE} are expected")
    return archive.read(name)
