"""The module reads configurations from YAML and the command line as plain values, and compares them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hand_pose_ros.files import safe_yaml
from hand_pose_ros.files.bounded_text import shown


def read_yaml(path: str | Path) -> dict:
    """Read the keys and values of a YAML file.

    Raises:
        ValueError: the file is missing, is not usable YAML, or does not hold keys at its top.
    """
    try:
        values = safe_yaml.read_yaml(path)
    except OSError as error:
        raise ValueError(f"cannot read the configuration {path}: {error.strerror}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold keys and values, got {type(values).__name__}")
    return values


def with_overrides(values: Mapping, overrides: Sequence[str]) -> dict:
    """Copy ``values`` with each 'section.key=value' of ``overrides`` applied; values are read as YAML.

    An entry of a list is named by its number, from 0: 'sets.0.path=value'.

    Raises:
        ValueError: an override has no '=', or its key leads through something that is not a section.
    """
    values = copy.deepcopy(dict(values))
    for override in overrides:
        path, equals, text = override.partition("=")
        keys = path.strip().split(".")
        if not equals or not all(keys):
            raise ValueError(f"an override must look like section.key=value, got {shown(override)}")
        section: Any = values
        for key in keys[:-1]:
            section = _inner(section, key, path.strip())
        last = _place(section, keys[-1], path.strip())
        try:
            section[last] = safe_yaml.parse_yaml(text)
        except ValueError as error:
            raise ValueError(f"{path.strip()} cannot be set to {shown(text)}: {error}") from error
    return values


def _inner(section: Any, key: str, path: str) -> Any:
    """Return the section or list under a key; a section that is missing is made."""
    place = _place(section, key, path)
    if isinstance(section, dict) and section.get(key) is None:
        section[key] = {}
    if not isinstance(section[place], dict | list):
        raise ValueError(f"{path} cannot be set: {key} is not a section")
    return section[place]


def _place(section: Any, key: str, path: str) -> Any:
    """Return the key of a section, or the number of an entry of a list, that ``key`` stands for."""
    if isinstance(section, dict):
        return key
    if not (key.isdecimal() and len(key) < 10 and int(key) < len(section)):
        raise ValueError(
            f"{path} cannot be set: {shown(key)} is not one of the {len(section)} entries, from 0"
        )
    return int(key)


def differences(one: Mapping, other: Mapping, where: str = "") -> dict[str, tuple[Any, Any]]:
    """Return the dotted keys whose values differ between nested mappings, with both values; None if missing."""
    found = {}
    for key in sorted(one.keys() | other.keys()):
        first, second = one.get(key), other.get(key)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            found |= differences(first, second, f"{where}{key}.")
        elif first != second:
            found[f"{where}{key}"] = (first, second)
    return found
