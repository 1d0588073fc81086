"""The forearm: the template's closed stump drawn out behind the wrist, bare or in a sleeve.

Detectors learn from pictures in which a hand sits on an arm; a hand cut off at the wrist is harder to find.
The arm is only drawn: it has no joints, and is no part of the mesh that the package publishes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hand_pose_ros.mesh.shape import STUMP_LENGTH_MM

_START_M = 0.012  # behind the wrist joint, where the stump starts to be drawn out
_STUMP_M = STUMP_LENGTH_MM * 1e-3
_CENTRE_Z_M = -0.0045
_BEND_M = 0.035  # length over which the wrist bends
SLEEVE_AROUND = 40
SLEEVE_RINGS = 24


@dataclass(frozen=True)
class Forearm:
    """Shape and direction of the forearm. Its angles turn the arm; the hand itself does not move.

    flexion_rad, abduction_rad: of the wrist; positive closes the angle between arm and hand on the palm's side,
        and on the thumb's side.
    length_m: from the wrist, for a hand of the mean size.
    sleeve_start_m: distance from the wrist at which a sleeve begins; None for a bare arm.
    sleeve_rgb: colour of the cloth, 0-1, sRGB.
    """

    flexion_rad: float = 0.0
    abduction_rad: float = 0.0
    length_m: float = 0.27
    sleeve_start_m: float | None = None
    sleeve_rgb: tuple[float, float, float] = (0.16, 0.2, 0.3)

    def __post_init__(self) -> None:
        if not self.length_m > 0:
            raise ValueError(f"length_m must be positive, got {self.length_m}")
        if self.sleeve_start_m is not None and not 0 <= self.sleeve_start_m < self.length_m:
            raise ValueError(f"sleeve_start_m must lie in [0, length_m), got {self.sleeve_start_m}")

    def draw_out(self, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where template vertices (V, 3) behind the wrist go (wrist frame, metres), and which (V,) those are."""
        behind = rest[:, 0] < -_START_M
        depth = (-_START_M - rest[behind, 0]) / (_STUMP_M - _START_M)
        along = _START_M + (self.length_m - _START_M) * depth.clip(0, 1) ** 2
        width, thickness = _growth(along)
        offset = np.stack((rest[behind, 1] * width, (rest[behind, 2] - _CENTRE_Z_M) * thickness), axis=1)
        return self._place(along, offset), behind

    def sleeve(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and triangles of the sleeve (none for a bare arm): a tube with soft folds, wrist frame."""
        if self.sleeve_start_m is None:
            return np.zeros((0, 3)), np.zeros((0, 3), dtype=np.int64)
        rings = np.linspace(0, 1, SLEEVE_RINGS)
        turn = np.arange(SLEEVE_AROUND) * (2 * np.pi / SLEEVE_AROUND)
        along = (self.sleeve_start_m + rings * (self.length_m * 1.02 - self.sleeve_start_m))[:, None]
        width, thickness = _growth(along)
        fold = 0.0012 * np.sin(190 * along + 2 * np.sin(turn)) + 0.001 * np.sin(3 * turn + 60 * along)
        slack = 0.005 + fold + 0.012 * rings[:, None]
        sideways = (0.0272 * width + slack) * np.cos(turn)
        dorsal = (0.019 * thickness + slack) * np.sin(turn)
        offset = np.stack((sideways, dorsal), axis=-1).reshape(-1, 2)
        vertices = self._place(np.broadcast_to(along, sideways.shape).ravel(), offset)
        # The cuff turns inwards, so that its edge has a thickness.
        hem = self._place(np.full(SLEEVE_AROUND, self.sleeve_start_m), offset[:SLEEVE_AROUND] * 0.9)
        vertices = np.concatenate((hem, vertices))
        ring, step = np.meshgrid(np.arange(SLEEVE_RINGS), np.arange(SLEEVE_AROUND), indexing="ij")
        a = (ring * SLEEVE_AROUND + step).ravel()
        b = (ring * SLEEVE_AROUND + (step + 1) % SLEEVE_AROUND).ravel()
        c, d = a + SLEEVE_AROUND, b + SLEEVE_AROUND
        return vertices, np.concatenate((np.stack((a, b, c), 1), np.stack((b, d, c), 1)))

    def _place(self, along: np.ndarray, offset: np.ndarray) -> np.ndarray:
        """Points (N, 3) at distances along the arm's bent axis, with offsets (N, 2) across it (radial, dorsal)."""
        bent = (along / _BEND_M).clip(0, 1)
        lever = along - bent * _BEND_M / 2  # the axis is an arc of _BEND_M, then straight
        flexion, abduction = self.flexion_rad, self.abduction_rad
        # Unit vectors along the arm, across it (radial, in the wrist's plane) and up: across x away.
        away_y, away_z = np.tan(abduction) * bent, -np.tan(flexion) * bent
        flat = np.sqrt(1 + away_y**2)
        norm = np.sqrt(flat**2 + away_z**2)
        away_x, away_y, away_z = -1 / norm, away_y / norm, away_z / norm
        across_x, across_y = away_y * norm / flat, -away_x * norm / flat
        radial, dorsal = offset.T
        x = away_x * lever - (along - lever) + across_x * radial + across_y * away_z * dorsal
        y = away_y * lever + across_y * radial - across_x * away_z * dorsal
        z = away_z * lever + _CENTRE_Z_M + (across_x * away_y - across_y * away_x) * dorsal
        return np.stack((x, y, z), axis=1)


def from_wrist(
    points: np.ndarray, rotation: np.ndarray, origin: np.ndarray, size: float, side: str
) -> np.ndarray:
    """Points (N, 3) of a right arm (wrist frame, mean size) as a hand of ``size`` and ``side`` has them: float32.

    Args:
        rotation, origin: (3, 3) and (3,), the wrist's pose in the frame wanted.
    """
    mirrored = points * (size, size if side == "right" else -size, size)
    return (mirrored @ rotation.T + origin).astype(np.float32)


def _growth(along: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much wider and thicker than the wrist the arm is at each distance from it."""
    t = ((along - _START_M) / 0.28).clip(0, 1)
    t = t * t * (3 - 2 * t)
    return 1 + 0.38 * t, 1 + 0.75 * t
