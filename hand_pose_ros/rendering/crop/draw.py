"""Draws textured surfaces as a square picture in a few milliseconds: :func:`draw_crop`.

For training crops, where thousands of pictures matter more than the last highlight: surfaces are lit at their
vertices (as :mod:`hand_pose_ros.rendering.lighting` has it, shadows from depth maps), drawn larger and shrunk,
and occlusion by what is near is read off the depth map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hand_pose_ros.rendering.crop.mesh_part import MeshPart, frame_along, unit
from hand_pose_ros.rendering.crop.rasteriser import Raster, at, depth_map, rasterise
from hand_pose_ros.rendering.lighting import Light, Lighting, incident_light
from hand_pose_ros.rendering.skin import srgb_from_linear

_OVERSAMPLING = 1.5
_NEAR_M = 0.03
_TONES = 4096
_SRGB = (srgb_from_linear(np.arange(_TONES) / (_TONES - 1)) * 255 + 0.5).astype(np.uint8)
# Occlusion: how far behind the mean of its surroundings (as a share of their size) a point is fully dark.
_OCCLUSION_SHARE = 0.055
_OCCLUSION_DEPTH = 1.4
_OCCLUSION_RGB = np.array(
    (0.45, 0.62, 0.66), np.float32
)  # light between two surfaces of skin turns red, not grey
# Shadows, by depth maps seen from the lights: coarser than rays, and much faster.
_SHADOW_SIZE = 96
_SHADOW_BIAS_M = 0.005  # a surface this close behind another is not in its shadow
_LIGHT_DISTANCE = 10.0  # how far away the light's picture is taken from, in windows: rays are parallel
_SHADOW_TAPS = np.array(((0.8, 0.3), (-0.3, 0.8), (-0.8, -0.3), (0.3, -0.8)), np.float32)


@dataclass(frozen=True)
class CropView:
    """A square pinhole picture of ``size_px``, along the z axis of ``rotation`` (3, 3) camera -> view, that spans
    +-``tangent`` in normalised coordinates.
    """

    rotation: np.ndarray
    tangent: float
    size_px: int

    def pixels(self, points: np.ndarray, size_px: int) -> tuple[np.ndarray, np.ndarray]:
        """Pixels (N, 2) and depths (N,) of points (N, 3) of the camera's frame, in a picture of ``size_px``."""
        turned = points @ self.rotation.T.astype(points.dtype)
        depth = turned[:, 2]
        safe = np.where(depth > _NEAR_M, depth, np.float32(np.inf)).astype(points.dtype)
        scale = size_px / (2 * self.tangent)
        return turned[:, :2] / safe[:, None] * points.dtype.type(scale) + points.dtype.type(
            (size_px - 1) / 2
        ), depth


@dataclass(frozen=True)
class DrawnCrop:
    """bgra: (h, w, 4) uint8, colour times coverage, and coverage. In the size that was drawn, before it was
    shrunk: labels (H, W) uint8, 0 where there is nothing, and depth (H, W) float32 along the view's axis, infinite
    there.
    """

    bgra: np.ndarray
    labels: np.ndarray
    depth: np.ndarray


def draw_crop(
    parts: Sequence[MeshPart],
    view: CropView,
    lighting: Lighting,
    centre: np.ndarray,
    radius: float,
    shadows: int = 1,
) -> DrawnCrop:
    """Draw surfaces.

    Args:
        centre, radius: the ball (camera's frame, metres) within which shadows are cast.
        shadows: how many of the lights, from the first, cast shadows.
    """
    size = int(_OVERSAMPLING * view.size_px)
    starts = np.cumsum([0] + [len(part.vertices) for part in parts])
    vertices = np.concatenate([part.vertices for part in parts])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts, strict=False)])
    pixels, depth = view.pixels(vertices, size)
    # What comes too near is not drawn: its triangles could cover everything.
    raster = rasterise(pixels, np.where(depth > _NEAR_M, depth, np.float32(-1)), faces, (size, size))
    face_ends = np.cumsum([len(part.faces) for part in parts])
    of_part = np.searchsorted(face_ends, raster.triangle, side="right").astype(np.uint8)
    depth_picture = np.full(size * size, np.inf, dtype=np.float32)
    depth_picture[raster.pixel] = raster.depth
    depth_picture = depth_picture.reshape(size, size)
    labels = np.zeros(size * size, dtype=np.uint8)
    labels[raster.pixel] = np.array([part.label for part in parts], dtype=np.uint8)[of_part]

    used, corners = _used(faces, raster.triangle, len(vertices))
    light = _interpolate(
        _light_vertices(parts, vertices, faces, used, lighting, centre, radius, shadows), corners, raster
    )
    hollow = at(_hollow(depth_picture, view), raster.pixel)
    albedo = _albedo(parts, raster, of_part, face_ends)
    bgra = np.zeros((size * size, 4), dtype=np.uint8)
    scale = np.float32(lighting.exposure * (_TONES - 1))
    for channel in range(3):  # blue, green, red
        rgb = 2 - channel
        open_to_light = scale - hollow * np.float32(scale * _OCCLUSION_RGB[rgb])
        tone = albedo[rgb] * light[rgb] * open_to_light + scale * light[3 + rgb]
        bgra[raster.pixel, channel] = at(_SRGB, tone.astype(np.intp))
    bgra[raster.pixel, 3] = 255
    small = cv2.resize(
        bgra.reshape(size, size, 4), (view.size_px, view.size_px), interpolation=cv2.INTER_AREA
    )
    return DrawnCrop(small, labels.reshape(size, size), depth_picture)


def _used(faces: np.ndarray, triangles: np.ndarray, num_vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers (U,) of the vertices of the seen triangles (N,), and where (3, N) their corners are among these."""
    seen = np.zeros(len(faces), dtype=bool)
    seen[triangles] = True
    marked = np.zeros(num_vertices, dtype=bool)
    marked[faces[seen]] = True
    place = np.cumsum(marked) - 1
    corners = np.ascontiguousarray(at(place, faces).T).take(triangles, axis=1, mode="clip")
    return np.flatnonzero(marked), corners


def _interpolate(values: np.ndarray, corners: np.ndarray, raster: Raster) -> list[np.ndarray]:
    """The columns of vertices' values (U, C) at the pixels, C arrays of (N,)."""
    first, second, third = raster.barycentric
    return [
        at(column, corners[0]) * first + at(column, corners[1]) * second + at(column, corners[2]) * third
        for column in np.ascontiguousarray(values.T)
    ]


def over_background(bgra: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The picture (h, w, 3) uint8 of a drawn crop in front of a background (h, w, 3) uint8."""
    through = cv2.cvtColor(255 - bgra[..., 3], cv2.COLOR_GRAY2BGR)
    return cv2.add(cv2.multiply(background, through, scale=1 / 255), bgra[..., :3])


def _light_vertices(
    parts: Sequence[MeshPart],
    vertices: np.ndarray,
    faces: np.ndarray,
    used: np.ndarray,
    lighting: Lighting,
    centre: np.ndarray,
    radius: float,
    shadows: int,
) -> np.ndarray:
    """Scattered and reflected light (U, 6) of the used ones of the vertices."""
    layers = len(lighting.lights) + 1
    visibility = np.ones((len(vertices), layers, 3), dtype=np.float32)
    for number, light in enumerate(lighting.lights[:shadows]):
        visibility[:, number] = _light_reaches(light, vertices, faces, centre, radius)[:, None]
    start = 0
    for part in parts:
        end = start + len(part.vertices)
        if part.smoothing is not None and shadows:
            green = part.smoothing @ visibility[start:end, :shadows, 0]
            visibility[start:end, :shadows, 1:] = green[:, :, None]
            visibility[start:end, :shadows, 0] = part.smoothing @ green
        start = end
    gloss = np.repeat(
        np.array([part.gloss for part in parts], np.float32), [len(part.vertices) for part in parts]
    )
    normals = np.concatenate([part.normals for part in parts])
    light = incident_light(lighting, gloss[used], normals[used], unit(-vertices[used]), visibility[used])
    return np.concatenate(light, axis=1)


def _albedo(
    parts: Sequence[MeshPart], raster: Raster, of_part: np.ndarray, face_ends: np.ndarray
) -> np.ndarray:
    """Colour (3, N) of the surfaces at the pixels, by the nearest texel."""
    albedo = np.empty((3, len(raster.pixel)), dtype=np.float32)
    for number, part in enumerate(parts):
        chosen = np.flatnonzero(of_part == number)
        if not len(chosen):
            continue
        texture = part.texture
        triangle = at(raster.triangle, chosen)
        triangle -= face_ends[number] - len(part.faces)
        x, y = np.float32(0), np.float32(0)
        for corner in range(3):
            weight = at(raster.barycentric[corner], chosen)
            of_x, of_y = texture.corners[corner]
            x, y = x + at(of_x, triangle) * weight, y + at(of_y, triangle) * weight
        height, width = texture.image.shape[:2]
        texel = (y.astype(np.intp) % height) * width + x.astype(np.intp) % width
        colours = texture.image.reshape(-1, 3).take(texel, axis=0, mode="clip")
        for channel in range(3):
            albedo[channel, chosen] = colours[:, channel] * part.tint[channel]
    return albedo


def _hollow(depth: np.ndarray, view: CropView) -> np.ndarray:
    """How deep in a hollow each pixel (flattened) of a depth picture lies, 0 to 1."""
    covered = np.isfinite(depth)
    window = max(3, int(depth.shape[0] * _OCCLUSION_SHARE)) | 1
    filled = np.where(covered, depth, np.float32(0))
    weight = cv2.blur(covered.astype(np.float32), (window, window))
    mean = cv2.blur(filled, (window, window)) / np.maximum(weight, np.float32(1e-3))
    reach = filled * np.float32(2 * view.tangent * _OCCLUSION_SHARE * _OCCLUSION_DEPTH)
    return ((filled - mean) / np.maximum(reach, np.float32(1e-6))).clip(0, 1).ravel()


def _light_reaches(
    light: Light, vertices: np.ndarray, faces: np.ndarray, centre: np.ndarray, radius: float
) -> np.ndarray:
    """How much of a light reaches vertices (V, 3) of triangles (F, 3): (V,) in [0, 1].

    Only what lies within ``radius`` of ``centre`` (3,) across the light casts and receives shadows.
    """
    x, y, z = light.direction
    across = (1.0, 0.0, 0.0) if abs(x) < abs(y) + abs(z) else (0.0, 1.0, 0.0)
    # Columns: right and down in the light's picture, and away from the light.
    turn = frame_along(np.array((-x, -y, -z)), np.array(across))[:, [1, 2, 0]]
    turned = (vertices - centre) @ (turn / radius).astype(np.float32)
    pixels = (turned[:, :2] + 1) * np.float32(_SHADOW_SIZE / 2) - np.float32(0.5)
    depth = turned[:, 2] + np.float32(_LIGHT_DISTANCE)
    nearest = np.pad(depth_map(pixels, depth, faces, (_SHADOW_SIZE, _SHADOW_SIZE)), 1, constant_values=np.inf)
    reach = np.zeros(len(vertices), dtype=np.float32)
    limit = depth - np.float32(_SHADOW_BIAS_M / radius)
    softness = max(1.0, float(np.tan(light.radius_rad)) * 10)
    for tap in _SHADOW_TAPS * np.float32(softness):
        # The border is lit: what casts no shadow there is far from the hand.
        place = (pixels + (tap + np.float32(1.5))).astype(np.intp)
        np.minimum(np.maximum(place, 0, out=place), _SHADOW_SIZE + 1, out=place)
        reach += at(nearest, place[:, 1] * (_SHADOW_SIZE + 2) + place[:, 0]) > limit
    return reach / np.float32(len(_SHADOW_TAPS))
