"""Reader of the hands of MPII and NZSL, and of multi-view bootstrapping (MVBS), by Simon et al. 2017: 2D
only.

Layout of MPII + NZSL (the download ``hand_labels``): ``manual_{train,test}/<name>.{json,jpg}``, an image a
hand; of MVBS (``hand143_panopticdb``): ``hands_v143_14817.json`` and ``imgs/%08d.jpg``. A point is x, y and
whether it is labelled; joints in our order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import LabelledSet, Refuse, no_joints
from hand_pose_ros.datasets.storage.files import MalformedFileError, floats, read_json, require
from hand_pose_ros.datasets.storage.index import Column
from hand_pose_ros.datasets.storage.json_stream import iterate_json

_MVBS_FILE: Final = "hands_v143_14817.json"
_BOX_OF_HEAD: Final = 0.7
"""Side of the square that the papers look for the hand in, in head sizes."""
_HEAD_OF_DIAGONAL: Final = 0.6  # of the head's box: MPII's rule


@dataclass(frozen=True)
class HandLabelsOptions(Options):
    """Options of :class:`HandLabelsSet`."""

    split: str = option(
        "test", "Part of MPII + NZSL, or `mvbs`, which is for training.", choices=("train", "test", "mvbs")
    )


class HandLabelsSet(LabelledSet[HandLabelsOptions]):
    """MPII + NZSL or MVBS. No camera and no 3D; ``head_size_px`` and ``box_px`` where the set gives them."""

    name: ClassVar[str] = "hand_labels"
    title: ClassVar[str] = "MPII + NZSL"
    layout: ClassVar[str] = (
        "manual_train/ and manual_test/; or, for the part mvbs, hands_v143_14817.json and imgs/"
    )
    options_type = HandLabelsOptions
    columns: ClassVar[Mapping[str, Column]] = {
        "file": Column("S96"),
        "left": Column("u1"),
        "points": Column("<f8", (hand.NUM_JOINTS, 2)),
        "head": Column("<f8"),
        "centre": Column("<f8", (2,)),
    }

    def sources(self) -> list[Path]:
        """See :class:`LabelledSet`."""
        if self.options.split == "mvbs":
            return [self.folder / _MVBS_FILE]
        files = sorted(require(self.folder / f"manual_{self.options.split}").glob("*.json"))
        if not files:
            raise MalformedFileError(self.folder / f"manual_{self.options.split}", "holds no .json file")
        return files

    def rows(self, refuse: Refuse) -> Iterable[Mapping[str, Any]]:
        """See :class:`LabelledSet`."""
        if self.options.split == "mvbs":
            path = self.sources()[0]
            entries: Iterable[tuple[Path, str, Any]] = (
                (path, f"imgs/{number:08d}.jpg", entry) for number, entry in iterate_json(path, "root")
            )
        else:
            entries = (
                (path, path.with_suffix(".jpg").relative_to(self.folder).as_posix(), None)
                for path in self.sources()
            )
        for path, file, entry in entries:
            try:
                yield self._row(path, file, read_json(path) if entry is None else entry)
            except MalformedFileError as error:
                refuse(error)

    def hand(self, row: Mapping[str, Any]) -> LabelledHand:
        """See :class:`LabelledSet`."""
        half = _BOX_OF_HEAD * row["head"] / 2
        box = np.concatenate((row["centre"] - half, row["centre"] + half))
        return LabelledHand(
            path=self.folder / row["file"],
            side="left" if row["left"] else "right",
            camera=None,
            joints_m=no_joints(),
            points_px=row["points"],
            box_px=box if np.isfinite(box).all() else None,
            head_size_px=row["head"] if np.isfinite(row["head"]) else None,
        )

    def _row(self, path: Path, file: str, entry: Any) -> dict[str, Any]:
        if not isinstance(entry, dict):
            raise MalformedFileError(path, "must hold an object for each hand")
        values = entry.get("hand_pts", entry.get("joint_self"))
        points = floats(path, values, hand.NUM_JOINTS, 3, what=f"the points of {file}")
        centre = entry.get("hand_box_center")
        return {
            "file": file,
            "left": bool(entry.get("is_left", False)),
            "points": np.where(points[:, 2:] > 0, points[:, :2], np.nan),
            "head": _head_size(path, entry),
            "centre": (np.nan, np.nan) if centre is None else floats(path, centre, 2, what="hand_box_center"),
        }


def _head_size(path: Path, entry: Mapping[str, Any]) -> float:
    """Return the size of the head, pixels; NaN without one."""
    if entry.get("head_size") is not None:
        return float(floats(path, entry["head_size"], what="head_size"))
    if entry.get("head_box") is None:
        return float("nan")
    corners = floats(path, np.ravel(entry["head_box"]), 4, what="head_box").reshape(2, 2)
    return _HEAD_OF_DIAGONAL * float(np.linalg.norm(corners[1] - corners[0]))
