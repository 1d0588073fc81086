"""Stores what a part of a benchmark estimates, and merges the parts to the run that one process would make.

A part is a file ``part-3-of-8.npz``. It holds the estimates and the numbers of their hands in the set, not the
labels: the merge reads these from the set again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from hand_pose_ros.common.parts import Part, parse_part
from hand_pose_ros.datasets.labelled_set import LabelledSet
from hand_pose_ros.evaluation.benchmark.estimation import BenchmarkRun, Estimated, labels_of
from hand_pose_ros.evaluation.benchmark.scoring import Estimates
from hand_pose_ros.files.atomic_file import atomic_path
from hand_pose_ros.files.bounded_text import shown
from hand_pose_ros.files.safe_arrays import read_arrays
from hand_pose_ros.files.safe_json import parse_json
from hand_pose_ros.hand import NUM_JOINTS

_FORMAT: Final = 1
_HEADER: Final = "header"


def part_path(folder: Path, part: Part) -> Path:
    """Return the file of a part; names sort in the order of the parts."""
    digits = len(str(part.count))
    return folder / f"part-{part.number:0{digits}d}-of-{part.count}.npz"


def save_part(
    folder: Path, part: Part, settings: Mapping[str, Any], numbers: Sequence[int], estimated: Estimated
) -> Path:
    """Write the file of a part, atomically; returns its path.

    Args:
        settings: everything that determines the estimates, as JSON can hold it; parts merge if theirs agree.
        numbers: of the hands in the set, in the order of ``estimated``.
    """
    header = {
        "format": _FORMAT,
        "part": str(part),
        "settings": settings,
        "methods": list(estimated.estimates),
    }
    arrays = {
        _HEADER: np.array(json.dumps(header)),
        "numbers": np.asarray(numbers, np.int64),
        "detected": estimated.detected,
    }
    for index, one in enumerate(estimated.estimates.values()):
        meshes = [mesh for mesh in one.vertices_m if mesh is not None]
        arrays |= {
            f"joints_{index}": one.joints_m,
            f"points_{index}": one.points_px,
            f"has_mesh_{index}": np.array([mesh is not None for mesh in one.vertices_m], bool),
            f"vertices_{index}": np.stack(meshes) if meshes else np.empty((0, 0, 3)),
        }
    path = part_path(folder, part)
    with atomic_path(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **arrays)
    return path


def merge_parts(folder: Path, settings: Mapping[str, Any], hands: LabelledSet[Any]) -> BenchmarkRun:
    """Return the whole run from the parts in ``folder``.

    Args:
        settings: of the merge; those of every part must be the same. hands: the set, from which labels are read.

    Raises:
        ValueError: there is no part, one is missing, damaged, or has other settings; or no hand was estimated.
        MalformedFileError: the set's labels cannot be read.
    """
    read = [_read(path) for path in sorted(folder.glob("part-*-of-*.npz"))]
    if not read:
        raise ValueError(f"{folder} has no part of a benchmark: run it with --part first")
    counts = {part.count for _, part, _ in read}
    if len(counts) > 1:
        raise ValueError(f"{folder} has parts of several splits: of {', '.join(map(str, sorted(counts)))}")
    (count,) = counts
    missing = sorted(set(range(1, count + 1)) - {part.number for _, part, _ in read})
    if missing:
        named = ", ".join(f"{number}/{count}" for number in missing[:10])
        more = f" and {len(missing) - 10} more" if len(missing) > 10 else ""
        raise ValueError(f"{folder} lacks the parts {named}{more}")
    expected = json.loads(json.dumps(settings))
    for header, part, _ in read:
        found = header["settings"]
        changed = [key for key in expected if found.get(key) != expected[key]]
        if changed or found.keys() != expected.keys() or header["methods"] != read[0][0]["methods"]:
            both = "; ".join(f"{k} was {shown(found.get(k))}, is {shown(expected[k])}" for k in changed)
            raise ValueError(f"part {part} was made with other options than the merge: {both}")
    read.sort(key=lambda one: one[1].number)
    parts = [arrays for _, _, arrays in read]
    numbers = np.concatenate([arrays["numbers"] for arrays in parts])
    if not len(numbers):
        raise ValueError("there is no hand to estimate")
    if (np.diff(numbers) <= 0).any() or not 0 <= numbers[0] <= numbers[-1] < len(hands):
        raise ValueError(f"the parts in {folder} are not of this set: the numbers of their hands do not fit")
    kept = [hands[number] for number in numbers.tolist()]
    estimates = {name: _merged(index, parts) for index, name in enumerate(read[0][0]["methods"])}
    detected = np.concatenate([arrays["detected"] for arrays in parts])
    return BenchmarkRun(tuple(kept), labels_of(kept), estimates, detected)


def _merged(index: int, parts: Sequence[Mapping[str, np.ndarray]]) -> Estimates:
    """Return the estimates of a method over all parts."""
    vertices: list[np.ndarray | None] = []
    for arrays in parts:
        meshes = iter(arrays[f"vertices_{index}"])
        vertices += [next(meshes) if has else None for has in arrays[f"has_mesh_{index}"].tolist()]
    joints, points = (
        np.concatenate([arrays[f"{name}_{index}"] for arrays in parts]) for name in ("joints", "points")
    )
    return Estimates(joints, points, tuple(vertices))


def _read(path: Path) -> tuple[dict[str, Any], Part, dict[str, np.ndarray]]:
    """Read and check the file of a part: header, part, arrays."""
    arrays = dict(read_arrays(path))
    header: Any = None
    if _HEADER in arrays and arrays[_HEADER].dtype.kind == "U" and arrays[_HEADER].ndim == 0:
        header = parse_json(str(arrays[_HEADER]))
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise ValueError(f"{path} is not a part of a benchmark of this version")
    methods, settings, text = (header.get(key) for key in ("methods", "settings", "part"))
    if not (isinstance(methods, list) and isinstance(settings, dict) and isinstance(text, str)):
        raise ValueError(f"{path} is not a complete part of a benchmark")
    wrong = [name for name, fits in _fits(arrays, len(methods)).items() if not fits]
    if wrong:
        raise ValueError(f"{path} is damaged: {', '.join(wrong)} missing or of another shape or type")
    return header, parse_part(text), arrays


def _fits(arrays: Mapping[str, np.ndarray], methods: int) -> dict[str, bool]:
    """Return for each array whether it is there, of its type, and with a row for each hand or mesh."""
    kinds: dict[str, tuple[str, tuple[int, ...]]] = {"numbers": ("i", ()), "detected": ("b", ())}
    for index in range(methods):
        kinds |= {
            f"joints_{index}": ("f", (NUM_JOINTS, 3)),
            f"points_{index}": ("f", (NUM_JOINTS, 2)),
            f"has_mesh_{index}": ("b", ()),
        }
    rows = arrays["numbers"].size if "numbers" in arrays else 0
    fits = {
        name: name in arrays and arrays[name].dtype.kind == kind and arrays[name].shape == (rows, *shape)
        for name, (kind, shape) in kinds.items()
    }
    for index in range(methods):
        meshes, known = (arrays.get(f"{name}_{index}") for name in ("vertices", "has_mesh"))
        fits[f"vertices_{index}"] = (
            meshes is not None
            and meshes.dtype.kind == "f"
            and meshes.ndim == 3
            and (known is None or len(meshes) == np.count_nonzero(known))
        )
    return fits
