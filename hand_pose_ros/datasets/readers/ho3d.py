"""Reader of HO-3D, versions 2 and 3 (Hampali et al. 2020, 2022): right hands that hold objects.

Layout: ``{train,evaluation}.txt`` with lines ``<sequence>/<frame>``, ``<split>/<sequence>/rgb/<frame>.png``
(version 3: ``.jpg``), ``<split>/<sequence>/meta/<frame>.pkl``. Metres in OpenGL's axes (x right, y up, z
backwards), which become OpenCV's here by turning y and z. The evaluation split has the root joint and a box
only; where the ground truth that the authors published later (``evaluation_xyz.json``,
``evaluation_verts.json``) lies beside it, it is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.datasets.joint_orders import from_order, to_order
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import LabelledSet, Refuse, no_joints, pinhole, project
from hand_pose_ros.datasets.storage.files import MalformedFileError, floats, read_lines, read_pickle
from hand_pose_ros.datasets.storage.index import Column
from hand_pose_ros.datasets.storage.json_stream import iterate_json

SIZE: Final = (640, 480)
NUM_VERTICES: Final = 778
_FROM_OPENGL: Final = np.array((1.0, -1.0, -1.0))


@dataclass(frozen=True)
class Ho3dOptions(Options):
    """Options of :class:`Ho3dSet`."""

    split: str = option("evaluation", "Part of the set.", choices=("train", "evaluation"))


class Ho3dSet(LabelledSet[Ho3dOptions]):
    """HO-3D. In the evaluation split, hands without published ground truth have a root, and ``box_px``."""

    name: ClassVar[str] = "ho3d"
    title: ClassVar[str] = "HO-3D"
    layout: ClassVar[str] = "train.txt, evaluation.txt, train/ and evaluation/"
    options_type = Ho3dOptions
    columns: ClassVar[Mapping[str, Column]] = {"sequence": Column("S32"), "frame": Column("S16")}
    _truth: ClassVar[Mapping[str, Column]] = {
        "joints": Column("<f8", (hand.NUM_JOINTS, 3)),
        "vertices": Column("<f4", (NUM_VERTICES, 3)),
    }

    def __init__(
        self, folder: str | Path, options: Ho3dOptions | None = None, malformed: str = "fatal"
    ) -> None:
        split = (options or Ho3dOptions()).split
        self._truth_files = [Path(folder) / f"evaluation_{part}.json" for part in ("xyz", "verts")]
        self.has_truth = split == "train" or all(path.is_file() for path in self._truth_files)
        self._has_files = split == "evaluation" and self.has_truth
        super().__init__(folder, options, malformed)

    def index_columns(self) -> Mapping[str, Column]:
        """See :class:`LabelledSet`."""
        return {**self.columns, **self._truth} if self._has_files else self.columns

    def sources(self) -> list[Path]:
        """See :class:`LabelledSet`."""
        files = self._truth_files if self._has_files else []
        return [self.folder / f"{self.options.split}.txt", *files]

    def rows(self, refuse: Refuse) -> Iterable[Mapping[str, Any]]:
        """See :class:`LabelledSet`."""
        path = self.sources()[0]
        truth = self._read_truth() if self._has_files else None
        for line in read_lines(path):
            sequence, _, frame = line.partition("/")
            row: dict[str, Any] = {"sequence": sequence, "frame": frame}
            try:
                if not frame:
                    raise MalformedFileError(path, f"the line {line!r} is not <sequence>/<frame>")
                if truth is not None:
                    row |= next(truth)
            except MalformedFileError as error:
                refuse(error)
                continue
            except StopIteration as error:
                raise MalformedFileError(
                    self._truth_files[0], f"has fewer entries than {path.name}"
                ) from error
            yield row

    def hand(self, row: Mapping[str, Any]) -> LabelledHand:
        """See :class:`LabelledSet`."""
        folder = self.folder / self.options.split / row["sequence"]
        path = folder / "meta" / f"{row['frame']}.pkl"
        labels = read_pickle(path)
        if not isinstance(labels, dict) or "camMat" not in labels or "handJoints3D" not in labels:
            raise MalformedFileError(path, "must hold camMat and handJoints3D")
        camera = pinhole(path, labels["camMat"], SIZE)
        joints = row["joints"] if "joints" in row else _joints(path, labels["handJoints3D"])
        box = labels.get("handBoundingBox")
        jpeg = folder / "rgb" / f"{row['frame']}.jpg"
        return LabelledHand(
            path=jpeg if jpeg.is_file() else jpeg.with_suffix(".png"),
            side="right",
            camera=camera,
            joints_m=joints,
            points_px=project(camera, joints),
            vertices_m=row.get("vertices"),
            box_px=None if box is None else floats(path, box, 4, what="handBoundingBox"),
            subject=row["sequence"].rstrip("0123456789"),
            sequence=row["sequence"],
            frame=int(row["frame"]),
        )

    def _read_truth(self) -> Iterator[dict[str, np.ndarray]]:
        joints_file, vertices_file = self._truth_files
        for (number, joints), (_, vertices) in zip(
            iterate_json(joints_file), iterate_json(vertices_file), strict=False
        ):
            what = f"entry {number}"
            xyz = floats(joints_file, joints, hand.NUM_JOINTS, 3, what=what)
            mesh = floats(vertices_file, vertices, NUM_VERTICES, 3, what=what)
            yield {"joints": from_order(xyz, "ho3d") * _FROM_OPENGL, "vertices": mesh * _FROM_OPENGL}


def to_submission(points_m: np.ndarray, is_joints: bool) -> np.ndarray:
    """Bring joints (21, 3) of our order, or vertices (V, 3), into the axes, and joints into the order, of the
    server.

    Points are in our camera frame, metres.
    """
    return (to_order(points_m, "ho3d") if is_joints else points_m) * _FROM_OPENGL


def _joints(path: Path, values: Any) -> np.ndarray:
    """Return (21, 3) in our frame and order; of a root alone (3,), the others are NaN; of None, all are."""
    if values is None:
        return no_joints()
    if np.shape(values) == (3,):
        joints = no_joints()
        joints[hand.WRIST] = floats(path, values, 3, what="handJoints3D") * _FROM_OPENGL
        return joints
    return from_order(floats(path, values, hand.NUM_JOINTS, 3, what="handJoints3D"), "ho3d") * _FROM_OPENGL
