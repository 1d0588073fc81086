"""Light: area lights and a sky, given or random; soft shadows, ambient occlusion, and how skin answers them.

Shadows and occlusion vary slowly over the few millimetres between vertices of a hand under soft light, so they are
sampled at the template's vertices, spread a little under the skin (red light farthest) and interpolated.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.sparse

from hand_pose_ros.rendering.rays import RayScene

_SHADOW_SAMPLES = 6
_OCCLUSION_SAMPLES = 20
_OCCLUSION_REACH_M = 0.10
_RAY_START_M = 7e-4  # off the surface, so that a ray does not meet the triangle that it leaves
_WRAP = np.array((0.38, 0.18, 0.12), np.float32)  # light seeps past the terminator, red farthest
# Linear RGB of a black body, relative to green, from candle light over daylight to a blue sky.
_TEMPERATURES = np.array(((2000, 2.6, 0.22), (2700, 1.95, 0.42), (4000, 1.35, 0.72), (5500, 1.08, 0.95),
                          (6500, 1.0, 1.05), (9000, 0.84, 1.32), (12000, 0.77, 1.5)))  # fmt: skip
_LOG_KELVIN, _RED, _BLUE = np.log(_TEMPERATURES[:, 0]), _TEMPERATURES[:, 1], _TEMPERATURES[:, 2]
_BALANCE = 0.55  # the camera's white balance takes this share of a colour away
_EXPOSURE_SPREAD = 0.42  # standard deviation of the exposure's logarithm
_KEY = (0.75, 1.75)


@dataclass(frozen=True)
class Light:
    """A distant area light: direction towards it in the camera frame, linear colour, angular radius."""

    direction: tuple[float, float, float]
    rgb: tuple[float, float, float]
    radius_rad: float = 0.15


@dataclass(frozen=True)
class Lighting:
    """Lights, and a sky whose colour changes from above to below, in linear light."""

    lights: tuple[Light, ...] = (
        Light((-0.45, -0.75, -0.75), (1.55, 1.48, 1.38), 0.20),
        Light((0.85, -0.25, -0.55), (0.38, 0.42, 0.50), 0.35),
    )
    sky_rgb: tuple[float, float, float] = (0.42, 0.43, 0.46)
    ground_rgb: tuple[float, float, float] = (0.26, 0.22, 0.19)
    exposure: float = 0.8


def random_lighting(generator: np.random.Generator) -> Lighting:
    """Lights in a camera's frame (y down), mostly from above and from the camera's side, in linear light."""
    kelvin = 10 ** generator.uniform(np.log10(2300), np.log10(10000))
    lights = []
    strength = generator.uniform(*_KEY)
    for number in range(1 + generator.integers(3)):
        if number:
            strength *= generator.uniform(0.15, 0.7)
            kelvin = kelvin if generator.random() < 0.5 else generator.uniform(2300, 9000)
        direction = generator.normal(size=3) + (0, -0.8, -0.7)
        rgb = strength * light_rgb(kelvin)
        lights.append(Light(tuple(direction), tuple(rgb), float(generator.uniform(0.03, 0.4))))
    ambient = generator.uniform(0.15, 0.75)
    sky = ambient * light_rgb(generator.uniform(3500, 11000))
    ground = sky * generator.uniform(0.3, 1.0) * (1 + generator.uniform(-0.2, 0.2, 3))
    exposure = 0.62 * np.exp(_EXPOSURE_SPREAD * generator.normal())
    return Lighting(tuple(lights), tuple(sky), tuple(ground), float(exposure))


def light_rgb(kelvin: float) -> np.ndarray:
    """(3,) linear RGB of a light as a camera with imperfect white balance sees it."""
    place = math.log(kelvin)
    red, blue = (float(np.interp(place, _LOG_KELVIN, values)) ** (1 - _BALANCE) for values in (_RED, _BLUE))
    return np.array((red, 1.0, blue)) * (3 / (red + 1 + blue))


def vertex_visibility(
    scene: RayScene,
    vertices: np.ndarray,
    normals: np.ndarray,
    lighting: Lighting,
    smoothing: scipy.sparse.csr_matrix,
) -> np.ndarray:
    """How much of each light, and last of the sky, reaches vertices (V, 3): RGB (V, lights + 1, 3) in [0, 1]."""
    origins = vertices + normals * _RAY_START_M
    layers = [_reach(scene, origins, _disc(light), normals) for light in lighting.lights]
    hemisphere = _hemisphere()
    toward = hemisphere + normals[:, None] * 1.001  # cosine-weighted about each normal
    blocked = scene.blocked_within(origins, toward, _OCCLUSION_REACH_M)
    layers.append(1 - blocked.mean(axis=1))
    green = smoothing @ np.stack(layers, axis=1).astype(np.float32)
    red = smoothing @ (smoothing @ green)
    visibility = np.stack((red, green, green), axis=2)
    # Light between two surfaces of skin is reflected by skin: occluded places turn red, not grey.
    visibility[:, -1] **= np.array((0.75, 1.05, 1.15), np.float32)
    return visibility


def _reach(scene: RayScene, origins: np.ndarray, directions: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Share (V,) of the directions (S, 3) in which nothing stands between a vertex and the light."""
    facing = normals @ directions.mean(axis=0) > -0.35  # farther round, not even wrapped light arrives
    reach = np.zeros(len(origins), dtype=np.float32)
    toward = np.broadcast_to(directions, (int(facing.sum()), *directions.shape))
    # Start outside the surface as seen from the light: a vertex past the terminator must not shade itself.
    start = origins[facing] + 0.004 * directions.mean(axis=0)
    reach[facing] = 1 - scene.blocked_within(start, toward, np.inf).mean(axis=1)
    return reach


def _disc(light: Light) -> np.ndarray:
    """Unit directions (S, 3) spread evenly over the light's disc."""
    direction = np.asarray(light.direction, dtype=np.float32)
    direction /= np.linalg.norm(direction)
    helper = np.array((1, 0, 0), np.float32) if abs(direction[0]) < 0.8 else np.array((0, 1, 0), np.float32)
    first = np.cross(direction, helper)
    first /= np.linalg.norm(first)
    second = np.cross(direction, first)
    index = np.arange(_SHADOW_SAMPLES) + 0.5
    radius = np.tan(light.radius_rad) * np.sqrt(index / _SHADOW_SAMPLES)
    angle = index * 2.399963  # the golden angle
    spread = direction + np.outer(radius * np.cos(angle), first) + np.outer(radius * np.sin(angle), second)
    return (spread / np.linalg.norm(spread, axis=1, keepdims=True)).astype(np.float32)


@cache
def _hemisphere() -> np.ndarray:
    """Points (S, 3) spread evenly over the unit sphere."""
    index = np.arange(_OCCLUSION_SAMPLES) + 0.5
    z = 1 - 2 * index / _OCCLUSION_SAMPLES
    angle = index * 2.399963
    ring = np.sqrt(1 - z * z)
    return np.stack((ring * np.cos(angle), ring * np.sin(angle), z), axis=1).astype(np.float32)


def shade(
    lighting: Lighting,
    albedo: np.ndarray,
    gloss: np.ndarray,
    normals: np.ndarray,
    view: np.ndarray,
    visibility: np.ndarray,
) -> np.ndarray:
    """Linear RGB (N, 3) of points with albedo (N, 3), normals (N, 3), directions to the eye ``view`` (N, 3)."""
    diffuse, reflected = incident_light(lighting, gloss, normals, view, visibility)
    return lighting.exposure * (reflected + albedo * diffuse)


def incident_light(
    lighting: Lighting, gloss: np.ndarray, normals: np.ndarray, view: np.ndarray, visibility: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Light that a white surface would scatter, and light that the skin's gloss (N,) reflects, each (N, 3).

    Arguments as of :func:`shade`; ``visibility`` (N, lights + 1, 3) as :func:`vertex_visibility` gives it.
    """
    up = 0.5 - 0.5 * normals[:, 1:2]
    sky, ground = (np.array(rgb, np.float32) for rgb in (lighting.sky_rgb, lighting.ground_rgb))
    light_in = (ground + up * (sky - ground)) * visibility[:, -1]
    facing = np.einsum("ni,ni->n", normals, view).clip(0, 1)
    # Schlick's term: at grazing angles skin reflects the sky.
    reflected = (0.10 * (1 - facing) ** 4 * visibility[:, -1, 1] * gloss)[:, None] * sky
    for number, light in enumerate(lighting.lights):
        direction = np.array(light.direction, np.float32) / np.float32(np.linalg.norm(light.direction))
        rgb = np.array(light.rgb, np.float32)
        cosine = normals @ direction
        wrapped = ((cosine[:, None] + _WRAP) / (1 + _WRAP)).clip(0, None)
        light_in += rgb * wrapped * visibility[:, number]
        half = view + direction
        half /= np.linalg.norm(half, axis=1, keepdims=True)
        highlight = np.einsum("ni,ni->n", normals, half).clip(0, 1)
        second = highlight * highlight
        fourth = second * second
        eighth = fourth * fourth
        sixteenth = eighth * eighth
        lobe = 0.055 * eighth * fourth * second + 0.05 * sixteenth * sixteenth * sixteenth * second
        reflected += (lobe * gloss * (cosine > 0) * visibility[:, number, 1])[:, None] * rgb
    return light_in, reflected
