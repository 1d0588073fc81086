"""dex-retargeting's YAML files as profiles: every key is honoured, or refused by name.

The field's format, as of dex-retargeting 0.5.0. Its human joints are numbered as ours. Its input frame (the
"operator" frame: x palmar, z distal, y to the thumb on a right hand and to the little finger on a left one)
becomes :attr:`RobotProfile.rotation`. DexPilot files may state ``huber_delta`` and ``normal_delta``, which
dex-retargeting itself ignores for that objective; here they count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from hand_pose_ros import hand
from hand_pose_ros.retargeting.profile import Fingertip, LinkVector, PinchOptions, RobotProfile
from hand_pose_ros.retargeting.urdf_tree import FREE_BASE_JOINTS

KEYS: Final = (
    "type", "urdf_path", "add_dummy_free_joint", "target_link_human_indices", "wrist_link_name",
    "target_link_names", "target_joint_names", "target_origin_link_names", "target_task_link_names",
    "finger_tip_link_names", "scaling_factor", "normal_delta", "huber_delta", "project_dist", "escape_dist",
    "has_joint_limits", "ignore_mimic_joint", "low_pass_alpha",
)  # fmt: skip
"""The keys of a dex-retargeting file."""
OPERATOR_ROTATION: Final = ((0.0, 0.0, -1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))
"""Our wrist frame -> dex-retargeting's operator frame, the same for both sides."""
_DEXPILOT_HUBER_M = 0.03
_TIPS = tuple(hand.JOINT_NAMES[index] for index in hand.FINGERTIPS)


def profile_from_dex(values: object, side: str, name: str) -> RobotProfile:
    """A profile from the section ``retargeting`` of a dex-retargeting file.

    Args:
        side: of the hand; the file does not say it.
        name: of the profile.

    Raises:
        ValueError: an unknown or missing key, one that is refused, or a bad value; names the key.
    """
    if not isinstance(values, Mapping):
        raise ValueError("retargeting must hold keys and values")
    config = {key: value for key, value in cast("Mapping[str, Any]", values).items() if value is not None}
    if unknown := sorted(set(config) - set(KEYS)):
        raise ValueError(f"unknown key of dex-retargeting: {', '.join(unknown)}; known are {', '.join(KEYS)}")
    if config.get("has_joint_limits", True) is not True:
        raise ValueError("has_joint_limits: false is refused: no command may leave the joint limits")
    objective = str(_needed(config, "type")).lower()
    alpha = float(config.get("low_pass_alpha", 0.1))
    common: dict[str, Any] = {
        "name": name,
        "side": side,
        "rotation": OPERATOR_ROTATION,
        "normalise_size": False,
        "smoothness": float(config.get("normal_delta", 4e-3)),
        "huber_m": float(config.get("huber_delta", _DEXPILOT_HUBER_M if objective == "dexpilot" else 0.02)),
        "low_pass_alpha": alpha if 0 <= alpha <= 1 else None,  # outside: no filter, as there
        "target_joints": _texts(config, "target_joint_names"),
        "free_base": bool(config.get("add_dummy_free_joint", False)),
        "ignore_mimic": bool(config.get("ignore_mimic_joint", False)),
        "urdf": str(_needed(config, "urdf_path")),
    }
    if common["free_base"] and common["target_joints"]:
        common["target_joints"] = (*FREE_BASE_JOINTS, *common["target_joints"])
    if objective == "vector":
        return RobotProfile(objective="vector", scaling=_scaling(config), vectors=_vectors(config), **common)
    if objective == "position":
        return RobotProfile(objective="position", vectors=_points(config), **common)
    if objective == "dexpilot":
        pinch = PinchOptions(float(config.get("project_dist", 0.03)), float(config.get("escape_dist", 0.05)))
        return RobotProfile(
            objective="dexpilot",
            scaling=_scaling(config),
            wrist_link=str(_needed(config, "wrist_link_name")),
            fingertips=_fingertips(config),
            pinch=pinch,
            **common,
        )
    raise ValueError(f"type must be vector, DexPilot or position, got {config['type']!r}")


def _needed(config: Mapping[str, Any], key: str) -> Any:
    if key not in config:
        raise ValueError(f"missing key: {key}")
    return config[key]


def _texts(config: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = config.get(key, ())
    if isinstance(value, str) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key} must be a list of names, got {value!r}")
    return tuple(value)


def _scaling(config: Mapping[str, Any]) -> float:
    return float(config.get("scaling_factor", 1.0))


def _joints(indices: Sequence[Any], count: int, key: str) -> tuple[str, ...]:
    """Names of the human joints of ``count`` indices."""
    if len(indices) != count or any(
        isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < hand.NUM_JOINTS for i in indices
    ):
        raise ValueError(
            f"{key} must hold {count} joint indices from 0 to {hand.NUM_JOINTS - 1}, got {list(indices)}"
        )
    return tuple(hand.JOINT_NAMES[i] for i in indices)


def _vectors(config: Mapping[str, Any]) -> tuple[LinkVector, ...]:
    key = "target_link_human_indices"
    origins, tasks = _texts(config, "target_origin_link_names"), _texts(config, "target_task_link_names")
    indices = _needed(config, key)
    if len(origins) != len(tasks) or len(indices) != 2:
        raise ValueError(
            f"target_origin_link_names, target_task_link_names and the two rows of {key} must agree"
        )
    human = [_joints(row, len(tasks), key) for row in indices]
    return tuple(
        LinkVector(task=task, human_task=b, origin=origin, human_origin=a)
        for origin, task, a, b in zip(origins, tasks, *human, strict=True)
    )


def _points(config: Mapping[str, Any]) -> tuple[LinkVector, ...]:
    links = _texts(config, "target_link_names")
    human = _joints(_needed(config, "target_link_human_indices"), len(links), "target_link_human_indices")
    return tuple(LinkVector(task=link, human_task=joint) for link, joint in zip(links, human, strict=True))


def _fingertips(config: Mapping[str, Any]) -> tuple[Fingertip, ...]:
    """The fingertips; their human joints are the tips in the order of the hand, unless the file gives indices."""
    links = _texts(config, "finger_tip_link_names")
    if "target_link_human_indices" not in config:
        return tuple(Fingertip(link, joint) for link, joint in zip(links, _TIPS, strict=False))
    key, count, pairs = "target_link_human_indices", len(links), len(links) * (len(links) - 1) // 2
    rows = config[key]
    if len(rows) != 2:
        raise ValueError(f"{key} must hold two rows, got {len(rows)}")
    origins, tasks = (_joints(row, pairs + count, key) for row in rows)
    human = tasks[pairs:]
    expected = [(human[j], human[i]) for i in range(count) for j in range(i + 1, count)]
    if list(zip(origins, tasks, strict=True)) != [*expected, *(("wrist", joint) for joint in human)]:
        raise ValueError(
            f"{key} of a DexPilot file must pair the fingertips in the order of finger_tip_link_names"
        )
    return tuple(Fingertip(link, joint) for link, joint in zip(links, human, strict=True))
