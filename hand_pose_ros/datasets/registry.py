"""Finds the readers of the data sets by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hand_pose_ros.datasets.labelled_set import LabelledSet
from hand_pose_ros.datasets.readers.coco import CocoSet
from hand_pose_ros.datasets.readers.dexycb import DexYcbSet
from hand_pose_ros.datasets.readers.fingertips import DexterObjectSet, EgoDexterSet
from hand_pose_ros.datasets.readers.freihand import FreiHandSet
from hand_pose_ros.datasets.readers.hand_labels import HandLabelsSet
from hand_pose_ros.datasets.readers.ho3d import Ho3dSet
from hand_pose_ros.datasets.readers.interhand26m import InterHandSet
from hand_pose_ros.datasets.readers.rhd import RhdSet
from hand_pose_ros.datasets.readers.samples import SamplesSet
from hand_pose_ros.datasets.readers.stb import StbSet

SETS: Final[dict[str, type[LabelledSet[Any]]]] = {
    one.name: one
    for one in (
        RhdSet, StbSet, InterHandSet, FreiHandSet, Ho3dSet, DexYcbSet,
        DexterObjectSet, EgoDexterSet, HandLabelsSet, CocoSet, SamplesSet,
    )
}  # fmt: skip
"""Name -> reader."""


def open_set(
    name: str, folder: str | Path, options: Mapping[str, Any] | None = None, malformed: str = "fatal"
) -> LabelledSet[Any]:
    """Open a data set.

    Args:
        name: a key of ``SETS``. options: of its reader, by name. malformed: see :class:`LabelledSet`.

    Raises:
        ValueError: an unknown name or option, or a malformed set.
    """
    if name not in SETS:
        raise ValueError(f"unknown data set {name!r}; known are {', '.join(SETS)}")
    reader = SETS[name]
    return reader(folder, reader.options_type.from_flat(options or {}), malformed)
