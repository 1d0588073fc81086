"""Reader of the Rendered Hand pose Dataset (Zimmermann and Brox 2017), version 2.

Layout: ``{training,evaluation}/anno_{training,evaluation}.pickle``, ``.../color/%05d.png``,
``.../mask/%05d.png``. Images of 320 x 320 pixels show two hands; metres, axes OpenCV's. In the masks, classes
2-17 are the left hand and 18-33 the right one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np

from hand_pose_ros.common.options import Options, option
from hand_pose_ros.datasets.joint_orders import split_hands
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import LabelledSet, Refuse, pinhole
from hand_pose_ros.datasets.storage.files import (
    MalformedFileError,
    floats,
    read_mask,
    read_pickle,
    read_values,
)
from hand_pose_ros.datasets.storage.index import Column

SIZE: Final = (320, 320)
_CLASSES: Final = {"left": range(2, 18), "right": range(18, 34)}


@dataclass(frozen=True)
class RhdOptions(Options):
    """Options of :class:`RhdSet`."""

    split: str = option("evaluation", "Part of the set.", choices=("training", "evaluation"))
    hands: str = option(
        "prominent",
        "Hands of an image: the one that covers more pixels (`prominent`), as the authors' scripts take it, or "
        "`all` with a visible joint.",
        choices=("prominent", "all"),
    )


class RhdSet(LabelledSet[RhdOptions]):
    """RHD. ``visible`` is the set's own; hidden joints have 3D labels too."""

    name: ClassVar[str] = "rhd"
    title: ClassVar[str] = "RHD"
    layout: ClassVar[str] = (
        "training/ and evaluation/, each with anno_*.pickle, color/ and mask/ (RHD_published_v2)"
    )
    options_type = RhdOptions
    columns: ClassVar[Mapping[str, Column]] = {
        "number": Column("<i4"),
        "side": Column("S5"),
        "K": Column("<f8", (3, 3)),
        "joints": Column("<f8", (21, 3)),
        "points": Column("<f8", (21, 2)),
        "visible": Column("u1", (21,)),
    }

    def sources(self) -> list[Path]:
        """See :class:`LabelledSet`."""
        return [self._part / f"anno_{self.options.split}.pickle"]

    def rows(self, refuse: Refuse) -> Iterable[Mapping[str, Any]]:
        """See :class:`LabelledSet`."""
        (path,) = self.sources()
        annotations = read_pickle(path)
        if not isinstance(annotations, dict):
            raise MalformedFileError(path, "must hold a dictionary of annotations")
        for number in sorted(annotations):
            try:
                yield from self._of_image(path, number, annotations[number])
            except MalformedFileError as error:
                refuse(error)

    def hand(self, row: Mapping[str, Any]) -> LabelledHand:
        """See :class:`LabelledSet`."""
        number, side = row["number"], row["side"]
        mask = self._mask(number)
        return LabelledHand(
            path=self._part / "color" / f"{number:05d}.png",
            side=side,
            camera=pinhole(self.sources()[0], row["K"], SIZE),
            joints_m=row["joints"],
            points_px=row["points"],
            visible=row["visible"].astype(bool),
            read_mask=lambda: read_mask(mask, _CLASSES[side]),
            frame=number,
        )

    def _of_image(self, path: Path, number: int, annotation: Any) -> list[dict[str, Any]]:
        try:
            values = [annotation[key] for key in ("xyz", "uv_vis", "K")]
        except (KeyError, TypeError) as error:
            raise MalformedFileError(path, f"entry {number} has no {error}") from error
        shapes = ((42, 3), (42, 3), (3, 3))
        joints, points, matrix = (
            floats(path, value, *shape, what=f"entry {number}")
            for value, shape in zip(values, shapes, strict=True)
        )
        of_sides = {
            name: split_hands(array, "rhd") for name, array in (("joints", joints), ("points", points))
        }
        rows = []
        for side in self._sides(number, of_sides["points"]):
            uv_vis = of_sides["points"][side]
            rows.append(
                {
                    "number": number,
                    "side": side,
                    "K": matrix,
                    "joints": of_sides["joints"][side],
                    "points": uv_vis[:, :2],
                    "visible": uv_vis[:, 2] == 1,
                }
            )
        return rows

    def _sides(self, number: int, points: Mapping[str, np.ndarray]) -> list[str]:
        if self.options.hands == "all":
            return [side for side in _CLASSES if (points[side][:, 2] == 1).any()]
        values = read_values(self._mask(number))
        left, right = (np.isin(values, list(classes)).sum() for classes in _CLASSES.values())
        return ["left" if left > right else "right"]

    def _mask(self, number: int) -> Path:
        return self._part / "mask" / f"{number:05d}.png"

    @property
    def _part(self) -> Path:
        return self.folder / self.options.split
