"""Reader of the Stereo hand pose Tracking Benchmark (Zhang et al. 2016), stereo pairs of the BB camera.

Layout: ``labels/<sequence>_BB.mat`` with ``handPara`` (3, 21, 1500), and
``<sequence>/BB_{left,right}_<n>.png`` (or the same below ``images/``). Left hands; millimetres in the left
camera's frame, axes OpenCV's. The first joint is the centre of the palm. The sequences of background B1 are
for evaluation. Of the other camera (SK, RGB-D) nothing is read: its labels are in the frame of the depth
camera.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import scipy.io

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.datasets.joint_orders import from_order
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import LabelledSet, Refuse, project
from hand_pose_ros.datasets.storage.files import MalformedFileError, require
from hand_pose_ros.datasets.storage.index import Column

CAMERA: Final = CameraModel.pinhole(822.79041, 822.79041, 318.47345, 250.31296, 640, 480)
"""Both cameras of the pair, as the set's documentation gives them."""
BASELINE_M: Final = 0.120054
_MOTIONS: Final = ("Counting", "Random")
_BACKGROUNDS: Final = {"evaluation": (1,), "training": (2, 3, 4, 5, 6)}
_MM: Final = 1e-3


@dataclass(frozen=True)
class StbOptions(Options):
    """Options of :class:`StbSet`."""

    split: str = option("evaluation", "Part of the set.", choices=("training", "evaluation"))
    camera: str = option("left", "Camera of the stereo pair, or `both`.", choices=("left", "right", "both"))


class StbSet(LabelledSet[StbOptions]):
    """STB; ``palm_root`` is set."""

    name: ClassVar[str] = "stb"
    title: ClassVar[str] = "STB"
    layout: ClassVar[str] = (
        "labels/ with B1Counting_BB.mat and the others, and B1Counting/ ... with images, or images/ with these"
    )
    options_type = StbOptions
    columns: ClassVar[Mapping[str, Column]] = {
        "sequence": Column("S16"),
        "number": Column("<i4"),
        "camera": Column("S5"),
        "joints": Column("<f8", (21, 3)),
    }

    def sources(self) -> list[Path]:
        """See :class:`LabelledSet`."""
        return [self._labels(sequence) for sequence in self._sequences()]

    def rows(self, refuse: Refuse) -> Iterable[Mapping[str, Any]]:
        """See :class:`LabelledSet`."""
        cameras = ("left", "right") if self.options.camera == "both" else (self.options.camera,)
        for sequence in self._sequences():
            try:
                labels = _read_labels(self._labels(sequence))
            except MalformedFileError as error:
                refuse(error)
                continue
            for number, joints in enumerate(labels):
                for camera in cameras:
                    yield {"sequence": sequence, "number": number, "camera": camera, "joints": joints}

    def hand(self, row: Mapping[str, Any]) -> LabelledHand:
        """See :class:`LabelledSet`."""
        joints = row["joints"] - ((BASELINE_M if row["camera"] == "right" else 0.0), 0.0, 0.0)
        return LabelledHand(
            path=self._images(row["sequence"]) / f"BB_{row['camera']}_{row['number']}.png",
            side="left",
            camera=CAMERA,
            joints_m=joints,
            points_px=project(CAMERA, joints),
            palm_root=True,
            sequence=row["sequence"],
            camera_name=f"BB_{row['camera']}",
            frame=row["number"],
        )

    def _sequences(self) -> list[str]:
        numbers = _BACKGROUNDS[self.options.split]
        return [f"B{number}{motion}" for number in numbers for motion in _MOTIONS]

    def _labels(self, sequence: str) -> Path:
        return self.folder / "labels" / f"{sequence}_BB.mat"

    def _images(self, sequence: str) -> Path:
        below = self.folder / "images" / sequence
        return below if below.is_dir() else self.folder / sequence


def _read_labels(path: Path) -> np.ndarray:
    """Read joints (n, 21, 3) in metres and our order; joint 0 is the palm's centre.

    Raises:
        MalformedFileError: the file is missing, or not such a file.
    """
    try:
        labels = scipy.io.loadmat(str(require(path)))["handPara"]
    except MalformedFileError:
        raise
    except Exception as error:  # of scipy's reader, zlib or a missing variable
        raise MalformedFileError(path, f"not a MATLAB file with handPara: {error}") from error
    if labels.ndim != 3 or labels.shape[:2] != (3, 21):
        raise MalformedFileError(path, f"handPara must be (3, 21, n), got {labels.shape}")
    return from_order(labels.transpose(2, 1, 0).astype(np.float64) * _MM, "stb")
