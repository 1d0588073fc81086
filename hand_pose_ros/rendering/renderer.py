"""Renders posed hands over a background, with exact ground truth: :func:`render`.

One ray per pixel finds the surface; pixels on an outline get four more. Headless, on the CPU, without OpenGL.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.mesh.template import JOINT_DEPTHS_M, SLANT
from hand_pose_ros.rendering.geometry import Geometry, HandInView
from hand_pose_ros.rendering.lighting import Lighting
from hand_pose_ros.rendering.rays import Hits
from hand_pose_ros.rendering.skin import linear_from_srgb, srgb_from_linear

_SUBPIXELS = np.array(((-0.125, -0.375), (0.375, -0.125), (0.125, 0.375), (-0.375, 0.125)), np.float32)
_OUTLINE_STEP_M = 0.004  # a larger step in depth between neighbouring pixels is an outline
_EYE = np.zeros(3, dtype=np.float32)
_FLESH_M = SLANT * np.array(JOINT_DEPTHS_M)


@dataclass(frozen=True)
class HandTruth:
    """Exact ground truth of one drawn hand.

    joints_m: (21, 3), camera frame. joints_px: (21, 2), NaN behind the camera. visible: (21,) bool: the joint
    projects into the image, and the first surface on the ray to it is its own hand's, no farther in front of the
    joint than its flesh is thick.
    """

    side: str
    joints_m: np.ndarray
    joints_px: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True)
class Rendering:
    """A picture with its ground truth.

    image: (H, W, 3) uint8, BGR. mask: (H, W) uint8; 0 for background and sleeves, k for the k-th hand (with
    its bare forearm). depth_m: (H, W) float32 along the optical axis of what was drawn, NaN elsewhere.
    """

    image: np.ndarray
    mask: np.ndarray
    depth_m: np.ndarray
    hands: tuple[HandTruth, ...]


def render(
    hands: Sequence[HandInView],
    camera: CameraModel,
    background: np.ndarray,
    lighting: Lighting | None = None,
) -> Rendering:
    """Draw hands as the camera sees them over a background (H, W, 3) uint8 BGR of the camera's size.

    Deterministic; any number of hands, also none. The camera's distortion is honoured.

    Raises:
        ValueError: the background's shape or type is wrong.
    """
    if background.shape != (camera.height, camera.width, 3) or background.dtype != np.uint8:
        raise ValueError(
            f"background must be ({camera.height}, {camera.width}, 3) uint8, "
            f"got {background.shape} {background.dtype}"
        )
    image = background.copy()
    mask = np.zeros(background.shape[:2], dtype=np.uint8)
    depth = np.full(background.shape[:2], np.nan, dtype=np.float32)
    if not hands:
        return Rendering(image, mask, depth, ())

    geometry = Geometry(hands, lighting or Lighting())
    window = _window(geometry.vertices, camera)
    rays = _pixel_rays(camera)[window]
    shape, rays = rays.shape[:2], rays.reshape(-1, 3)
    hits = geometry.scene.first_hits(_EYE, rays)
    seen = hits.triangle >= 0
    distance = np.where(seen, hits.distance, np.nan)
    depth[window] = distance.reshape(shape)
    mask[window] = np.where(seen, geometry.labels[hits.triangle], 0).reshape(shape)

    pixels = image[window].reshape(-1, 3)
    outline = _outline(distance.reshape(shape)).ravel()
    inside = np.flatnonzero(seen & ~outline)
    pixels[inside] = _bgr(_colour(geometry, hits, rays, inside))
    border = np.flatnonzero(outline)
    rows, columns = (part.ravel()[border] for part in np.mgrid[window])
    places = np.stack((columns, rows), axis=-1)[:, None].astype(np.float32) + _SUBPIXELS
    pixels[border] = _antialiased(geometry, pixels[border], _rays(camera, places.reshape(-1, 2)))
    image[window] = pixels.reshape(*shape, 3)
    return Rendering(
        image, mask, depth, tuple(_truth(k, one, camera, geometry) for k, one in enumerate(hands))
    )


def _colour(geometry: Geometry, hits: Hits, rays: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Linear RGB of the chosen ones of the hits of rays (N, 3)."""
    u, v = hits.u[chosen], hits.v[chosen]
    return geometry.colour(hits.triangle[chosen], np.stack((1 - u - v, u, v), axis=1), rays[chosen])


def _antialiased(geometry: Geometry, behind: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Pixels (n, 3) BGR on outlines, from the background behind them (n, 3) and their subpixels' rays (4 n, 3)."""
    samples = linear_from_srgb(behind[:, ::-1] / 255.0).repeat(len(_SUBPIXELS), axis=0)
    hits = geometry.scene.first_hits(_EYE, rays)
    seen = np.flatnonzero(hits.triangle >= 0)
    samples[seen] = _colour(geometry, hits, rays, seen).clip(0, 1)
    return _bgr(samples.reshape(-1, len(_SUBPIXELS), 3).mean(axis=1))


def _bgr(linear: np.ndarray) -> np.ndarray:
    return (srgb_from_linear(linear)[:, ::-1] * 255 + 0.5).astype(np.uint8)


def _outline(distance: np.ndarray) -> np.ndarray:
    """Pixels (h, w) whose depth (NaN: nothing there) differs much from that of a neighbour."""
    filled = np.nan_to_num(distance, nan=1e3)
    outline = np.zeros(distance.shape, dtype=bool)
    for near, far in (((slice(None), slice(1, None)), (slice(None), slice(-1))), (slice(1, None), slice(-1))):
        step = np.abs(filled[near] - filled[far]) > _OUTLINE_STEP_M
        outline[near] |= step
        outline[far] |= step
    return outline


def _window(vertices: np.ndarray, camera: CameraModel) -> tuple[slice, slice]:
    """Rows and columns of the image that the vertices (V, 3) cover."""
    pixels = camera.project(torch.from_numpy(vertices)).numpy()
    size = np.array((camera.width, camera.height))
    if np.isnan(pixels).any():  # partly behind the camera, or beyond what the lens maps
        return slice(0, camera.height), slice(0, camera.width)
    low = np.floor(pixels.min(axis=0) - 1).clip(0, size).astype(int)
    high = np.ceil(pixels.max(axis=0) + 2).clip(0, size).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


@lru_cache(maxsize=4)
def _pixel_rays(camera: CameraModel) -> np.ndarray:
    """Rays (H, W, 3) through the centres of all pixels."""
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    pixels = np.stack((columns, rows), axis=-1).reshape(-1, 2).astype(np.float32)
    return _rays(camera, pixels).reshape(camera.height, camera.width, 3)


def _rays(camera: CameraModel, pixels: np.ndarray) -> np.ndarray:
    """Rays (N, 3) with z = 1; where the lens has none, one that looks back and meets nothing."""
    rays = camera.rays(torch.from_numpy(pixels)).numpy()
    return np.where(np.isfinite(rays), rays, np.array((0, 0, -1), np.float32))


def _truth(number: int, one: HandInView, camera: CameraModel, geometry: Geometry) -> HandTruth:
    joints = one.frames.joints.detach().cpu().double()
    pixels = camera.project(joints).numpy()
    joints = joints.numpy()
    in_image = ((pixels >= -0.5) & (pixels < (camera.width - 0.5, camera.height - 0.5))).all(axis=1)
    hits = geometry.scene.first_hits(_EYE, joints)
    # Rays reach their joint at distance 1.
    depth_inside = (1 - hits.distance) * np.linalg.norm(joints, axis=1)
    own = (hits.triangle >= 0) & (geometry.labels[hits.triangle] == number + 1)
    visible = in_image & own & (depth_inside < _FLESH_M * one.size)
    return HandTruth(one.side, joints, pixels, visible)
