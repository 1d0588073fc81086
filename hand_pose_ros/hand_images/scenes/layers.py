"""Defines rendered layers, images of several hands without a background, and stores them.

A folder holds one ``.npy`` per field, which is memory-mapped, and ``layers.json``, which is written last.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.files.safe_json import read_json

LAYER_PX: Final = 224
MOST_HANDS: Final = 4
FORMAT_VERSION: Final = 1
_JSON: Final = "layers.json"


class SceneLayers(NamedTuple):
    """n layers of up to ``MOST_HANDS`` hands.

    bgra: (n, LAYER_PX, LAYER_PX, 4) uint8, colour times coverage, and coverage. points: (n, MOST_HANDS, 21, 2)
    float32 joints, pixels; the first pixel's centre is 0; NaN where there is no hand. right: (n, MOST_HANDS)
    bool. shown: (n, MOST_HANDS) float32, share of the joints that neither another hand nor an object hides.
    """

    bgra: np.ndarray
    points: np.ndarray
    right: np.ndarray
    shown: np.ndarray

    @property
    def count(self) -> int:
        """Number of layers (``len`` is the number of fields)."""
        return len(self.bgra)


FIELDS: Final[dict[str, tuple[tuple[int, ...], type]]] = {
    "bgra": ((LAYER_PX, LAYER_PX, 4), np.uint8),
    "points": ((MOST_HANDS, hand.NUM_JOINTS, 2), np.float32),
    "right": ((MOST_HANDS,), np.bool_),
    "shown": ((MOST_HANDS,), np.float32),
}
"""Shape of one layer's entry, and type, of each field."""


def empty_layers(count: int) -> SceneLayers:
    """Make ``count`` transparent layers without hands."""
    rows = {name: np.zeros((count, *shape), kind) for name, (shape, kind) in FIELDS.items()}
    rows["points"].fill(np.nan)
    return SceneLayers(**rows)


def save_layers(folder: str | Path, layers: SceneLayers, record: dict[str, Any]) -> None:
    """Write a folder atomically. ``record``: how the layers were made.

    Raises:
        FileExistsError: the folder holds layers already.
    """
    folder = Path(folder)
    if (folder / _JSON).is_file():
        raise FileExistsError(f"{folder} holds layers already")
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        for name, field in layers._asdict().items():
            np.save(unfinished / f"{name}.npy", field)
        text = json.dumps({"format": FORMAT_VERSION, "count": layers.count, **record}, indent=1)
        (unfinished / _JSON).write_text(text + "\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def load_layers(folder: str | Path) -> SceneLayers:
    """Load a folder, memory-mapped and read-only.

    Raises:
        ValueError: it is not complete, or has another version or fields of another shape.
    """
    path = Path(folder) / _JSON
    if not path.is_file():
        raise ValueError(
            f"{folder} holds no complete layers: it has no {_JSON}; `hand_pose scenes` makes them"
        )
    info = read_json(path)
    if not isinstance(info, dict) or info.get("format") != FORMAT_VERSION:
        raise ValueError(f"{folder} has another format, this program reads {FORMAT_VERSION}")
    rows = {name: np.load(Path(folder) / f"{name}.npy", mmap_mode="r") for name in FIELDS}
    for name, (shape, kind) in FIELDS.items():
        if rows[name].shape != (info.get("count"), *shape) or rows[name].dtype != kind:
            raise ValueError(f"{name} of {folder} has shape {rows[name].shape} and type {rows[name].dtype}")
    return SceneLayers(**rows)
