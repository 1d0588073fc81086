"""Readers of the two sets with fingertips of left hands, recorded with a depth camera beside the colour
camera.

The tips are in the frame of the depth camera, millimetres; rotation, translation and intrinsics of the colour
camera are in the sets' documentation. Colour images have 640 x 480 pixels. There is no part for training.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.options import Options
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import LabelledSet, Refuse, no_joints, project
from hand_pose_ros.datasets.storage.files import MalformedFileError, read_lines, require
from hand_pose_ros.datasets.storage.index import Column

_MM: Final = 1e-3
_NO_DEPTH_MM: Final = 32001  # of a depth camera that measured nothing there
_ZERO_MM: Final = 1e-6


@dataclass(frozen=True)
class FingertipOptions(Options):
    """The fingertip sets have no options."""


class FingertipSet(LabelledSet[FingertipOptions]):
    """The base of both: ``joints_m`` are NaN but for the fingertips, in the colour camera's frame."""

    options_type = FingertipOptions
    columns: ClassVar[Mapping[str, Column]] = {
        "sequence": Column("S32"),
        "frame": Column("<i4"),
        "file": Column("S64"),
        "tips": Column("<f8", (5, 3)),
    }
    camera: ClassVar[CameraModel]
    colour_from_depth: ClassVar[np.ndarray]
    """(3, 4) rotation and translation in millimetres, of the depth camera's frame to the colour camera's."""

    @abstractmethod
    def labels(self, sequence: Path) -> Path:
        """Return the file of the fingertips of a sequence's folder."""

    def in_depth_camera(self, tips_mm: np.ndarray) -> np.ndarray:
        """Bring the numbers (..., 5, 3) of the file into the depth camera's frame, x right, y down."""
        return tips_mm

    def sources(self) -> list[Path]:
        """See :class:`LabelledSet`."""
        folders = sorted(path for path in require(self.folder / "data").iterdir() if path.is_dir())
        if not folders:
            raise MalformedFileError(self.folder / "data", "holds no sequence")
        return [self.labels(folder) for folder in folders]

    def rows(self, refuse: Refuse) -> Iterable[Mapping[str, Any]]:
        """See :class:`LabelledSet`."""
        for folder in sorted(path for path in (self.folder / "data").iterdir() if path.is_dir()):
            path = self.labels(folder)
            try:
                tips = self._tips(path)
                images = sorted(require(folder / "color").glob("*.png"))
                if len(images) != len(tips):
                    raise MalformedFileError(
                        path, f"has {len(tips)} lines for the {len(images)} images in color"
                    )
            except MalformedFileError as error:
                refuse(error)
                continue
            for frame, (image, of_frame) in enumerate(zip(images, tips, strict=True)):
                if np.isfinite(of_frame).any():
                    yield {"sequence": folder.name, "frame": frame, "file": image.name, "tips": of_frame}

    def hand(self, row: Mapping[str, Any]) -> LabelledHand:
        """See :class:`LabelledSet`."""
        joints = no_joints()
        joints[hand.FINGERTIPS, :] = row["tips"]
        return LabelledHand(
            path=self.folder / "data" / row["sequence"] / "color" / row["file"],
            side="left",
            camera=self.camera,
            joints_m=joints,
            points_px=project(self.camera, joints),
            sequence=row["sequence"],
            frame=row["frame"],
        )

    def _tips(self, path: Path) -> np.ndarray:
        """Read (n, 5, 3) in metres in the colour camera's frame; NaN where a tip is not labelled."""
        tips = np.array([_numbers(path, number, line) for number, line in enumerate(read_lines(path), 1)])
        tips = tips.reshape(-1, 5, 3)
        unknown = (np.abs(tips) < _ZERO_MM).all(-1) | (np.abs(tips[..., 2]) == _NO_DEPTH_MM)
        tips = np.where(unknown[..., None], np.nan, self.in_depth_camera(tips))
        rotation, shift = self.colour_from_depth[:, :3], self.colour_from_depth[:, 3]
        return (tips @ rotation.T + shift) * _MM


class DexterObjectSet(FingertipSet):
    """Dexter+Object (Sridhar et al. 2016).

    Layout: ``data/<sequence>/annotations/my_<sequence>3D.txt``, ``data/<sequence>/color/*.png``. The file's x
    and y axes point left and up.
    """

    name: ClassVar[str] = "dexter_object"
    title: ClassVar[str] = "Dexter+Object"
    layout: ClassVar[str] = "data/ with a folder for each sequence, such as Grasp1/"
    camera = CameraModel.pinhole(587.45209, 600.67456, 325.0, 249.0, 640, 480)
    colour_from_depth = np.array(
        (
            (0.9999, 0.0034, 0.0161, 19.0473),
            (-0.0033, 1.0000, -0.0079, -1.8514),
            (-0.0162, 0.0079, 0.9998, -4.7501),
        )
    )

    def labels(self, sequence: Path) -> Path:
        """See :class:`FingertipSet`."""
        return sequence / "annotations" / f"my_{sequence.name}3D.txt"

    def in_depth_camera(self, tips_mm: np.ndarray) -> np.ndarray:
        """See :class:`FingertipSet`."""
        return tips_mm * (-1.0, -1.0, 1.0)


class EgoDexterSet(FingertipSet):
    """EgoDexter (Mueller et al. 2017).

    Layout: ``data/<sequence>/my_annotation.txt_3D.txt``, ``data/<sequence>/color/*.png``. Zeros mean that a
    tip is not labelled.
    """

    name: ClassVar[str] = "ego_dexter"
    title: ClassVar[str] = "EgoDexter"
    layout: ClassVar[str] = "data/ with a folder for each sequence, such as Desk/"
    camera = CameraModel.pinhole(617.173, 617.173, 315.453, 242.259, 640, 480)
    colour_from_depth = np.array(
        (
            (1.0000, 0.00090442, -0.0074, 20.2365),
            (-0.00071933, 0.9997, 0.0248, 1.2846),
            (0.0075, -0.0248, 0.9997, 5.7360),
        )
    )

    def labels(self, sequence: Path) -> Path:
        """See :class:`FingertipSet`."""
        return sequence / "my_annotation.txt_3D.txt"


def _numbers(path: Path, number: int, line: str) -> list[list[float]]:
    """Return five triples of a line ``x, y, z; x, y, z; ...;``."""
    try:
        triples = [[float(value) for value in part.split(",")] for part in line.split(";") if part.strip()]
    except ValueError as error:
        raise MalformedFileError(path, f"line {number}: {error}") from error
    if [len(triple) for triple in triples[:5]] != [3] * 5:
        raise MalformedFileError(path, f"line {number} must hold five points x, y, z, got {line!r:.80}")
    return triples[:5]
