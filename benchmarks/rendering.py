"""A rendered 640x480 frame, beside brute-force ray casting in numpy. ``python -m benchmarks.rendering``."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.timing import median_seconds, print_header, print_row
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.rendering.background import room_background
from hand_pose_ros.rendering.geometry import Geometry
from hand_pose_ros.rendering.lighting import Lighting
from hand_pose_ros.rendering.renderer import render
from hand_pose_ros.rendering.views import random_hand

_NAIVE_RAYS = 200


def naive_first_hits(triangles: np.ndarray, rays: np.ndarray) -> np.ndarray:
    """Depth of the first of triangles (F, 3, 3) that each ray (N, 3) from the origin meets, inf for none."""
    origin = triangles[:, 0]
    edge1, edge2 = triangles[:, 1] - origin, triangles[:, 2] - origin
    q = np.cross(-origin, edge1)
    depths = np.full(len(rays), np.inf)
    for number, ray in enumerate(rays):
        p = np.cross(ray, edge2)
        determinant = np.einsum("fi,fi->f", edge1, p)
        u = -np.einsum("fi,fi->f", origin, p) / determinant
        v = q @ ray / determinant
        distance = np.einsum("fi,fi->f", edge2, q) / determinant
        hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (distance > 0)
        if hit.any():
            depths[number] = distance[hit].min()
    return depths


def main() -> None:
    torch.set_num_threads(2)
    camera = CameraModel.from_fov(640, 480, float(np.deg2rad(60)))
    background = room_background(640, 480, seed=Seed.ARBITRARY)
    generator = torch.Generator().manual_seed(Seed.ARBITRARY)
    hands = [random_hand(camera, generator) for _ in range(8)]

    geometry = Geometry(hands[:1], Lighting())
    pixels = torch.rand(_NAIVE_RAYS, 2, generator=generator) * torch.tensor((640.0, 480.0))
    rays = camera.rays(pixels).numpy()
    triangles = geometry.vertices[geometry.faces]
    naive_pixel = median_seconds(lambda: naive_first_hits(triangles, rays), 3, 0) / _NAIVE_RAYS
    naive = naive_pixel * 640 * 480  # the first hits alone, without light

    print_header()
    turn = iter(range(10**9))
    print_row(
        "one hand, 640x480",
        median_seconds(lambda: render([hands[next(turn) % 8]], camera, background)),
        naive,
    )
    print_row("two hands, 640x480", median_seconds(lambda: render(hands[:2], camera, background)), 2 * naive)
    print_row("background, 640x480", median_seconds(lambda: room_background(640, 480, 0), 5))


if __name__ == "__main__":
    main()
