"""Readers of files that hold 3D hand poses: arrays of joints, and WebXR poses as JSON.

Every reader gives joints in our order, in metres, in whatever frame the file has.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.datasets.joint_orders import from_order
from hand_pose_ros.files.bounded_text import shown
from hand_pose_ros.files.safe_arrays import read_array, read_arrays
from hand_pose_ros.files.safe_json import read_json

_WEBXR_PARTS = {
    "thumb": ("metacarpal", "phalanx-proximal", "phalanx-distal", "tip"),
    "finger": ("phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip"),
}
_WEBXR_FINGERS = {"thumb": "thumb", "index": "index-finger", "middle": "middle-finger",
                  "ring": "ring-finger", "little": "pinky-finger"}  # fmt: skip


def _webxr_names() -> tuple[str, ...]:
    """The WebXR name of each of our joints: theirs name the bone that begins there."""
    names = ["wrist"]
    for finger, theirs in _WEBXR_FINGERS.items():
        names += [f"{theirs}-{part}" for part in _WEBXR_PARTS["thumb" if finger == "thumb" else "finger"]]
    return tuple(names)


WEBXR_NAMES = _webxr_names()


def read_poses(
    path: str | Path,
    order: str = "mediapipe",
    key: str | None = None,
    unit_m: float = 1.0,
    pattern: str = "*",
) -> np.ndarray:
    """Read the poses of a file, or of all files of a folder, as (N, 21, 3) metres; NaN where a joint is missing.

    Args:
        path: ``.npy`` or ``.npz`` with (21, 3) or (N, 21, 3) numbers; ``.json`` with WebXR poses (name ->
            joint -> ``matrix_colmajor``); or a folder of such files, read in the order of their names.
        order: joint order of an array file, a key of ``joint_orders.JOINT_ORDERS``.
        key: which array of an ``.npz``; needed if it holds more than one.
        unit_m: length of the file's unit in metres, for example 0.001.
        pattern: which files of a folder to read, for example ``joints_*.npy``.

    Raises:
        ValueError: nothing to read there, an unknown kind of file, or an array of another shape.
    """
    path = Path(path)
    if path.is_dir():
        files = sorted(p for p in path.glob(pattern) if p.suffix in (".npy", ".npz", ".json"))
        if not files:
            raise ValueError(f"no .npy, .npz or .json file that matches {pattern!r} in {path}")
        return np.concatenate([read_poses(file, order, key, unit_m) for file in files])
    if path.suffix == ".json":
        return _read_webxr_json(path) * unit_m
    if path.suffix not in (".npy", ".npz"):
        raise ValueError(f"{path} must be a folder or a .npy, .npz or .json file")
    joints = _read_array(path, key)
    if joints.ndim not in (2, 3) or joints.shape[-2:] != (hand.NUM_JOINTS, 3):
        raise ValueError(f"{path} must hold (N, {hand.NUM_JOINTS}, 3) joints, got {joints.shape}")
    return from_order(joints.reshape(-1, hand.NUM_JOINTS, 3).astype(np.float64), order) * unit_m


def _read_array(path: Path, key: str | None) -> np.ndarray:
    if path.suffix == ".npy":
        return read_array(path)
    loaded = read_arrays(path)
    if key is None and len(loaded) != 1:
        raise ValueError(f"{path} holds {shown(sorted(loaded))}: name one by key")
    name = key or next(iter(loaded))
    if name not in loaded:
        raise ValueError(f"{path} has no array {name!r}, only {shown(sorted(loaded))}")
    return loaded[name]


def _read_webxr_json(path: Path) -> np.ndarray:
    try:
        poses = read_json(path)
        matrices = [[pose[name]["matrix_colmajor"] for name in WEBXR_NAMES] for pose in poses.values()]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"{path} is no WebXR pose file: {shown(error)}") from error
    if not matrices:
        raise ValueError(f"{path} must hold at least one pose")
    return np.asarray(matrices, dtype=np.float64).reshape(-1, hand.NUM_JOINTS, 4, 4)[..., 3, :3]
