"""Reader of ``samples.json``, the format of :mod:`hand_pose_ros.datasets.photo_folder`, for sets of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common.options import Options
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import LabelledSet, Refuse, pinhole
from hand_pose_ros.datasets.photo_folder import read_sample
from hand_pose_ros.datasets.storage.files import MalformedFileError
from hand_pose_ros.datasets.storage.index import Column
from hand_pose_ros.datasets.storage.json_stream import iterate_json


@dataclass(frozen=True)
class SamplesOptions(Options):
    """The format has no options."""


class SamplesSet(LabelledSet[SamplesOptions]):
    """A folder with ``samples.json``; ``camera`` is None where a sample has no K."""

    name: ClassVar[str] = "samples"
    title: ClassVar[str] = "samples.json"
    layout: ClassVar[str] = "samples.json and the images that it names"
    options_type = SamplesOptions
    columns: ClassVar[Mapping[str, Column]] = {
        "file": Column("S128"),
        "side": Column("S5"),
        "size": Column("<i4", (2,)),
        "K": Column("<f8", (3, 3)),
        "joints": Column("<f8", (hand.NUM_JOINTS, 3)),
        "points": Column("<f8", (hand.NUM_JOINTS, 2)),
        "camera": Column("S32"),
        "frame": Column("<i4"),
        "subject": Column("S64"),
    }

    def sources(self) -> list[Path]:
        """See :class:`LabelledSet`."""
        return [self.folder / "samples.json"]

    def rows(self, refuse: Refuse) -> Iterable[Mapping[str, Any]]:
        """See :class:`LabelledSet`."""
        (path,) = self.sources()
        for number, sample in iterate_json(path, "samples"):
            try:
                photo = read_sample(self.folder, sample)
                camera = photo.camera
                yield {
                    "file": photo.path.relative_to(self.folder).as_posix(),
                    "side": photo.side,
                    "size": (0, 0) if camera is None else (camera.width, camera.height),
                    "K": np.full((3, 3), np.nan) if camera is None else camera.K.numpy(),
                    "joints": photo.joints_m,
                    "points": photo.points_px,
                    "camera": sample.get("camera", ""),
                    "frame": sample.get("frame", number),
                    "subject": photo.subject,
                }
            except (KeyError, TypeError, ValueError) as error:
                refuse(MalformedFileError(path, f"sample {number}: {error!r}"))

    def hand(self, row: Mapping[str, Any]) -> LabelledHand:
        """See :class:`LabelledSet`."""
        known = np.isfinite(row["K"]).all()
        return LabelledHand(
            path=self.folder / row["file"],
            side=row["side"],
            camera=pinhole(self.sources()[0], row["K"], tuple(row["size"].tolist())) if known else None,
            joints_m=row["joints"],
            points_px=row["points"],
            camera_name=row["camera"],
            frame=row["frame"],
            subject=row["subject"],
        )
