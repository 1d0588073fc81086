"""Reader of hands in COCO's annotation format: COCO-WholeBody (Jin et al. 2020) and sets of hands in its
style.

A whole-body annotation has ``lefthand_kpts``, ``lefthand_valid`` and the same of the right hand. One of a
hand alone has ``keypoints`` of 21 joints (x, y, whether it is labelled), and maybe ``hand_type``,
``joint_cam`` and ``head_size``; its image maybe ``cam_param`` with ``focal`` and ``princpt``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.datasets.joint_orders import JOINT_ORDERS, from_order
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.labelled_set import LabelledSet, Refuse
from hand_pose_ros.datasets.storage.files import MalformedFileError, floats
from hand_pose_ros.datasets.storage.index import Column
from hand_pose_ros.datasets.storage.json_stream import iterate_json


@dataclass(frozen=True)
class CocoOptions(Options):
    """Options of :class:`CocoSet`."""

    annotations: str = option(
        "annotations/coco_wholebody_val_v1.0.json", "Annotation file, relative to the folder of the set."
    )
    images: str = option("val2017", "Folder of the images, relative to the folder of the set; may be empty.")
    order: str = option(
        "coco_wholebody", "Order of the joints of annotations of a hand alone.", choices=tuple(JOINT_ORDERS)
    )
    side: str = option("right", "Side of hands whose annotation has no `hand_type`.", choices=hand.SIDES)
    unit_m: float = option(0.001, "Length of the unit of `joint_cam` in metres.", minimum=1e-6, maximum=1.0)


class _Image(NamedTuple):
    file: str
    size: tuple[int, int]
    intrinsics: tuple[float, float, float, float]


class CocoSet(LabelledSet[CocoOptions]):
    """Hands in COCO's format; ``camera`` and ``joints_m`` where the annotations have them."""

    name: ClassVar[str] = "coco"
    title: ClassVar[str] = "COCO-WholeBody"
    layout: ClassVar[str] = "the file of the option annotations and the folder of the option images"
    options_type = CocoOptions
    columns: ClassVar[Mapping[str, Column]] = {
        "file": Column("S128"),
        "size": Column("<i4", (2,)),
        "intrinsics": Column("<f8", (4,)),
        "side": Column("S5"),
        "joints": Column("<f8", (hand.NUM_JOINTS, 3)),
        "points": Column("<f8", (hand.NUM_JOINTS, 2)),
        "head": Column("<f8"),
    }

    def sources(self) -> list[Path]:
        """See :class:`LabelledSet`."""
        return [self.folder / self.options.annotations]

    def rows(self, refuse: Refuse) -> Iterable[Mapping[str, Any]]:
        """See :class:`LabelledSet`."""
        (path,) = self.sources()
        images: dict[Any, _Image] = {}
        for _, entry in iterate_json(path, "images"):
            try:
                images[entry["id"]] = _read_image_entry(path, entry)
            except (KeyError, TypeError) as error:
                refuse(MalformedFileError(path, f"image {entry!r:.80}: {error!r}"))
            except MalformedFileError as error:
                refuse(error)
        for _, annotation in iterate_json(path, "annotations"):
            try:
                yield from self._of_annotation(path, annotation, images)
            except MalformedFileError as error:
                refuse(error)
            except (KeyError, TypeError, ValueError) as error:
                refuse(MalformedFileError(path, f"annotation {annotation!r:.80}: {error!r}"))

    def hand(self, row: Mapping[str, Any]) -> LabelledHand:
        """See :class:`LabelledSet`."""
        known = np.isfinite(row["intrinsics"]).all()
        camera = CameraModel.pinhole(*row["intrinsics"].tolist(), *row["size"].tolist()) if known else None
        return LabelledHand(
            path=self.folder / self.options.images / row["file"],
            side=row["side"],
            camera=camera,
            joints_m=row["joints"],
            points_px=row["points"],
            head_size_px=row["head"] if np.isfinite(row["head"]) else None,
        )

    def _of_annotation(
        self, path: Path, annotation: Mapping[str, Any], images: Mapping[Any, _Image]
    ) -> Iterator[dict[str, Any]]:
        image = images[annotation["image_id"]]
        common = {"file": image.file, "size": image.size, "intrinsics": image.intrinsics}
        what = f"annotation {annotation.get('id')}"
        joints = np.full((hand.NUM_JOINTS, 3), np.nan)
        if "lefthand_kpts" in annotation:
            for side in hand.SIDES:
                if annotation[f"{side}hand_valid"]:
                    points = _points(path, annotation[f"{side}hand_kpts"], what)
                    points = from_order(points, "coco_wholebody")
                    yield {**common, "side": side, "joints": joints, "points": points, "head": np.nan}
            return
        if annotation.get("joint_cam") is not None:
            in_unit = floats(path, annotation["joint_cam"], hand.NUM_JOINTS, 3, what=what)
            joints = from_order(in_unit * self.options.unit_m, self.options.order)
        yield {
            **common,
            "side": hand.check_side(annotation.get("hand_type", self.options.side)),
            "joints": joints,
            "points": from_order(_points(path, annotation["keypoints"], what), self.options.order),
            "head": annotation.get("head_size", np.nan),
        }


def _read_image_entry(path: Path, entry: Mapping[str, Any]) -> _Image:
    intrinsics = np.full(4, np.nan)
    if entry.get("cam_param") is not None:
        parts = [entry["cam_param"][key] for key in ("focal", "princpt")]
        intrinsics = floats(path, np.ravel(parts), 4, what=f"cam_param of image {entry['id']}")
    return _Image(entry["file_name"], (int(entry["width"]), int(entry["height"])), tuple(intrinsics.tolist()))


def _points(path: Path, values: Any, what: str) -> np.ndarray:
    """Return (21, 2) points; NaN where not labelled."""
    points = floats(path, np.ravel(values), 3 * hand.NUM_JOINTS, what=what).reshape(-1, 3)
    return np.where(points[:, 2:] > 0, points[:, :2], np.nan)
