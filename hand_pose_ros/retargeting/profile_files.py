"""Profiles from files: those of ``config/robots``, a user's own, or dex-retargeting's; the keys tell which.

One file serves both sides: ``{side}`` in a text becomes right or left (``{Side}``, ``{s}`` and ``{S}`` its
forms), and the sections ``left`` and ``right`` replace keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from hand_pose_ros import hand
from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.share import share_file, share_folder
from hand_pose_ros.files.safe_yaml import read_yaml
from hand_pose_ros.retargeting.dex_yaml import profile_from_dex
from hand_pose_ros.retargeting.profile import RobotProfile

_FOLDER: Final = "config/robots"


def profile_names() -> tuple[str, ...]:
    """Names of the profiles that come with the package."""
    return tuple(sorted(path.stem for path in (share_folder() / _FOLDER).glob("*.yaml")))


def read_profile(name_or_path: str | Path, side: str = "right") -> RobotProfile:
    """Read a profile: one of :func:`profile_names`, or a YAML file of this format or of dex-retargeting's.

    Args:
        side: of the robot hand; a dex-retargeting file is of one side, which the caller must know.

    Raises:
        ValueError: unknown name, a key that is unknown or refused, or a bad value; names the key.
        FileNotFoundError: no such file.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        if str(name_or_path) not in profile_names():
            raise ValueError(
                f"there is no robot {str(name_or_path)!r}; there are {', '.join(profile_names())}"
            )
        path = share_file(f"{_FOLDER}/{name_or_path}.yaml")
    values = read_yaml(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold keys and values")
    try:
        return profile_from_values(cast("dict[str, Any]", values), side, path.stem)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def profile_from_values(values: Mapping[str, Any], side: str, name: str) -> RobotProfile:
    """A profile from the values of a YAML file.

    Raises:
        ValueError: as :func:`read_profile`.
    """
    if "retargeting" in values:
        return profile_from_dex(values["retargeting"], hand.check_side(side), name)
    values = dict(values)
    sides = {key: values.pop(key, None) or {} for key in hand.SIDES}
    merged = {"name": name, **values, **sides[hand.check_side(side)], "side": side}
    return read_dataclass(RobotProfile, _with_side(merged, side))


def _with_side(value: Any, side: str) -> Any:
    """``value`` with {side}, {Side} and {S} in every text replaced: right, Right, R."""
    if isinstance(value, str):
        names = {"{side}": side, "{Side}": side.capitalize(), "{S}": side[0].upper(), "{s}": side[0]}
        for pattern, name in names.items():
            value = value.replace(pattern, name)
        return value
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {_with_side(key, side): _with_side(item, side) for key, item in items}
    if isinstance(value, list):
        return [_with_side(item, side) for item in cast("list[Any]", value)]
    return value
