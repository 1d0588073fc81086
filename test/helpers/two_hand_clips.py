"""Clips of two rendered hands that cross, touch, or of which one leaves and returns, with exact truth.

``rendered_clip`` renders every frame; ``cut_out_clip`` renders a few poses of each hand once and
moves their pictures about, which takes a fiftieth of that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.gestures import gesture_angles
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.pose import Frame
from hand_pose_ros.rendering.background import room_background
from hand_pose_ros.rendering.forearm import Forearm
from hand_pose_ros.rendering.renderer import HandInView, Rendering, render
from hand_pose_ros.rendering.skin import SKIN_TONES
from hand_pose_ros.rendering.views import place, upright_rotation
from helpers.tracking import minimum_jerk

CAMERA = CameraModel.from_fov(320, 240, float(np.deg2rad(60)))
KINDS = ("crossing", "touching", "leaving", "same_side")
_GESTURES = ("open", "relaxed", "flat", "pinch")
_MIDDLE_M = 0.42
_CUT_OUT_POSES = 6
Path = Callable[[float], tuple[float, float, float]]


@dataclass(frozen=True)
class _Actor:
    """A hand that follows a path (share of the clip -> centre, m) while it goes from one gesture to another."""

    side: str
    path: Path
    gestures: tuple[str, str]
    roll_rad: float
    proportions: torch.Tensor
    skin: int

    def in_view(self, share: float, centre: tuple[float, float, float]) -> HandInView:
        """The hand as it is bent at a share of the clip, with its middle at ``centre`` (m)."""
        mix = minimum_jerk(share)
        first, second = (gesture_angles(one) for one in self.gestures)
        angles = angle_bounds().clamp((1 - mix) * first + mix * second)
        rotation = upright_rotation("palm", 0.3 * np.sin(4 * share), 0.1, self.roll_rad)
        at_origin = forward_kinematics(
            angles, self.proportions, rotation, None, hand.MEAN_ANCHOR_LENGTH_M, self.side
        )
        frames = HandFrames(at_origin.joints + place(at_origin.joints, centre), at_origin.rotations)
        return HandInView(frames, self.side, SKIN_TONES[self.skin], Forearm(0.1, 0.05))


@dataclass(frozen=True)
class TwoHandFrame:
    """A frame of a clip. joints_px: (hands, 21, 2) true joints in a fixed order of the hands."""

    frame: Frame
    joints_px: np.ndarray


def rendered_clip(
    kind: str, seed: int, seconds: float = 2.0, rate_hz: float = 30.0
) -> Iterator[TwoHandFrame]:
    """The frames of a clip, each rendered."""
    actors = _cast(kind, np.random.default_rng(seed))
    background = room_background(CAMERA.width, CAMERA.height, seed)
    for stamp_s, share in _times(seconds, rate_hz):
        picture = render([one.in_view(share, one.path(share)) for one in actors], CAMERA, background)
        joints = np.stack([one.joints_px for one in picture.hands])
        yield TwoHandFrame(Frame(picture.image, CAMERA, stamp_s), joints)


def cut_out_clip(kind: str, seed: int, seconds: float = 2.0, rate_hz: float = 30.0) -> Iterator[TwoHandFrame]:
    """The frames of a clip, put together from rendered pictures of the hands; the nearer hand covers the other."""
    actors = _cast(kind, np.random.default_rng(seed))
    background = room_background(CAMERA.width, CAMERA.height, seed)
    poses = np.linspace(0, 1, _CUT_OUT_POSES)
    pictures = [
        [render([one.in_view(float(pose), (0.0, 0.0, _MIDDLE_M))], CAMERA, background) for pose in poses]
        for one in actors
    ]
    for stamp_s, share in _times(seconds, rate_hz):
        image, joints = background.astype(np.float32), np.empty((len(actors), hand.NUM_JOINTS, 2))
        for index in sorted(range(len(actors)), key=lambda k: -actors[k].path(share)[2]):
            picture = pictures[index][round(share * (_CUT_OUT_POSES - 1))]
            image, joints[index] = _laid_over(image, picture, actors[index].path(share))
        yield TwoHandFrame(Frame(image.round().astype(np.uint8), CAMERA, stamp_s), joints)


def _times(seconds: float, rate_hz: float) -> list[tuple[float, float]]:
    """(stamp in seconds, share of the clip) of each frame."""
    count = round(seconds * rate_hz)
    return [(number / rate_hz, number / (count - 1)) for number in range(count)]


def _laid_over(
    image: np.ndarray, picture: Rendering, centre: tuple[float, float, float]
) -> tuple[np.ndarray, np.ndarray]:
    """The image with the picture of a hand moved to ``centre`` laid over it, and the hand's joints (21, 2)."""
    x, y, z = centre
    scale, middle = _MIDDLE_M / z, np.array((CAMERA.cx, CAMERA.cy))
    offset = middle + np.array((CAMERA.fx * x, CAMERA.fy * y)) / z - scale * middle
    warp = np.column_stack((scale * np.eye(2), offset))
    size = (CAMERA.width, CAMERA.height)
    cover = cv2.warpAffine((picture.mask > 0).astype(np.float32), warp, size)[..., None]
    moved = cv2.warpAffine(picture.image.astype(np.float32), warp, size)
    return image + cover * (moved - image), scale * picture.hands[0].joints_px + offset


def sides(kind: str) -> tuple[str, str]:
    """The sides of a clip's two hands, as the person has them who holds them up before the camera."""
    return ("right", "right") if kind == "same_side" else ("right", "left")


def _cast(kind: str, generator: np.random.Generator) -> list[_Actor]:
    left, right = (sign * generator.uniform(0.11, 0.13) for sign in (-1, 1))
    low, rise = generator.uniform(-0.02, 0.03, 2), generator.uniform(-0.02, 0.02, 2)
    apart = generator.uniform(0.05, 0.08)  # in depth, so that hands that cross do not go through each other
    near, far = (_MIDDLE_M - apart / 2, _MIDDLE_M + apart / 2)

    def across(start: float, end: float, depth: float, k: int) -> Path:
        def path(share: float) -> tuple[float, float, float]:
            moved = minimum_jerk((share - 0.15) / 0.7)
            return start + moved * (end - start), low[k] + moved * rise[k], depth

        return path

    def there_and_back(start: float, end: float, k: int) -> Path:
        def path(share: float) -> tuple[float, float, float]:
            return start + minimum_jerk(1.7 - abs(3.4 * share - 1.7)) * (end - start), low[k], _MIDDLE_M

        return path

    if kind in ("crossing", "same_side"):
        paths = (across(left, right, near, 0), across(right, left, far, 1))
    elif kind == "touching":
        close = generator.uniform(0.045, 0.055)
        paths = (there_and_back(left, -close, 0), there_and_back(right, close, 1))
    elif kind == "leaving":
        paths = (there_and_back(left, -0.45, 0), across(right, right - 0.03, _MIDDLE_M, 1))
    else:
        raise ValueError(f"unknown kind {kind!r}")
    bounds = proportion_bounds()
    actors = []
    for side, path in zip(sides(kind), paths, strict=True):
        spread = torch.from_numpy(generator.normal(1, 0.03, hand.NUM_BONES).astype(np.float32))
        gestures = tuple(str(one) for one in generator.choice(_GESTURES, 2))
        actors.append(
            _Actor(
                side,
                path,
                gestures,
                float(generator.uniform(-0.3, 0.3)),
                bounds.clamp(bounds.neutral * spread),
                int(generator.integers(len(SKIN_TONES))),
            )
        )
    return actors
