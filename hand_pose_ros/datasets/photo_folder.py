"""Reader of labelled photos: a folder of images with a ``samples.json`` of cameras, 3D joints and image points."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.files.image_file import read_image


@dataclass(frozen=True)
class LabelledPhoto:
    """One labelled hand in a photo.

    camera: None where the set gives none. joints_m: (21, 3) camera frame, NaN where unlabelled.
    points_px: (21, 2), NaN where unlabelled.
    subject: name of the person; '' if the folder gives none.
    """

    path: Path
    side: str
    camera: CameraModel | None
    joints_m: np.ndarray
    points_px: np.ndarray
    subject: str = ""

    def image(self) -> np.ndarray:
        """The photo as (H, W, 3) uint8 BGR.

        Raises:
            ValueError: the file is missing, not an image, or too large.
        """
        try:
            return read_image(self.path)
        except OSError as error:
            raise ValueError(f"{self.path} is missing or cannot be read: {error.strerror}") from error


def read_samples(folder: str | Path) -> list[LabelledPhoto]:
    """Read the folder's ``samples.json``: an object whose ``samples`` have these keys.

    ``image`` (file name), ``width``, ``height``, ``hand`` (side), ``K`` (3 x 3), and, in our joint order and with
    nulls where unknown, ``xyz_m`` (21 x 3, metres, camera frame) and ``uv`` (21 x 2, pixels). ``subject``, the
    name of the person, is optional.

    Raises:
        ValueError: the file is missing or has another form.
    """
    folder = Path(folder)
    path = folder / "samples.json"
    if not path.is_file():
        raise ValueError(f"no samples.json in {folder}")
    try:
        return [read_sample(folder, sample) for sample in json.loads(path.read_text())["samples"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} does not have the expected form: {error!r}") from error


def read_sample(folder: Path, sample: dict) -> LabelledPhoto:
    """Read one of the ``samples``.

    Raises:
        KeyError, TypeError, ValueError: it has another form.
    """
    camera = None
    if sample.get("K") is not None:
        (fx, _, cx), (_, fy, cy), _ = sample["K"]
        camera = CameraModel.pinhole(fx, fy, cx, cy, sample["width"], sample["height"])
    return LabelledPhoto(
        path=folder / sample["image"],
        side=hand.check_side(sample["hand"]),
        camera=camera,
        joints_m=_points(sample.get("xyz_m"), 3),
        points_px=_points(sample.get("uv"), 2),
        subject=str(sample.get("subject", "")),
    )


def _points(rows: list | None, size: int) -> np.ndarray:
    """(21, size) floats; NaN for a null, be it one number, one row or all."""
    if rows is None:
        return np.full((hand.NUM_JOINTS, size), np.nan)
    rows = [[np.nan] * size if row is None else row for row in rows]
    points = np.array(rows, dtype=np.float64)
    if points.shape != (hand.NUM_JOINTS, size):
        raise ValueError(f"expected {hand.NUM_JOINTS} points of {size} numbers, got {points.shape}")
    return points
