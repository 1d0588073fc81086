"""Orientations of a hand in front of a camera, for pictures and tests."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.rotations import rotation_from_angles

# The wrist's dorsal (z) axis in the optical frame for a hand that points upwards (x along -y).
_DORSAL: Final = {
    "palm": (0.0, 0.0, 1.0),
    "back": (0.0, 0.0, -1.0),
    "left": (-1.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
}
VIEWS: Final = tuple(_DORSAL)


def upright_rotation(view: str, yaw_rad: float = 0.0, tilt_rad: float = 0.0, roll_rad: float = 0.0) -> Tensor:
    """Wrist frame -> optical frame (3, 3) of a hand with its fingers upwards.

    Args:
        view: 'palm' or 'back': what the camera sees. 'left' or 'right': where in the image its back points.
        yaw_rad: turns the hand about its own length.
        tilt_rad: about the image's horizontal axis; positive tips the fingers away from the camera.
        roll_rad: in the image, clockwise as seen.
    """
    if view not in _DORSAL:
        raise ValueError(f"view must be one of {VIEWS}, got {view!r}")
    dorsal, distal = torch.tensor(_DORSAL[view]), torch.tensor((0.0, -1.0, 0.0))
    facing = torch.stack((distal, torch.linalg.cross(dorsal, distal), dorsal), dim=-1)
    yaw, tilt, roll, zero = (torch.tensor(float(angle)) for angle in (yaw_rad, tilt_rad, roll_rad, 0.0))
    about_z = rotation_from_angles(zero, zero, roll)
    about_x = rotation_from_angles(-tilt, zero, zero)
    return about_z @ about_x @ facing @ rotation_from_angles(yaw, zero, zero)


def place(joints: Tensor, centre_m: tuple[float, float, float]) -> Tensor:
    """The translation (3,) that brings the mean of joints (21, 3) to ``centre_m``."""
    if tuple(joints.shape) != (hand.NUM_JOINTS, 3):
        raise ValueError(f"joints must have shape ({hand.NUM_JOINTS}, 3), got {tuple(joints.shape)}")
    return torch.tensor(centre_m, dtype=joints.dtype) - joints.mean(dim=0)
