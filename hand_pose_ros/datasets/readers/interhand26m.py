"""Reader of InterHand2.6M (Moon et al. 2020), at 5 or 30 frames per second.

Layout: ``annotations/<annotator>/InterHand2.6M_<split>_{data,camera,joint_3d}.json`` with the annotators
``human_annot``, ``machine_annot`` and ``all`` (version 1.0 has ``annotations/<split>/`` in place of ``all``),
and ``images/<split>/<file_name>``. World millimetres; ``X_camera = R (X_world - position)``. The set at 30
frames per second is a download of its own with the same layout: open its folder.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.datasets.joint_orders import split_hands
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import LabelledSet, Refuse, project
from hand_pose_ros.datasets.storage.files import MalformedFileError, floats, read_json
from hand_pose_ros.datasets.storage.index import Column
from hand_pose_ros.datasets.storage.json_stream import EVERY, iterate_json

_MM: Final = 1e-3
_SIDES: Final = {"right": ("right",), "left": ("left",), "interacting": ("right", "left")}
_FILE: Final = "Capture{capture}/{sequence}/cam{camera}/image{frame}.jpg"


@dataclass(frozen=True)
class InterHandOptions(Options):
    """Options of :class:`InterHandSet`."""

    split: str = option("test", "Part of the set.", choices=("train", "val", "test"))
    annotator: str = option(
        "all",
        "Who annotated: people (`human_annot`, H), a network (`machine_annot`, M), or `all` (H + M).",
        choices=("human_annot", "machine_annot", "all"),
    )
    hands: str = option(
        "all", "Images of one hand, of two, or of both kinds.", choices=("single", "interacting", "all")
    )


class _Image(NamedTuple):
    """An entry of the data file; ``file`` is '' if it is the name that follows from the other facts."""

    capture: int
    subject: int
    sequence: str
    camera: str
    frame: int
    width: int
    height: int
    file: str


class _Images:
    """The images of the data file by id: some forty bytes each, since there are millions."""

    _NUMBERS: ClassVar = ("capture", "subject", "frame", "width", "height")

    def __init__(self) -> None:
        self._ids = array("q")
        self._numbers = {name: array("i") for name in (*self._NUMBERS, "sequence", "camera")}
        self._names: dict[str, int] = {}
        self._odd_files: dict[int, str] = {}
        self._order: np.ndarray | None = None

    def add(self, path: Path, entry: Mapping[str, Any]) -> None:
        """Add an entry of the file.

        Raises:
            MalformedFileError: a fact is missing.
        """
        try:
            number, sequence, camera = int(entry["id"]), entry["seq_name"], str(entry["camera"])
            facts = {
                "capture": entry["capture"],
                "frame": entry["frame_idx"],
                "subject": entry.get("subject", -1),
            }
            numbers = [int(facts.get(name, entry.get(name, 0))) for name in self._NUMBERS]
            size = entry["width"], entry["height"]
            file = entry["file_name"]
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedFileError(path, f"image {entry!r:.80}: {error!r}") from error
        if file != _FILE.format(**facts, sequence=sequence, camera=camera):
            self._odd_files[number] = file
        numbers[-2:] = size
        self._ids.append(number)
        texts = [self._names.setdefault(name, len(self._names)) for name in (sequence, camera)]
        for column, value in zip(self._numbers.values(), (*numbers, *texts), strict=True):
            column.append(value)
        self._order = None

    def __getitem__(self, number: int) -> _Image:
        """Return an image; KeyError without one of that id."""
        if self._order is None:
            self._order = np.argsort(np.frombuffer(self._ids, np.int64), kind="stable")
            self._sorted = np.frombuffer(self._ids, np.int64)[self._order]
            self._texts = list(self._names)
        place = int(np.searchsorted(self._sorted, number))
        if place == len(self._sorted) or self._sorted[place] != number:
            raise KeyError(number)
        row = int(self._order[place])
        facts: dict[str, Any] = {name: column[row] for name, column in self._numbers.items()}
        facts |= {name: self._texts[facts[name]] for name in ("sequence", "camera")}
        return _Image(**facts, file=self._odd_files.get(number, ""))


class InterHandSet(LabelledSet[InterHandOptions]):
    """InterHand2.6M; one entry a hand. ``group`` is 'single' or 'interacting'; joints that are not valid are
    NaN.
    """

    name: ClassVar[str] = "interhand26m"
    title: ClassVar[str] = "InterHand2.6M"
    layout: ClassVar[str] = (
        "annotations/ with human_annot/, machine_annot/ and all/ (or train/, val/ and test/), and images/"
    )
    options_type = InterHandOptions
    columns: ClassVar[Mapping[str, Column]] = {
        "file": Column("S112"),
        "side": Column("S5"),
        "group": Column("S11"),
        "capture": Column("<i2"),
        "subject": Column("<i2"),
        "sequence": Column("S48"),
        "camera": Column("S12"),
        "frame": Column("<i4"),
        "size": Column("<i2", (2,)),
        "joints": Column("<f4", (21, 3)),
        "valid": Column("u1", (21,)),
    }

    def __init__(
        self, folder: str | Path, options: InterHandOptions | None = None, malformed: str = "fatal"
    ) -> None:
        super().__init__(folder, options, malformed)
        self._cameras = read_json(self._file("camera"))

    def sources(self) -> list[Path]:
        """See :class:`LabelledSet`."""
        return [self._file(part) for part in ("data", "camera", "joint_3d")]

    def rows(self, refuse: Refuse) -> Iterable[Mapping[str, Any]]:
        """See :class:`LabelledSet`."""
        path = self._file("data")
        cameras = _Poses(self, read_json(self._file("camera")))
        joints = dict(self._world_joints())
        images = _Images()
        for _, entry in iterate_json(path, "images"):
            try:
                images.add(path, entry)
            except MalformedFileError as error:
                refuse(error)
        for _, annotation in iterate_json(path, "annotations"):
            try:
                yield from self._of_annotation(annotation, images, cameras, joints)
            except MalformedFileError as error:
                refuse(error)

    def hand(self, row: Mapping[str, Any]) -> LabelledHand:
        """See :class:`LabelledSet`."""
        camera = self._camera(self._cameras, row["capture"], row["camera"], tuple(row["size"].tolist()))
        joints = np.where(row["valid"][:, None] > 0, row["joints"], np.nan)
        file = row["file"] or _FILE.format(**row)
        return LabelledHand(
            path=self.folder / "images" / self.options.split / file,
            side=row["side"],
            camera=camera,
            joints_m=joints,
            points_px=project(camera, joints),
            subject=str(row["subject"]),
            sequence=f"Capture{row['capture']}/{row['sequence']}",
            camera_name=row["camera"],
            frame=row["frame"],
            group=row["group"],
        )

    def _world_joints(self) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
        """Yield (capture, frame) and the joints (42, 3) in world millimetres."""
        path = self._file("joint_3d")
        for (capture, frame), entry in iterate_json(path, EVERY):
            coordinates = entry["world_coord"] if isinstance(entry, dict) else entry
            joints = floats(path, coordinates, 42, 3, what=f"capture {capture}, frame {frame}")
            yield (capture, frame), joints.astype(np.float32)

    def _of_annotation(
        self,
        annotation: Mapping[str, Any],
        images: _Images,
        cameras: _Poses,
        joints: Mapping[tuple[str, str], np.ndarray],
    ) -> Iterator[dict[str, Any]]:
        try:
            image = images[annotation["image_id"]]
            kind = annotation["hand_type"]
            valid = split_hands(np.asarray(annotation["joint_valid"]).reshape(42, 1) > 0, "interhand26m")
            sides = _SIDES[kind]
        except (KeyError, TypeError, ValueError) as error:
            raise MalformedFileError(
                self._file("data"), f"annotation {annotation!r:.80}: {error!r}"
            ) from error
        group = "interacting" if kind == "interacting" else "single"
        if self.options.hands not in ("all", group):
            return
        world = joints.get((str(image.capture), str(image.frame)))
        if world is None:
            raise MalformedFileError(
                self._file("joint_3d"), f"capture {image.capture} has no frame {image.frame}"
            )
        rotation, position = cameras[image.capture, image.camera]
        in_camera = split_hands((world.astype(np.float64) - position) @ rotation.T * _MM, "interhand26m")
        for side in sides:
            yield {
                "file": image.file,
                "side": side,
                "group": group,
                "capture": image.capture,
                "subject": image.subject,
                "sequence": image.sequence,
                "camera": image.camera,
                "frame": image.frame,
                "size": (image.width, image.height),
                "joints": in_camera[side],
                "valid": valid[side][:, 0],
            }

    def pose(self, cameras: Mapping[str, Any], capture: int, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return R (3, 3) and the position (3,), world millimetres, of a camera."""
        path = self._file("camera")
        values = [self._entry(cameras, capture, key, name) for key in ("camrot", "campos")]
        what = f"camera {name} of capture {capture}"
        return floats(path, values[0], 3, 3, what=what), floats(path, values[1], 3, what=what)

    def _camera(
        self, cameras: Mapping[str, Any], capture: int, name: str, size: tuple[int, int]
    ) -> CameraModel:
        path = self._file("camera")
        values = [self._entry(cameras, capture, key, name) for key in ("focal", "princpt")]
        (fx, fy), (cx, cy) = (floats(path, value, 2, what=f"camera {name}").tolist() for value in values)
        return CameraModel.pinhole(fx, fy, cx, cy, *size)

    def _entry(self, cameras: Mapping[str, Any], capture: int, key: str, name: str) -> Any:
        try:
            return cameras[str(capture)][key][name]
        except (KeyError, TypeError) as error:
            raise MalformedFileError(
                self._file("camera"), f"capture {capture} has no {key} of camera {name}"
            ) from error

    @cached_property
    def _annotations(self) -> Path:
        """The folder of the annotation files."""
        folder = self.folder / "annotations" / self.options.annotator
        version_1 = self.folder / "annotations" / self.options.split
        if self.options.annotator == "all" and not folder.is_dir() and version_1.is_dir():
            return version_1
        return folder

    def _file(self, part: str) -> Path:
        return self._annotations / f"InterHand2.6M_{self.options.split}_{part}.json"


class _Poses(dict[tuple[int, str], tuple[np.ndarray, np.ndarray]]):
    """R (3, 3) and position (3,) of cameras by capture and name; each is read from the camera file once."""

    def __init__(self, hands: InterHandSet, cameras: Mapping[str, Any]) -> None:
        super().__init__()
        self._hands, self._cameras = hands, cameras

    def __missing__(self, key: tuple[int, str]) -> tuple[np.ndarray, np.ndarray]:
        self[key] = self._hands.pose(self._cameras, *key)
        return self[key]
