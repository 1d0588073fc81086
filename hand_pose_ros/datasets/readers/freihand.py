"""Reader of FreiHAND (Zimmermann et al. 2019): right hands in crops of 224 x 224 pixels, with MANO meshes.

Layout: ``{training,evaluation}_{K,xyz,verts}.json``, ``training/{rgb,mask}/%08d.jpg``,
``evaluation/rgb/%08d.jpg``. Lengths are metres, axes OpenCV's. The training images come in four versions of
the same poses; version v of pose i is image ``i + v n``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

from hand_pose_ros.common.options import Options, option
from hand_pose_ros.datasets.joint_orders import from_order
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import LabelledSet, Refuse, pinhole, project
from hand_pose_ros.datasets.storage.files import MalformedFileError, floats, read_mask
from hand_pose_ros.datasets.storage.index import Column
from hand_pose_ros.datasets.storage.json_stream import iterate_json

SIZE: Final = (224, 224)
NUM_VERTICES: Final = 778
"""Vertices of MANO."""
_VERSIONS: Final = 4
_MASK: Final = range(128, 256)  # masks are JPEG files, so their values are not exact


@dataclass(frozen=True)
class FreiHandOptions(Options):
    """Options of :class:`FreiHandSet`."""

    split: str = option(
        "evaluation",
        "Part of the set; evaluation needs the published ground truth.",
        choices=("training", "evaluation"),
    )
    versions: str = option(
        "all",
        "Versions of the training images: `all` four, or the first (`green_screen`).",
        choices=("all", "green_screen"),
    )
    vertices: bool = option(True, "Read the meshes; they make up most of the index.")


class FreiHandSet(LabelledSet[FreiHandOptions]):
    """FreiHAND; ``faces`` are None, since MANO's are not part of the set."""

    name: ClassVar[str] = "freihand"
    title: ClassVar[str] = "FreiHAND"
    layout: ClassVar[str] = (
        "{training,evaluation}_{K,xyz,verts}.json, training/ and evaluation/; those of the evaluation part were "
        "published later"
    )
    options_type = FreiHandOptions
    columns: ClassVar[Mapping[str, Column]] = {
        "number": Column("<i4"),
        "K": Column("<f8", (3, 3)),
        "joints": Column("<f8", (21, 3)),
        "vertices": Column("<f4", (NUM_VERTICES, 3)),
    }

    def __init__(
        self, folder: str | Path, options: FreiHandOptions | None = None, malformed: str = "fatal"
    ) -> None:
        super().__init__(folder, options, malformed)
        self._poses = len(self._index) + self._index.skipped_count

    def index_columns(self) -> Mapping[str, Column]:
        """See :class:`LabelledSet`."""
        without = () if self.options.vertices else ("vertices",)
        return {name: column for name, column in self.columns.items() if name not in without}

    def sources(self) -> list[Path]:
        """See :class:`LabelledSet`."""
        parts = ("K", "xyz", "verts") if self.options.vertices else ("K", "xyz")
        return [self.folder / f"{self.options.split}_{part}.json" for part in parts]

    def rows(self, refuse: Refuse) -> Iterable[Mapping[str, Any]]:
        """See :class:`LabelledSet`."""
        paths = self.sources()
        shapes = {"K": (3, 3), "joints": (21, 3), "vertices": (NUM_VERTICES, 3)}
        streams = [iterate_json(path) for path in paths]
        while True:
            entries = [next(stream, None) for stream in streams]
            if all(entry is None for entry in entries):
                return
            row: dict[str, Any] = {}
            try:
                for path, entry, (name, shape) in zip(paths, entries, shapes.items(), strict=False):
                    if entry is not None:
                        row["number"], value = entry
                        row[name] = floats(path, value, *shape, what=f"entry {entry[0]}")
            except MalformedFileError as error:
                refuse(error)
                continue
            for path, entry in zip(paths, entries, strict=True):
                if entry is None:
                    raise MalformedFileError(
                        path, f"has {row['number']} entries, fewer than the files beside it"
                    )
            yield row

    def __len__(self) -> int:
        """Number of images."""
        return len(self._index) * self._versions

    def __getitem__(self, number: int) -> LabelledHand:
        """See :class:`LabelledSet`."""
        number = number if number >= 0 else number + len(self)
        if not 0 <= number < len(self):
            raise IndexError(f"hand {number} of {len(self)}")
        version, pose = divmod(number, len(self._index))
        return self.hand({**self._index.row(pose), "version": version})

    def hand(self, row: Mapping[str, Any]) -> LabelledHand:
        """See :class:`LabelledSet`."""
        split, number = self.options.split, row["number"]
        folder = self.folder / split
        camera = pinhole(self.folder / f"{split}_K.json", row["K"], SIZE)
        joints = from_order(row["joints"], "freihand")
        mask = folder / "mask" / f"{number:08d}.jpg"
        return LabelledHand(
            path=folder / "rgb" / f"{number + row.get('version', 0) * self._poses:08d}.jpg",
            side="right",
            camera=camera,
            joints_m=joints,
            points_px=project(camera, joints),
            vertices_m=row.get("vertices"),
            read_mask=(lambda: read_mask(mask, _MASK)) if split == "training" else None,
            frame=number,
        )

    @property
    def _versions(self) -> int:
        one = self.options.split == "evaluation" or self.options.versions == "green_screen"
        return 1 if one else _VERSIONS
