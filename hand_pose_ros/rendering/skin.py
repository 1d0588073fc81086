"""Procedural skin: colour, gloss and grain as functions of where a point lies on the template hand.

There is no texture map. Everything is computed from the point's place in the frame of its bone in the build
pose (x along the bone, y radial, z dorsal), so that it moves with the skin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.mesh.shape import FINGER_RADII_MM
from hand_pose_ros.mesh.template import BONE_STARTS, load_template

_DISTAL = np.array([node % 4 == 0 and node > 0 for node in range(hand.NUM_JOINTS)])
_PHALANX = np.array([node > 0 and (node - 1) % 4 > 0 for node in range(hand.NUM_JOINTS)])
_PHALANX[2] = False  # the thumb's metacarpal lies in the palm
_SLOW_WAVES, _QUICK_WAVES = 5, 7

# Lines of the palm, (x, y) in millimetres in the wrist frame: heart, head, life, and the creases of the wrist.
_PALM_LINES_MM = (
    ((58, -48), (68, -28), (73, -8), (82, 8), (90, 13)),
    ((72, 32), (64, 14), (56, -6), (44, -28)),
    ((72, 32), (60, 20), (44, 10), (24, 5), (8, 8)),
    ((7, -24), (4, -4), (7, 22)),
    ((-2, -22), (-4, 0), (-1, 20)),
)


@dataclass(frozen=True)
class Skin:
    """A person's skin: base colour in sRGB (0-1), and how strongly creases, blotches and nails show."""

    base_rgb: tuple[float, float, float] = (0.80, 0.60, 0.49)
    detail: float = 1.0
    gloss: float = 1.0


SKIN_TONES = (
    Skin((0.87, 0.69, 0.59)),
    Skin((0.80, 0.60, 0.49)),
    Skin((0.74, 0.53, 0.40)),
    Skin((0.62, 0.42, 0.30)),
    Skin((0.45, 0.29, 0.21)),
    Skin((0.33, 0.22, 0.17)),
)
"""From light to dark."""


class SkinSample(NamedTuple):
    """albedo (N, 3) linear RGB, gloss (N,) strength of the highlight, grain (N, 3) added to the normal."""

    albedo: np.ndarray
    gloss: np.ndarray
    grain: np.ndarray


def linear_from_srgb(rgb: np.ndarray) -> np.ndarray:
    """SRGB values in [0, 1] to linear light."""
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(rgb: np.ndarray) -> np.ndarray:
    """Linear light, clipped to [0, 1], to sRGB values."""
    rgb = rgb.clip(0, 1)
    return np.where(rgb <= 0.0031308, 12.92 * rgb, 1.055 * rgb ** (1 / 2.4) - 0.055)


def skin_at(skin: Skin, positions: np.ndarray, normals: np.ndarray, bones: np.ndarray) -> SkinSample:
    """Skin at points (N, 3) of the build pose (metres), with normals (N, 3) there and bones (N,)."""
    starts, rotations, lengths, radii = _bone_tables()
    rotation = rotations[bones]
    local = np.einsum("nij,ni->nj", rotation, positions - starts[bones])
    up = np.einsum("ni,ni->n", rotation[:, :, 2], normals)
    palmar, dorsal = _smoothstep(0.15, -0.55, up), _smoothstep(0.0, 0.7, up)
    x, y, length = local[:, 0], local[:, 1], lengths[bones]
    noise = _noise(positions)
    phalanx, distal = _PHALANX[bones], _DISTAL[bones]
    in_palm = ~phalanx & (bones > 0)

    base = linear_from_srgb(np.asarray(skin.base_rgb)).astype(np.float32)
    darkness = 1 - base.mean() ** 0.5
    pale = base * (1 - 0.3 * darkness) + np.array((0.62, 0.40, 0.33), np.float32) * (0.3 * darkness)
    pale = pale * np.array((1.10, 1.05, 1.06), np.float32)
    albedo = base + palmar[:, None] * (pale - base)
    albedo *= (1 + skin.detail * (0.05 * noise[:, 0] + 0.05 * noise[:, 1] * noise[:, 2]))[:, None]

    # Blood shows at the knuckles, the pads of the palm and the fingertips.
    at_joint = np.exp(-((x / 0.0075) ** 2)) + np.exp(-(((x - length) / 0.0075) ** 2)) * ~distal
    knuckle = dorsal * at_joint * phalanx
    tip = distal * _smoothstep(0.35, 0.9, x / length)
    blotch = _smoothstep(0.1, 0.9, noise[:, 3]) * palmar * in_palm
    blood = skin.detail * (0.5 * knuckle + 0.55 * tip + 0.4 * blotch)
    albedo *= 1 - blood.clip(0, 1)[:, None] * np.array((0.02, 0.22, 0.20), np.float32)

    crease = palmar * phalanx * (_line(x - 0.0005, 0.0007) + _line(x - length, 0.0007) * ~distal)
    proximal = phalanx & (bones % 4 == 2) & (bones > 4)
    crease = crease * ~proximal + proximal * palmar * (
        _line(x - 0.43 * length, 0.0007) + _line(x - length, 0.0007) + 0.6 * _line(x - length + 0.003, 0.0006)
    )
    wrinkle = knuckle * (0.5 + 0.5 * np.cos(x * (2 * np.pi / 0.0021) + 160 * y * np.sin(300 * y)))
    palm_line = palmar * ~phalanx * _palm_lines(positions)
    cavity = skin.detail * (0.5 * crease + 0.22 * wrinkle + 0.34 * palm_line)
    albedo *= 1 - cavity.clip(0, 0.7)[:, None] * np.array((0.55, 0.8, 0.85), np.float32)

    vein = ~phalanx * dorsal * _smoothstep(0.55, 0.95, 1 - np.abs(noise[:, 2]))
    albedo *= 1 - (skin.detail * 0.06 * vein)[:, None] * np.array((1.0, 0.7, 0.45), np.float32)

    nail, rim, white = _nail(x, y, up, length, radii[bones], distal)
    nail_rgb = 0.8 * base * np.array((1.12, 1.0, 1.02), np.float32) + 0.2 * np.array(
        (0.66, 0.42, 0.37), np.float32
    )
    albedo += nail[:, None] * (nail_rgb - albedo)
    albedo += (0.35 * white)[:, None] * (0.4 * base + 0.6 * np.array((0.70, 0.64, 0.56), np.float32) - albedo)
    albedo *= 1 - (0.35 * rim)[:, None]

    gloss = skin.gloss * (1 + 2.5 * nail + 0.3 * noise[:, 1])
    grain = (0.03 * skin.detail) * (1 - nail)[:, None] * noise[:, 4:7]
    return SkinSample(albedo.clip(0.005, 0.95), gloss, grain)


def _nail(x, y, up, length, radius, distal) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the nail, its rim and its free edge are, each (N,) in [0, 1]."""
    along = (x - 0.72 * length) / (0.34 * length)
    across = y / (0.74 * radius)
    reach = (along**4 + across**4) ** 0.25
    top = distal * _smoothstep(0.35, 0.6, up)
    nail = top * _smoothstep(1.03, 0.95, reach)
    rim = top * np.exp(-(((reach - 1.02) / 0.07) ** 2)) * (along < 0.6)
    return nail, rim, nail * _smoothstep(0.78, 0.9, along)


def _palm_lines(positions: np.ndarray) -> np.ndarray:
    """Darkness (N,) of the palm's lines."""
    points = positions[:, :2] * 1e3
    darkness = np.zeros(len(points), dtype=np.float32)
    near = positions[:, 2] < 0
    points = points[near]
    found = np.zeros(len(points), dtype=np.float32)
    for line in _PALM_LINES_MM:
        corners = np.asarray(line, dtype=np.float32)
        for start, end in pairwise(corners):
            axis = end - start
            t = ((points - start) @ axis / (axis @ axis)).clip(0, 1)
            distance = np.linalg.norm(points - start - t[:, None] * axis, axis=1)
            found = np.maximum(found, _line(distance, 1.1))
    darkness[near] = found
    return darkness


def _line(distance: np.ndarray, width: float) -> np.ndarray:
    return np.exp(-((distance / width) ** 2))


def _smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    t = ((value - low) / (high - low)).clip(0, 1)
    return t * t * (3 - 2 * t)


def _noise(positions: np.ndarray) -> np.ndarray:
    """Seven smooth random fields (N, 7) in about [-1, 1]: 0-3 over centimetres, 4-6 (grain) over millimetres."""
    coarse, fine = _noise_waves()
    phases = positions @ coarse[:3] + coarse[3]
    slow = np.sin(phases).reshape(len(positions), 4, _SLOW_WAVES).sum(axis=2) * 0.5
    quick = np.sin(positions @ fine[:3] + fine[3]).reshape(len(positions), 3, _QUICK_WAVES).sum(axis=2) * 0.45
    return np.concatenate((slow, quick), axis=1)


@cache
def _noise_waves() -> tuple[np.ndarray, np.ndarray]:
    """Wave vectors and phases (4, fields * waves) of the noise; a fixed draw, part of what the skin looks like."""
    generator = np.random.default_rng(Seed.SKIN)
    waves = []
    for count, wavelength_m in ((4 * _SLOW_WAVES, 0.022), (3 * _QUICK_WAVES, 0.0035)):
        direction = generator.normal(size=(3, count))
        direction /= np.linalg.norm(direction, axis=0)
        frequency = 2 * np.pi / (wavelength_m * generator.uniform(0.6, 1.6, count))
        waves.append(np.vstack((direction * frequency, generator.uniform(0, 2 * np.pi, count))))
    return tuple(wave.astype(np.float32) for wave in waves)


@cache
def _bone_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Per bone: start (21, 3), rotation (21, 3, 3), length (21,) and half the breadth of its far end (21,)."""
    template = load_template()
    joints, rotations = template.joints.numpy(), template.rotations.numpy()
    starts = joints[list(BONE_STARTS)]
    lengths = np.linalg.norm(joints - starts, axis=1).clip(min=1e-3)
    radii = np.full(hand.NUM_JOINTS, 0.012)
    for index, finger in enumerate(hand.FINGERS):
        radii[1 + 4 * index : 5 + 4 * index] = np.asarray(FINGER_RADII_MM[finger]) * 1e-3
    return starts, rotations, lengths.astype(np.float32), radii.astype(np.float32)
