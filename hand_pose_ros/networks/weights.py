"""The module reads and writes weight files: safetensors that also hold the configuration of the network.

The file's metadata has one entry, ``hand_pose_ros``: JSON with ``format_version``, the version of this format;
``kind``, the network's name; and ``config``, its configuration. Safetensors writes several entries in random
order; one entry makes equal weights give equal files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from hand_pose_ros.files.atomic_file import atomic_path
from hand_pose_ros.files.bounded_text import shortened, shown
from hand_pose_ros.files.safe_json import parse_json

FORMAT_VERSION = 1
_ENTRY = "hand_pose_ros"
_MOST_BYTES = 4 << 30
_MOST_ENTRY = 1 << 20
_FOREIGN = {
    b"version https://git-lfs": "a Git LFS pointer: run `git lfs pull` to get the file itself",
    b"<": "a web page or XML: the download did not give the file itself",
    b"PK": "a zip archive, as torch.save writes it",
}
"""First bytes of files that are mistaken for weights -> description for the message."""


@dataclass(frozen=True, eq=False)
class LoadedWeights:
    """The content of a weight file.

    kind: the network's name. config: its configuration. tensors: its state dict, on the CPU, as stored.
    path: path of the file, for messages.
    """

    kind: str
    config: dict
    tensors: dict[str, Tensor]
    path: Path


def save_weights(path: str | Path, model: nn.Module, kind: str, config: Mapping, half: bool = False) -> None:
    """Write the state dict of ``model`` to ``path``, atomically.

    Args:
        kind: the network's name, which :func:`load_weights` can check.
        config: the configuration that rebuilds the network, as values that JSON can hold.
        half: store floating-point tensors with 16 bits, which halves the size and keeps three digits.

    Raises:
        ValueError: a tensor is not finite, as stored, or JSON cannot hold ``config``.
    """
    try:
        entry = json.dumps(
            {"format_version": FORMAT_VERSION, "kind": kind, "config": config}, allow_nan=False
        )
    except TypeError as error:
        raise ValueError(f"the configuration of {kind!r} cannot be written as JSON: {error}") from error
    tensors = {}
    for name, tensor in model.state_dict().items():
        stored = tensor.detach().cpu()
        if stored.is_floating_point():
            stored = stored.half() if half else stored
            if not bool(stored.isfinite().all()):
                raise ValueError(f"{name} of {kind!r} is not finite{' with 16 bits' if half else ''}")
        tensors[name] = stored.clone(memory_format=torch.contiguous_format)
    with atomic_path(path) as unfinished:
        unfinished.write_bytes(
            save(tensors, {_ENTRY: entry})
        )  # save_file would make it readable by its owner only


def load_weights(path: str | Path, *kinds: str) -> LoadedWeights:
    """Read a file of :func:`save_weights`.

    Args:
        kinds: accepted kinds; any if none is given.

    Raises:
        ValueError: the file is missing, truncated or not safetensors, has no configuration, has another kind or
            format version, or a tensor that is not finite. The message names the file and what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no weight file {path}")
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, weight files have at most {_MOST_BYTES}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            entry = _parse((file.metadata() or {}).get(_ENTRY))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it has no __iter__
    except (SafetensorError, OSError, RuntimeError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path} cannot be read as a safetensors file; {_what_is(path)} ({shortened(str(error))})"
        ) from error
    version = entry.get("format_version")
    if version not in (None, FORMAT_VERSION):
        raise ValueError(f"{path} has format version {shown(version)}, this package reads {FORMAT_VERSION}")
    kind, config = entry.get("kind"), entry.get("config")
    if version is None or not isinstance(kind, str) or not isinstance(config, dict):
        raise ValueError(
            f"{path} holds {len(tensors)} tensors but no configuration: it was not written by hand_pose_ros"
        )
    if kinds and kind not in kinds:
        expected = " or ".join(map(repr, kinds))
        raise ValueError(f"{path} holds weights of {shown(kind)}, expected {expected}")
    if broken := [name for name, tensor in tensors.items() if not _is_finite(tensor)]:
        raise ValueError(
            f"{path} holds values that are not finite, in {_listed(broken)}: its training failed"
        )
    return LoadedWeights(kind, config, tensors, path)


def restore(model: nn.Module, loaded: LoadedWeights) -> None:
    """Copy the tensors into ``model``, which must have exactly these names and shapes; its types and devices stay.

    Raises:
        ValueError: names the tensors that are missing, unexpected or of another shape; ``model`` is not changed.
    """
    own = model.state_dict()
    shared = own.keys() & loaded.tensors.keys()
    shapes = {name: (tuple(loaded.tensors[name].shape), tuple(own[name].shape)) for name in shared}
    problems = {
        "missing": sorted(own.keys() - shared),
        "unexpected": sorted(loaded.tensors.keys() - shared),
        "of another shape": [f"{n} {a}, not {b}" for n, (a, b) in sorted(shapes.items()) if a != b],
    }
    if any(problems.values()):
        text = "; ".join(f"{what}: {_listed(names)}" for what, names in problems.items() if names)
        raise ValueError(f"the weights in {loaded.path} do not fit the network {loaded.kind!r}: {text}")
    model.load_state_dict(loaded.tensors)


def _what_is(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(64)
    for prefix, meaning in _FOREIGN.items():
        if start.lstrip().startswith(prefix):
            return f"it is {meaning}"
    return f"it has {path.stat().st_size} bytes and is truncated or something else"


def _parse(text: str | None) -> dict:
    try:
        entry = parse_json((text or "")[:_MOST_ENTRY])
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _listed(names: list[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return shortened(", ".join(names[:most])) + more


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(tensor.float().isfinite().all())
