"""Hands in front of a camera: upright orientations, and random believable hands within the limits."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.gestures import GESTURES_DEG, gesture_angles
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.rendering.forearm import Forearm
from hand_pose_ros.rendering.renderer import HandInView
from hand_pose_ros.rendering.skin import SKIN_TONES
from hand_pose_ros.rotations import rotation_from_angles

# The wrist's dorsal (z) axis in the optical frame for a hand that points upwards (x along -y).
_DORSAL: Final = {
    "palm": (0.0, 0.0, 1.0),
    "back": (0.0, 0.0, -1.0),
    "left": (-1.0, 0.0, 0.0),
    "right": (1.0, 0.0, 0.0),
}
VIEWS: Final = tuple(_DORSAL)

_MAX_ROLL_RAD = 0.785
_MAX_YAW_RAD = 0.35
_MAX_TILT_RAD = 0.30
_MEAN_HEIGHT_M = 0.18  # of an upright open hand
_HEIGHT_SHARE = (150 / 480, 300 / 480)  # of the image that such a hand fills
_GESTURE_SPREAD = 0.05  # standard deviation of an angle, as a share of its range
_FREE_SPREAD = 0.10
_BONE_SPREAD = 0.04


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


def random_hand(camera: CameraModel, generator: torch.Generator) -> HandInView:
    """One hand with its palm or back to the camera, fingers up within 45 degrees, and random looks.

    Half of the poses lie near a named gesture, the others farther around a relaxed or an open hand. The hand is
    tall enough to fill 31-63 % of the image if it is open (150-300 px of 480).
    """
    side = hand.SIDES[_choice(2, generator)]
    view = ("palm", "back")[_choice(2, generator)]
    angles, proportions = random_pose(generator)
    rotation = upright_rotation(
        view,
        _uniform(-_MAX_YAW_RAD, _MAX_YAW_RAD, generator),
        _uniform(-_MAX_TILT_RAD, _MAX_TILT_RAD, generator),
        _uniform(-_MAX_ROLL_RAD, _MAX_ROLL_RAD, generator),
    )
    depth = camera.fy * _MEAN_HEIGHT_M / (camera.height * _uniform(*_HEIGHT_SHARE, generator))
    at_origin = forward_kinematics(angles, proportions, rotation, None, hand.MEAN_ANCHOR_LENGTH_M, side)
    centre = _uniform(-0.05, 0.05, generator), _uniform(-0.03, 0.03, generator), depth
    frames = HandFrames(at_origin.joints + place(at_origin.joints, centre), at_origin.rotations)
    arm = Forearm(
        flexion_rad=_uniform(-0.35, 0.35, generator),
        abduction_rad=_uniform(-0.2, 0.2, generator),
        sleeve_start_m=None if _choice(2, generator) else _uniform(0.04, 0.16, generator),
        sleeve_rgb=(
            _uniform(0.05, 0.8, generator),
            _uniform(0.05, 0.8, generator),
            _uniform(0.05, 0.8, generator),
        ),
    )
    return HandInView(frames, side, SKIN_TONES[_choice(len(SKIN_TONES), generator)], arm)


def random_pose(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Angles (38,) in radians and proportions (20,), within the limits and concentrated where hands are."""
    near_gesture = _choice(2, generator)
    names = tuple(GESTURES_DEG) if near_gesture else ("relaxed", "open")
    bounds, lengths = angle_bounds(), proportion_bounds()
    spread = _GESTURE_SPREAD if near_gesture else _FREE_SPREAD
    angles = gesture_angles(names[_choice(len(names), generator)])
    angles = angles + spread * (bounds.maximum - bounds.minimum) * torch.randn(
        angles.shape, generator=generator
    )
    proportions = lengths.neutral * (1 + _BONE_SPREAD * torch.randn(hand.NUM_BONES, generator=generator))
    return bounds.clamp(angles), lengths.clamp(proportions)


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _choice(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
