"""The implicit surface of the template hand: a smooth union of tapered capsules laid along the skeleton.

Everything is placed relative to the bones that :mod:`hand_pose_ros.kinematics.forward` poses, in millimetres
for a hand with the mean anchor bone, so that the surface and the skeleton cannot drift apart. The build pose is
spread (fingers do not merge) and half bent: linear blend skinning loses volume with the angle between
build pose and pose, so the middle of the range is where to build.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics

# Written out, not read from the limits: the template must not change when an average is tuned.
BUILD_POSE_DEG = {
    **{f"{finger}_mcp_flexion": 25.0 for finger in hand.FINGERS[1:]},
    **{f"{finger}_pip_flexion": 40.0 for finger in hand.FINGERS[1:]},
    **{f"{finger}_dip_flexion": 25.0 for finger in hand.FINGERS[1:]},
    "index_mcp_abduction": 2.0, "ring_mcp_abduction": -1.0, "little_mcp_abduction": -3.0,
    "thumb_cmc_abduction": 6.0, "thumb_mcp_flexion": 20.0, "thumb_ip_flexion": 25.0,
    "thumb_base_flexion": 32.0, "thumb_base_abduction": 42.0, "thumb_base_twist": -70.0,
    "index_base_flexion": 3.0, "index_base_abduction": 14.0, "index_base_twist": -5.0,
    "ring_base_flexion": 3.0, "ring_base_abduction": -14.0, "ring_base_twist": 4.0,
    "little_base_flexion": 6.0, "little_base_abduction": -28.0, "little_base_twist": 6.0,
}  # fmt: skip
BUILD_PROPORTIONS = {
    "thumb_cmc": 0.41, "thumb_mcp": 0.38, "thumb_ip": 0.35, "thumb_tip": 0.32,
    "index_mcp": 1.00, "index_pip": 0.41, "index_dip": 0.255, "index_tip": 0.255,
    "middle_mcp": 1.01, "middle_pip": 0.44, "middle_dip": 0.29, "middle_tip": 0.27,
    "ring_mcp": 0.945, "ring_pip": 0.40, "ring_dip": 0.285, "ring_tip": 0.27,
    "little_mcp": 0.885, "little_pip": 0.315, "little_dip": 0.215, "little_tip": 0.225,
}  # fmt: skip
STUMP_LENGTH_MM = 45.0
"""How far the closed forearm stump reaches behind the wrist."""

# Half the breadth of each finger, in millimetres: at MCP, PIP, DIP (thumb: CMC, MCP, IP) and near the tip.
FINGER_RADII_MM = {
    "thumb": (13.5, 11.6, 10.9, 8.8),
    "index": (10.6, 9.5, 8.5, 7.4),
    "middle": (10.8, 9.7, 8.6, 7.5),
    "ring": (10.2, 9.2, 8.2, 7.1),
    "little": (9.2, 8.1, 7.3, 6.4),
}
TIP_OVERHANG_MM = 4.0  # flesh beyond the fingertip joint
_AXIS_DEPTH_MM = 1.2  # the bones lie nearer the back of the finger than its pad
_FINGER_BLEND_MM = 1.0
_PALM_BLEND_MM = 3.2
_KNIT_BLEND_MM = 2.6  # between a finger and the palm


def build_frames() -> HandFrames:
    """The skeleton in the build pose, metres, wrist frame, float64."""
    angles = torch.tensor([BUILD_POSE_DEG.get(name, 0.0) for name in hand.ANGLE_NAMES], dtype=torch.float64)
    proportions = torch.tensor([BUILD_PROPORTIONS[name] for name in hand.BONE_NAMES], dtype=torch.float64)
    return forward_kinematics(angles.deg2rad(), proportions, anchor_length=hand.MEAN_ANCHOR_LENGTH_M)


@dataclass(frozen=True)
class _Capsule:
    """A capsule from ``start`` to ``end`` (3,) with a radius at each end, flattened along ``dorsal``."""

    start: np.ndarray
    end: np.ndarray
    start_radius: float
    end_radius: float
    dorsal: np.ndarray
    flatness: float = 1.0

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Approximate signed distance of points (N, 3) to the surface, negative inside."""
        axis = self.end - self.start
        offset = points - self.start
        along = np.clip(offset @ axis / max(axis @ axis, 1e-9), 0.0, 1.0)
        offset = offset - along[:, None] * axis
        offset = offset + np.outer(offset @ self.dorsal, self.dorsal) * (1 / self.flatness - 1)
        radius = self.start_radius + along * (self.end_radius - self.start_radius)
        return (np.linalg.norm(offset, axis=1) - radius) * self.flatness**0.5


class HandShape:
    """The template's signed distance, in the wrist frame of the build pose, millimetres."""

    def __init__(self) -> None:
        frames = build_frames()
        self._joints = frames.joints.numpy() * 1e3
        self._rotations = frames.rotations.numpy()
        self._fingers = [self._finger(finger) for finger in hand.FINGERS]
        self._palm = self._palm_parts() + self._webs() + self._thumb_root()
        self._wrist = self._part((-80, 0, -4), (2, 0, -5), 27.5, 25.0, flatness=0.7)

    @property
    def bounds_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners (3,) of a box around the hand; the forearm stump leaves it towards -x."""
        margin = 32.0  # more flesh than lies anywhere around a joint, and a cell of the grid
        return self._joints.min(axis=0) - margin, self._joints.max(axis=0) + margin

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Signed distance of points (N, 3), negative inside."""
        palm = _smooth_min([part.distance(points) for part in (*self._palm, self._wrist)], _PALM_BLEND_MM)
        fingers = [
            _smooth_min([part.distance(points) for part in parts], _FINGER_BLEND_MM)
            for parts in self._fingers
        ]
        # A plain minimum between fingers: they must not grow together where they come close.
        surface = _smooth_min([palm, np.minimum.reduce(fingers)], _KNIT_BLEND_MM)
        stump = -STUMP_LENGTH_MM - points[:, 0]
        return -_smooth_min([-surface, -stump], 2.0)

    def gradient(self, points: np.ndarray, step: float = 0.05) -> np.ndarray:
        """Outward unit normals (N, 3) of the distance, by central differences."""
        shifts = np.eye(3) * step
        gradient = np.stack(
            [self.distance(points + shift) - self.distance(points - shift) for shift in shifts], axis=1
        )
        return gradient / np.linalg.norm(gradient, axis=1, keepdims=True).clip(1e-12)

    def _on_bone(self, bone: str, along: float, radial: float = 0.0, dorsal: float = 0.0) -> np.ndarray:
        """The point at the fraction ``along`` a bone, moved sideways in the bone's frame (mm)."""
        child = hand.JOINT_INDEX[bone]
        start, end = self._joints[hand.PARENTS[child]], self._joints[child]
        return start + along * (end - start) + self._rotations[child] @ np.array((0.0, radial, dorsal))

    def _bone_part(
        self, bone: str, start: tuple, end: tuple, radii: tuple[float, float], flatness: float = 1.0
    ) -> _Capsule:
        """A capsule between two points (along, radial, dorsal) of one bone."""
        dorsal = self._rotations[hand.JOINT_INDEX[bone]][:, 2]
        return _Capsule(self._on_bone(bone, *start), self._on_bone(bone, *end), *radii, dorsal, flatness)

    def _part(self, start, end, start_radius: float, end_radius: float, flatness: float = 1.0) -> _Capsule:
        """A capsule in the wrist frame, or between two points already computed."""
        dorsal = np.array((0.0, 0.0, 1.0))
        ends = np.asarray(start, float), np.asarray(end, float)
        return _Capsule(*ends, start_radius, end_radius, dorsal, flatness)

    def _finger(self, finger: str) -> list[_Capsule]:
        """Three phalanges (for the thumb: metacarpal and two), each with its pad."""
        first = 1 + 4 * hand.FINGERS.index(finger)
        radii = FINGER_RADII_MM[finger]
        parts = []
        for segment in range(3):
            bone = hand.JOINT_NAMES[first + segment + 1]
            length = np.linalg.norm(self._joints[first + segment + 1] - self._joints[first + segment])
            near, far = radii[segment], radii[segment + 1]
            depth = -_AXIS_DEPTH_MM
            if segment < 2:
                waist = 0.98 * (near + far) / 2
                parts.append(self._bone_part(bone, (0, 0, depth), (0.55, 0, depth), (near, waist), 0.94))
                parts.append(self._bone_part(bone, (0.55, 0, depth), (1, 0, depth), (waist, far), 0.94))
                if finger != "thumb" or segment == 1:
                    pad = 0.62 * near
                    parts.append(
                        self._bone_part(bone, (0.4, 0, -0.45 * near), (0.7, 0, -0.45 * near), (pad, pad))
                    )
            else:
                # The last phalanx is flat on top for the nail, and its pad is the fullest.
                end = 1 + (TIP_OVERHANG_MM - far) / length
                parts.append(self._bone_part(bone, (0, 0, depth), (end, 0, depth - 0.6), (near, far), 0.84))
                parts.append(
                    self._bone_part(
                        bone, (0.42, 0, -0.38 * near), (end - 0.08, 0, -0.3 * near), (0.76 * near, 0.84 * far)
                    )
                )
        return parts

    def _palm_parts(self) -> list[_Capsule]:
        """Metacarpals with their knuckles, the pads below the fingers, the hypothenar and the carpal block."""
        parts = []
        for finger, width in zip(hand.FINGERS[1:], (10.0, 10.2, 9.8, 9.0), strict=True):
            bone = f"{finger}_mcp"
            parts.append(self._bone_part(bone, (0.28, 0, -1.5), (0.72, 0, -2.8), (12.0, width - 0.5), 0.9))
            parts.append(self._bone_part(bone, (0.72, 0, -2.8), (1.0, 0, -1.6), (width - 0.5, width), 0.95))
            parts.append(self._bone_part(bone, (0.4, 0, -9), (0.9, 0, -8.5), (8.5, 8.0)))
        pads = [self._on_bone(f"{finger}_mcp", 0.97, 0, -8.2) for finger in hand.FINGERS[1:]]
        parts += [self._part(a, b, 7.6, 7.6) for a, b in pairwise(pads)]
        parts.append(self._bone_part("little_mcp", (0.22, -3, -9), (0.8, -3, -6.5), (14.0, 10.0), 0.95))
        parts.append(self._part((14, -13, -7), (14, 12, -7), 15.5, 15.5))
        return parts

    def _webs(self) -> list[_Capsule]:
        """Skin between neighbouring fingers, up to nearly half of the proximal phalanges on the palm side."""
        parts = []
        for near, far in pairwise(hand.FINGERS[1:]):
            a, b = (self._on_bone(f"{finger}_pip", 0.2, 0, -4.0) for finger in (near, far))
            parts.append(self._part(a, b, 6.0, 6.0))
        return parts

    def _thumb_root(self) -> list[_Capsule]:
        """The thenar eminence, the first interosseous muscle and the web between thumb and index finger."""
        on_bone = self._on_bone
        parts = [
            self._bone_part("thumb_mcp", (-0.3, 0, -9), (0.75, 0, -5), (14.5, 11.5), 0.95),
            self._bone_part("thumb_mcp", (0.0, 0, -2), (0.9, 0, -1), (13.0, 11.0)),
            self._part(on_bone("thumb_mcp", 0.1, 0, -10), on_bone("index_mcp", 0.55, 0, -10), 12.0, 9.0),
        ]
        for on_thumb, on_index, radius in ((0.35, 0.5, 9.0), (0.62, 0.68, 7.0), (0.85, 0.8, 5.0)):
            parts.append(
                self._part(
                    on_bone("thumb_mcp", on_thumb, 0, -3),
                    on_bone("index_mcp", on_index, 2, -6),
                    radius,
                    radius,
                )
            )
        return parts


def _smooth_min(distances: list[np.ndarray], blend_mm: float) -> np.ndarray:
    """Smooth minimum by log-sum-exp: independent of the order of the parts."""
    stacked = np.stack(distances)
    smallest = stacked.min(axis=0)
    return smallest - blend_mm * np.log(np.exp((smallest - stacked) / blend_mm).sum(axis=0))
