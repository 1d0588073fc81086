"""Readers of the free sets of hand poses that the pose prior is fitted to, each as right hands' angles.

All may be used for any purpose (Apache-2.0, MIT, CC-BY-4.0, CC0). docs/how/pose_prior.md says what each brings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.files.safe_arrays import read_arrays
from hand_pose_ros.files.safe_json import read_json
from hand_pose_ros.files.safe_pickle import read_pickle
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.inverse import fit_hand
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.rotations import rotation_from_quaternion
from hand_pose_ros.synthetic.poses.pose_files import WEBXR_NAMES, read_poses

KEPT_FOR_MEASUREMENT: Final = ("dexsuite/dex-retargeting", "TemugeB/handpose3d")
"""Sources of photos whose videos are measured with: never fitted to."""

_CHUNK = 512
_MOST_RESIDUAL_M = 4e-3  # a pose whose joints no hand of ours comes nearer to is no hand's
_MOST_PER_REPOSITORY = 600.0  # a repository's photos together count for no more than this many


class PoseSet(NamedTuple):
    """Poses of one source.

    angles: (n, 38) radians. proportions: (n, 20). weights: (n,) what each pose counts for, relative to the others.
    """

    angles: Tensor
    proportions: Tensor
    weights: Tensor


def photo_labels(path: Path) -> PoseSet:
    """MediaPipe's 3D landmarks of free photos (``labels.npz``), less those kept for measurement."""
    file = read_arrays(path)
    used = ~np.isin(file["repo"], KEPT_FOR_MEASUREMENT)
    repository, weights = file["repo"][used], file["weight"][used].astype(np.float64)
    joints = file["world"][used].astype(np.float64)
    joints[np.char.lower(file["handedness"][used]) == "left", :, 0] *= -1
    for name in np.unique(repository):
        of_one = repository == name
        weights[of_one] *= min(1.0, _MOST_PER_REPOSITORY / weights[of_one].sum())
    return _fitted(joints, weights, noise_m=3e-3)


def reaching_hand(folder: Path) -> PoseSet:
    """The joints of a hand that reaches for a bottle and grasps it (DexMV's example sequence)."""
    joints = read_poses(folder, pattern="joints_*.npy")
    return _fitted(joints, np.ones(len(joints)), noise_m=1e-3)


def animated_hands(folder: Path) -> PoseSet:
    """Poses of animators' hands: IWER (WebXR), handy-work (WebXR matrices), Godot XR Tools (bone rotations)."""
    joints = [read_poses(folder / "iwer_poses.json"), _handy_work(folder / "handy_work" / "poses")]
    joints.append(_godot(folder / "godot_xr_tools_poses.json"))
    joints = np.concatenate(joints)
    return _fitted(joints, np.ones(len(joints)), noise_m=3e-3)


def door_demonstrations(path: Path, like: PoseSet) -> PoseSet:
    """Hands that open doors (DAPG): finger flexions of the Adroit hand, the rest from the most similar hand.

    Adroit's thumb and abduction axes are not ours, so those angles come from the hand of ``like`` whose
    finger flexions are nearest.
    """
    demonstrations = read_pickle(path)
    observed = np.concatenate([one["observations"][::5] for one in demonstrations])
    # Five arm and wrist joints; then abduction, MCP, PIP, DIP of the index, middle and ring finger; the little
    # finger has one more before these, in the palm.
    columns = [first + joint for first in (5, 9, 13, 18) for joint in (1, 2, 3)]
    flexion = torch.from_numpy(observed[:, columns])
    ours = [
        hand.ANGLE_INDEX[f"{finger}_{joint}_flexion"]
        for finger in hand.FINGERS[1:]
        for joint in ("mcp", "pip", "dip")
    ]
    nearest = torch.cdist(flexion, like.angles[:, ours]).argmin(-1)
    angles = like.angles[nearest].clone()
    angles[:, ours] = flexion
    angles = angle_bounds(angles.dtype).clamp(angles)
    return PoseSet(angles, like.proportions[nearest], torch.ones(len(angles), dtype=angles.dtype))


def _fitted(joints_m: np.ndarray, weights: np.ndarray, noise_m: float) -> PoseSet:
    """The angles of right hands' joints (n, 21, 3), by inverse kinematics."""
    joints = torch.from_numpy(joints_m)
    fits = [fit_hand(part, noise_m=noise_m) for part in joints.split(_CHUNK)]
    angles = torch.cat([fit.angles for fit in fits])
    residual_m = torch.cat([fit.residual_m for fit in fits]).mean(-1)
    used = angles.isfinite().all(-1) & (residual_m < _MOST_RESIDUAL_M)
    proportions = torch.cat([fit.proportions for fit in fits])
    return PoseSet(angles[used], proportions[used], torch.from_numpy(weights)[used])


def _handy_work(folder: Path) -> np.ndarray:
    """(n, 21, 3): each file holds the number of joints, 25 in WebXR order, and a 4x4 matrix for each.

    The matrices have their columns first. The left hand's come before the right hand's.
    """
    order = [_WEBXR_25.index(name) for name in WEBXR_NAMES]
    poses = []
    for path in sorted(folder.glob("*.handpose")):
        numbers = np.fromfile(path, dtype="<f4")
        count = int(numbers[0])
        both = numbers[1 : 1 + 32 * count].reshape(2, count, 4, 4).astype(np.float64)
        left, right = both[:, order, 3, :3]
        poses += [left * (-1, 1, 1), right]
    return np.stack(poses)


_WEBXR_25 = (
    "wrist",
    *(f"thumb-{part}" for part in ("metacarpal", "phalanx-proximal", "phalanx-distal", "tip")),
    *(
        f"{finger}-{part}"
        for finger in ("index-finger", "middle-finger", "ring-finger", "pinky-finger")
        for part in ("metacarpal", "phalanx-proximal", "phalanx-intermediate", "phalanx-distal", "tip")
    ),
)


def _godot(path: Path) -> np.ndarray:
    """(n, 21, 3): the right hands' bone rotations (bones along y, back of the hand along x), on our mean hand.

    The wrist and the places of the knuckles are not in the file, so those are our neutral hand's.
    """
    poses = read_json(path)
    to_ours = torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]], dtype=torch.float64)
    lengths = proportion_bounds(torch.float64).neutral * hand.MEAN_ANCHOR_LENGTH_M
    neutral = _neutral_joints()
    hands = []
    for name, pose in poses.items():
        if not name.startswith("right/"):
            continue
        local = (
            to_ours
            @ rotation_from_quaternion(torch.tensor(pose["quat_xyzw"], dtype=torch.float64))
            @ to_ours.T
        )
        joints, bone = neutral.clone(), 0
        for finger in range(5):
            rotation = torch.eye(3, dtype=torch.float64)
            for node in (
                range(2 + 4 * finger, 5 + 4 * finger)
                if finger == 0
                else range(4 * finger + 1, 4 * finger + 5)
            ):
                rotation = rotation @ local[bone]
                bone += 1
                if node % 4 != 1:
                    joints[node] = joints[node - 1] + rotation[:, 0] * lengths[node - 1]
        hands.append(joints)
    return torch.stack(hands).numpy()


def _neutral_joints() -> Tensor:
    angles, lengths = angle_bounds(torch.float64), proportion_bounds(torch.float64)
    return forward_kinematics(angles.neutral, lengths.neutral).joints * hand.MEAN_ANCHOR_LENGTH_M
