"""Public data sets as sources of training images: named in a training file, converted to shards on first use."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.datasets.labelled_set import MALFORMED
from hand_pose_ros.datasets.registry import SETS, open_set
from hand_pose_ros.files.atomic_file import write_text_atomically
from hand_pose_ros.files.safe_json import read_json
from hand_pose_ros.hand_images.labelled.convert import IN_3D, LABELS
from hand_pose_ros.hand_images.labelled.write import write_shards
from hand_pose_ros.hand_images.shards import SHARD_RECORD

RECORD: Final = "set.json"
"""File beside the shards that says which set they were made of, and whether all of them are there."""
_LOCK: Final = ".set.lock"


@dataclass(frozen=True)
class SetSource:
    """A public data set in a training file.

    set: name of its reader. path: folder where its own layout begins. options: of the reader, by name.
    shards: folder of the converted hands, 78 kB each; they are made on first use, and a conversion that was
        interrupted goes on.
    labels: '3d' leaves out hands without labels in 3D; 'any' takes these by their 2D; '2d' takes all by their 2D
        only.
    weight: how often images of this set are drawn, relative to the other sources; all of them state one, or none.
    malformed: 'fatal' stops at a malformed or missing file; 'skipped' leaves its hands out.
    """

    set: str
    path: str
    shards: str
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: str = IN_3D
    weight: float | None = None
    malformed: str = MALFORMED[0]

    def __post_init__(self) -> None:
        for name, known in (("set", tuple(SETS)), ("labels", LABELS), ("malformed", MALFORMED)):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        if self.weight is not None and self.weight <= 0:
            raise ValueError(f"weight must be positive, got {self.weight:g}")
        for name in ("path", "shards"):
            if not getattr(self, name):
                raise ValueError(f"{name} must name a folder: `--set <section>.sets.<number>.{name}=FOLDER`")


def shards_of_set(source: SetSource) -> str:
    """Return the folder of a set's shards; those that are not there yet are made. Processes take turns.

    Raises:
        MalformedFileError: a file of the set is missing or malformed.
        ValueError: an unknown option; the folder holds something else; or no hand can be converted.
    """
    folder = Path(source.shards)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder / _LOCK):
        record = _read_record(folder)
        wanted = _settings(source)
        holds_shards = any(folder.glob(f"*/{SHARD_RECORD}"))
        if record is None and holds_shards:
            raise ValueError(
                f"{folder} holds shards, but no {RECORD} that says of which set; name it as a folder of images, "
                f"or another folder for the shards of {source.set}"
            )
        if record is not None and holds_shards and record.get("settings") != wanted:
            raise ValueError(
                f"{folder / RECORD}: the shards were made of {record.get('settings')}, not of {wanted}; "
                "name another folder for them, or remove this one"
            )
        if record is None or not (record.get("finished") and holds_shards):
            _convert(source, folder, wanted)
    return source.shards


def folders_with_sets(folders: Sequence[str], sets: Sequence[SetSource]) -> tuple[str, ...]:
    """Return folders of shards and, after them, those of the sets, which are made on first use."""
    return (*folders, *(shards_of_set(one) for one in sets))


def _convert(source: SetSource, folder: Path, settings: Mapping[str, Any]) -> None:
    hands = open_set(source.set, source.path, source.options, source.malformed)
    record = {"settings": settings, "finished": False}
    write_text_atomically(folder / RECORD, json.dumps(record, indent=1) + "\n")
    made, reasons = write_shards(hands, folder, Seed.ARBITRARY, source.labels, keep=True)
    if not made:
        why = "; ".join(f"{count} since {reason}" for reason, count in reasons.most_common(3))
        raise ValueError(f"{source.path}: no hand of {source.set} can be converted: {why}")
    record |= {"finished": True, "hands": made, "left_out": dict(reasons)}
    write_text_atomically(folder / RECORD, json.dumps(record, indent=1) + "\n")


def _settings(source: SetSource) -> dict[str, Any]:
    """Return what decides which images are made; the folder of the set may move."""
    options = SETS[source.set].options_type.from_flat(source.options).flat()
    return {"set": source.set, "options": options, "labels": source.labels, "malformed": source.malformed}


def _read_record(folder: Path) -> dict[str, Any] | None:
    path = folder / RECORD
    if not path.is_file():
        return None
    record = read_json(path)
    if not isinstance(record, dict):
        raise ValueError(f"{path} must hold an object; remove the folder, and the shards are made again")
    return record


@contextmanager
def _locked(path: Path) -> Generator[None, None, None]:
    """Hold a lock between the processes of a run."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)
