"""Reader of DexYCB (Chao et al. 2021), and of recordings in its layout.

Layout: ``<subject>/<sequence>/meta.yml``, ``<subject>/<sequence>/<serial>/{color_%06d.jpg,labels_%06d.npz}``,
``calibration/intrinsics/<serial>_640x480.yml``. Metres, axes OpenCV's, in the frame of each colour camera.
Labels of -1 everywhere mean that the hand is not in the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.datasets.joint_orders import from_order
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import LabelledSet, Refuse, pinhole
from hand_pose_ros.datasets.storage.files import (
    MalformedFileError,
    floats,
    npz_names,
    read_npz,
    read_yaml,
    require,
)
from hand_pose_ros.datasets.storage.index import Column

SIZE: Final = (640, 480)
SERIALS: Final = (
    "836212060125", "839512060362", "840412060917", "841412060263",
    "932122060857", "932122060861", "932122061900", "932122062010",
)  # fmt: skip
SEQUENCES: Final = 100
"""Sequences of each subject; the published splits count them."""
_HAND_LABEL: Final = 255  # of the segmentation
_JOINTS: Final = ("joint_3d", "joint_2d")
_ALL: Final = range(SEQUENCES)
_TEST_OBJECTS: Final = {"val": (3, 19), "test": (7, 11, 15)}
_BOX_GROWTH: Final = 0.25  # on each side: the box of HandOccNet is 1.5 times that of the joints


class Split(NamedTuple):
    """Numbers of the subjects, cameras and sequences, in alphabetical order, that a part of the set consists
    of.
    """

    subjects: tuple[int, ...]
    serials: tuple[int, ...]
    sequences: tuple[int, ...]


@dataclass(frozen=True)
class DexYcbOptions(Options):
    """Options of :class:`DexYcbSet`."""

    setup: str = option(
        "s0",
        "Split of the authors: `s0` the same subjects, cameras and objects, `s1` new subjects, `s2` new cameras, "
        "`s3` new objects; `all` takes whatever sequences are there.",
        choices=("s0", "s1", "s2", "s3", "all"),
    )
    split: str = option("test", "Part of the setup.", choices=("train", "val", "test"))
    filter: str = option(
        "labelled",
        "Frames to take: those with a labelled hand, as in the authors' evaluation, or of these the ones whose "
        "box, 1.5 times that of the joints, meets the image (`in_image`), as in HandOccNet's training.",
        choices=("labelled", "in_image"),
    )
    side: str = option("both", "Hands to take.", choices=("both", "left", "right"))


class DexYcbSet(LabelledSet[DexYcbOptions]):
    """DexYCB; ``read_mask`` is the hand's segmentation where the labels have one."""

    name: ClassVar[str] = "dexycb"
    title: ClassVar[str] = "DexYCB"
    layout: ClassVar[str] = "the folders of the subjects, such as 20200709-subject-01/, and calibration/"
    options_type = DexYcbOptions
    columns: ClassVar[Mapping[str, Column]] = {
        "sequence": Column("S64"),
        "serial": Column("S16"),
        "frame": Column("<i4"),
        "side": Column("S5"),
        "joints": Column("<f4", (hand.NUM_JOINTS, 3)),
        "points": Column("<f4", (hand.NUM_JOINTS, 2)),
        "has_mask": Column("u1"),
    }

    def __init__(
        self, folder: str | Path, options: DexYcbOptions | None = None, malformed: str = "fatal"
    ) -> None:
        self._intrinsics: dict[str, np.ndarray] = {}
        super().__init__(folder, options, malformed)

    def sources(self) -> list[Path]:
        """See :class:`LabelledSet`."""
        return [folder / "meta.yml" for folder in self._sequences()]

    def rows(self, refuse: Refuse) -> Iterable[Mapping[str, Any]]:
        """See :class:`LabelledSet`."""
        for folder in self._sequences():
            path = folder / "meta.yml"
            try:
                meta = read_yaml(path)
                side, count = meta["mano_sides"][0], int(meta["num_frames"])
                hand.check_side(side)
            except (KeyError, TypeError, IndexError, ValueError) as error:
                refuse(_named(path, error))
                continue
            if self.options.side not in ("both", side):
                continue
            serials = self._serials(folder)
            if not serials:
                refuse(MalformedFileError(folder, "holds no folder of a camera with color_*.jpg"))
            for serial in serials:
                for frame in range(count):
                    try:
                        yield from self._of_frame(folder, serial, frame, side)
                    except MalformedFileError as error:
                        refuse(error)

    def hand(self, row: Mapping[str, Any]) -> LabelledHand:
        """See :class:`LabelledSet`."""
        folder = self.folder / row["sequence"] / row["serial"]
        labels = folder / f"labels_{row['frame']:06d}.npz"
        subject, _, _ = row["sequence"].rpartition("/")
        return LabelledHand(
            path=folder / f"color_{row['frame']:06d}.jpg",
            side=row["side"],
            camera=pinhole(self._intrinsics_file(row["serial"]), self._matrix(row["serial"]), SIZE),
            joints_m=row["joints"],
            points_px=row["points"],
            read_mask=(lambda: read_npz(labels)["seg"] == _HAND_LABEL) if row["has_mask"] else None,
            subject=subject,
            sequence=row["sequence"],
            camera_name=row["serial"],
            frame=row["frame"],
        )

    def _of_frame(self, folder: Path, serial: str, frame: int, side: str) -> Iterator[dict[str, Any]]:
        path = folder / serial / f"labels_{frame:06d}.npz"
        names = npz_names(path)
        if not set(_JOINTS) <= set(names):
            raise MalformedFileError(path, f"holds {sorted(names)}, not joint_3d and joint_2d")
        labels = read_npz(path, _JOINTS)  # without the segmentation, which takes five times as long
        joints = floats(path, labels["joint_3d"], 1, hand.NUM_JOINTS, 3, what="joint_3d")[0]
        if (joints == -1).all():
            return
        points = floats(path, labels["joint_2d"], 1, hand.NUM_JOINTS, 2, what="joint_2d")[0]
        if self.options.filter == "in_image" and not _meets_image(points):
            return
        yield {
            "sequence": folder.relative_to(self.folder).as_posix(),
            "serial": serial,
            "frame": frame,
            "side": side,
            "joints": from_order(joints, "dexycb"),
            "points": from_order(points, "dexycb"),
            "has_mask": "seg" in names,
        }

    def _sequences(self) -> list[Path]:
        """List the folders of the sequences of the split.

        Raises:
            MalformedFileError: a subject of the split is missing or has not all of its sequences.
        """
        if self.options.setup == "all":
            found = sorted(path.parent for path in self.folder.glob("*/*/meta.yml"))
            if not found:
                raise MalformedFileError(self.folder, "holds no <subject>/<sequence>/meta.yml")
            return found
        split = split_of(self.options.setup, self.options.split)
        subjects = sorted(path for path in self.folder.glob("20*") if path.is_dir())
        found = []
        for number in split.subjects:
            if number >= len(subjects):
                raise MalformedFileError(
                    self.folder, f"has {len(subjects)} subjects; the split needs number {number}"
                )
            sequences = sorted(path for path in subjects[number].iterdir() if path.is_dir())
            if len(sequences) != SEQUENCES:
                raise MalformedFileError(
                    subjects[number],
                    f"has {len(sequences)} sequences, not {SEQUENCES}, so the published splits cannot be told; "
                    "setup=all takes what is there",
                )
            found += [sequences[i] for i in split.sequences]
        return found

    def _serials(self, folder: Path) -> list[str]:
        if self.options.setup == "all":
            return sorted(path.name for path in folder.iterdir() if any(path.glob("color_*.jpg")))
        return [SERIALS[i] for i in split_of(self.options.setup, self.options.split).serials]

    def _intrinsics_file(self, serial: str) -> Path:
        return self.folder / "calibration" / "intrinsics" / f"{serial}_{SIZE[0]}x{SIZE[1]}.yml"

    def _matrix(self, serial: str) -> np.ndarray:
        if serial not in self._intrinsics:
            path = self._intrinsics_file(serial)
            try:
                colour = read_yaml(require(path))["color"]
                fx, fy, cx, cy = (float(colour[key]) for key in ("fx", "fy", "ppx", "ppy"))
            except (KeyError, TypeError, ValueError) as error:
                raise _named(path, error) from error
            self._intrinsics[serial] = np.array(((fx, 0, cx), (0, fy, cy), (0, 0, 1)))
        return self._intrinsics[serial]


def split_of(setup: str, part: str) -> Split:
    """Return what a part ('train', 'val', 'test') of a setup ('s0' ... 's3') consists of, as Chao et al. define
    it.
    """
    subjects, serials = tuple(range(10)), tuple(range(8))
    if setup == "s0":  # every fifth sequence is held out, of two subjects for validation
        held_out = tuple(i for i in _ALL if i % 5 == 4)
        sequences = tuple(i for i in _ALL if i % 5 != 4) if part == "train" else held_out
        return Split({"train": subjects, "val": (0, 1), "test": subjects[2:]}[part], serials, sequences)
    if setup == "s1":
        of_part = {"train": (0, 1, 2, 3, 4, 5, 9), "val": (6,), "test": (7, 8)}
        return Split(of_part[part], serials, tuple(_ALL))
    if setup == "s2":
        return Split(subjects, {"train": serials[:6], "val": (6,), "test": (7,)}[part], tuple(_ALL))
    if setup != "s3":
        raise ValueError(f"setup must be s0, s1, s2 or s3, got {setup!r}")
    objects = _TEST_OBJECTS.get(part)  # five sequences of each of twenty objects
    held_out = {number for numbers in _TEST_OBJECTS.values() for number in numbers}
    taken = (i for i in _ALL if (i // 5 in objects if objects is not None else i // 5 not in held_out))
    return Split(subjects, serials, tuple(taken))


def _meets_image(points: np.ndarray) -> bool:
    """Whether the box around points (21, 2), 1.5 times as large, and the image overlap."""
    low, high = points.min(0), points.max(0)
    margin = _BOX_GROWTH * (high - low)
    left, top = np.maximum(low - margin, 0)
    right, bottom = np.minimum(high + margin, np.array(SIZE) - 1.0)
    return bool(right >= left and bottom >= top)


def _named(path: Path, error: Exception) -> MalformedFileError:
    return (
        error if isinstance(error, MalformedFileError) else MalformedFileError(path, f"malformed: {error!r}")
    )
