"""A made-up video with exact truth: a hand opens, closes, points, pinches and turns. The demo's default input."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.gestures import gesture_angles
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.rendering.background import room_background
from hand_pose_ros.rendering.forearm import Forearm
from hand_pose_ros.rendering.renderer import HandInView, Rendering, render
from hand_pose_ros.rendering.skin import SKIN_TONES, Skin
from hand_pose_ros.rendering.views import place, upright_rotation

CLIP_CAMERA = CameraModel.from_fov(640, 480, float(np.deg2rad(60)))
CLIP_DURATION_S = 9.0
FRAME_RATE_HZ = 30.0

# Time (s), gesture, yaw, tilt and roll (degrees), centre of the hand (m, optical frame); for a right hand.
_KEYFRAMES: tuple[tuple[float, str, tuple[int, int, int], tuple[float, float, float]], ...] = (
    (0.0, "open", (-10, 0, 0), (0.00, 0.000, 0.42)),
    (0.3, "open", (-10, 0, 0), (0.00, 0.000, 0.42)),
    (1.2, "fist", (-15, 5, -5), (0.01, 0.010, 0.42)),
    (2.1, "open", (10, -8, 8), (0.03, 0.000, 0.38)),
    (3.0, "point", (5, 5, -8), (-0.03, 0.000, 0.40)),
    (3.8, "point", (15, 10, 12), (0.04, -0.020, 0.44)),
    (4.6, "relaxed", (20, 0, 5), (0.02, 0.000, 0.42)),
    (5.4, "pinch", (30, 5, 0), (0.00, 0.010, 0.36)),
    (5.9, "relaxed", (30, 5, 0), (0.00, 0.010, 0.36)),
    (6.4, "ok", (10, 0, -5), (-0.02, 0.010, 0.38)),
    (7.0, "open", (0, 0, 0), (0.00, 0.000, 0.42)),
    (8.0, "flat", (180, 0, 5), (0.00, 0.000, 0.42)),
    (8.2, "flat", (180, 0, 5), (0.00, 0.000, 0.42)),
    (CLIP_DURATION_S, "open", (350, 0, 0), (0.00, 0.000, 0.42)),
)


@dataclass(frozen=True)
class ClipFrame:
    """One frame of a clip: the picture and everything that made it.

    stamp_s: time since the clip's start. angles: (38,) rad. proportions: (20,). frames: the skeleton in the
    camera's optical frame, metres. rendering: image, mask, depth, and ``rendering.hands[0]``.
    """

    stamp_s: float
    side: str
    angles: Tensor
    proportions: Tensor
    anchor_length_m: float
    frames: HandFrames
    rendering: Rendering


def render_clip(
    camera: CameraModel = CLIP_CAMERA,
    side: str = "right",
    seed: int = Seed.ARBITRARY,
    frame_rate_hz: float = FRAME_RATE_HZ,
    duration_s: float = CLIP_DURATION_S,
) -> Iterator[ClipFrame]:
    """The frames of a clip, one by one; the same for the same arguments.

    The motion repeats after ``CLIP_DURATION_S`` seconds without a jump. ``seed`` chooses the room, the skin, the
    sleeve and the person's bone lengths.

    Raises:
        ValueError: an unknown side, a rate or duration that is not positive and finite, or no frame in it.
    """
    stamps = _stamps(side, frame_rate_hz, duration_s)
    return _frames(camera, side, seed, stamps)


def clip_joints(
    side: str = "right",
    seed: int = Seed.ARBITRARY,
    frame_rate_hz: float = FRAME_RATE_HZ,
    duration_s: float = CLIP_DURATION_S,
) -> Tensor:
    """The joints (frames, 21, 3) of :func:`render_clip`, metres in the optical frame, without rendering."""
    stamps = _stamps(side, frame_rate_hz, duration_s)
    person = _person(seed)
    return torch.stack([_frames_at(stamp, side, person)[1].joints for stamp in stamps])


def _stamps(side: str, frame_rate_hz: float, duration_s: float) -> Iterator[float]:
    """The times of the frames, seconds; refuses what makes no clip."""
    hand.check_side(side)
    if not 0 < frame_rate_hz < math.inf or not 0 < duration_s < math.inf:
        raise ValueError(
            f"frame rate and duration must be positive and finite, got {frame_rate_hz} Hz and {duration_s} s"
        )
    count = round(duration_s * frame_rate_hz)
    if count == 0:
        raise ValueError(f"{duration_s} s at {frame_rate_hz} Hz hold no frame")
    return (number / frame_rate_hz for number in range(count))


@dataclass(frozen=True)
class _Person:
    """Appearance and bone lengths of the hand, chosen by the seed as the room is."""

    skin: Skin
    arm: Forearm
    proportions: Tensor


def _person(seed: int) -> _Person:
    generator = np.random.default_rng(seed)
    skin = SKIN_TONES[generator.integers(len(SKIN_TONES))]
    sleeve = None if generator.random() < 0.5 else float(generator.uniform(0.05, 0.12))
    arm = Forearm(0.1, 0.05, sleeve_start_m=sleeve, sleeve_rgb=tuple(generator.uniform(0.1, 0.7, 3)))
    bounds = proportion_bounds()
    spread = torch.from_numpy(generator.normal(1, 0.03, hand.NUM_BONES).astype(np.float32))
    return _Person(skin, arm, bounds.clamp(bounds.neutral * spread))


def _frames(camera: CameraModel, side: str, seed: int, stamps: Iterator[float]) -> Iterator[ClipFrame]:
    background = room_background(camera.width, camera.height, seed)
    person = _person(seed)
    for stamp in stamps:
        angles, frames = _frames_at(stamp, side, person)
        rendering = render([HandInView(frames, side, person.skin, person.arm)], camera, background)
        yield ClipFrame(stamp, side, angles, person.proportions, hand.MEAN_ANCHOR_LENGTH_M, frames, rendering)


def _frames_at(stamp_s: float, side: str, person: _Person) -> tuple[Tensor, HandFrames]:
    """Angles (38,) and skeleton at a time of the clip."""
    angles, rotation, centre = _pose_at(stamp_s, side)
    at_origin = forward_kinematics(
        angles, person.proportions, rotation, None, hand.MEAN_ANCHOR_LENGTH_M, side
    )
    return angles, HandFrames(at_origin.joints + place(at_origin.joints, centre), at_origin.rotations)


def _pose_at(stamp_s: float, side: str) -> tuple[Tensor, Tensor, tuple[float, float, float]]:
    """Angles (38,), wrist rotation (3, 3) and centre of the hand (m) at a time of the clip."""
    time = stamp_s % CLIP_DURATION_S
    last = next(k for k in range(1, len(_KEYFRAMES)) if time < _KEYFRAMES[k][0])
    (start, *_), (end, *_) = first, second = _KEYFRAMES[last - 1], _KEYFRAMES[last]
    share = _minimum_jerk((time - start) / (end - start))
    angles, turn, centre = (
        (1 - share) * a + share * b for a, b in zip(_arrays(*first[1:]), _arrays(*second[1:]), strict=True)
    )
    yaw, tilt, roll = np.deg2rad(turn)
    mirror = 1.0 if side == "right" else -1.0
    rotation = upright_rotation("palm", mirror * yaw, tilt, mirror * roll)
    x, y, z = map(float, centre)
    return angle_bounds().clamp(torch.from_numpy(angles)), rotation, (mirror * x, y, z)


def _arrays(gesture: str, turn: tuple, centre: tuple) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return gesture_angles(gesture).numpy(), np.array(turn, np.float32), np.array(centre, np.float32)


def _minimum_jerk(share: float) -> np.float32:
    """0 to 1 with zero velocity and acceleration at both ends, as hands move (Flash and Hogan 1985)."""
    return np.float32(share**3 * (10 - 15 * share + 6 * share**2))
