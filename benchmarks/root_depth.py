"""How exactly, and how fast, the root solvers place a hand, beside OpenCV's PnP on the same data.

    python -m benchmarks.root_depth

Random in-limit hands before a 640x480 camera with a focal length of 600 px. Every solver gets the same noisy image
points. The 2.5D solvers also get the depths relative to the wrist and bone proportions, the others the whole
relative 3D pose; OpenCV's solve for its rotation as well. Prints the tables of docs/results/root_depth.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import median_seconds
from hand_pose_ros import hand
from hand_pose_ros.camera.root_depth import root_from_bone, root_from_bones
from hand_pose_ros.camera.root_position import root_from_pose
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.rotations import orthogonalise, rotation_from_vector

FOCAL_PX = 600.0
COUNT = 400
HUBER_DELTA = 3.0 / FOCAL_PX
NOISE_RATIO_M = 0.005 / (2.0 / FOCAL_PX)  # 5 mm of a joint against 2 px of its image


class Hands(NamedTuple):
    """Metric hands: root (B, 3), relative joints (B, 21, 3), bone lengths (B, 20), image points (B, 21, 2)."""

    root: Tensor
    joints: Tensor
    lengths: Tensor
    points: Tensor

    @property
    def anchor_length(self) -> Tensor:
        return self.lengths[:, hand.ANCHOR_BONE]


def random_hands(depth_m: float, generator: torch.Generator, count: int = COUNT) -> Hands:
    """Hands of random pose, build and orientation, with the wrist in the middle half of the image."""

    def uniform(low: Tensor, high: Tensor) -> Tensor:
        return low + (high - low) * torch.rand(count, *low.shape, generator=generator, dtype=torch.float64)

    angles, proportions = angle_bounds(torch.float64), proportion_bounds(torch.float64)
    lengths = uniform(proportions.minimum, proportions.maximum)
    anchor_length = uniform(*torch.tensor((0.075, 0.1), dtype=torch.float64))
    joints = forward_kinematics(
        uniform(angles.minimum, angles.maximum),
        lengths,
        orthogonalise(torch.randn(count, 3, 3, generator=generator, dtype=torch.float64)),
        anchor_length=anchor_length,
    ).joints
    root = uniform(*torch.tensor(((-0.25, -0.2, 1.0), (0.25, 0.2, 1.0)), dtype=torch.float64)) * depth_m
    return Hands(root, joints, lengths * anchor_length[:, None], _project(root, joints))


def with_anchor_bone_towards_the_camera(hands: Hands, generator: torch.Generator) -> Hands:
    """The same hands, turned until the bone wrist -> index MCP is within 10 degrees of the viewing ray."""
    bone = hands.joints[:, hand.ANCHOR_JOINT] / hands.joints[:, hand.ANCHOR_JOINT].norm(dim=-1, keepdim=True)
    ray = -hands.root / hands.root.norm(dim=-1, keepdim=True)
    axis = torch.linalg.cross(bone, ray)
    angle = torch.atan2(axis.norm(dim=-1), (bone * ray).sum(-1))
    turn = rotation_from_vector(axis / axis.norm(dim=-1, keepdim=True) * angle[:, None])
    direction = torch.randn(len(ray), 3, generator=generator, dtype=torch.float64)
    tilt = np.radians(10) * torch.rand(len(ray), 1, generator=generator, dtype=torch.float64)
    turn = rotation_from_vector(direction / direction.norm(dim=-1, keepdim=True) * tilt) @ turn
    joints = hands.joints @ turn.transpose(-1, -2)
    return hands._replace(joints=joints, points=_project(hands.root, joints))


def with_pose_error(hands: Hands, generator: torch.Generator, turn_deg: float, joint_m: float) -> Hands:
    """The same image, but a relative pose as a network estimates it: turned as a whole, and every joint off."""
    direction = torch.randn(len(hands.root), 3, generator=generator, dtype=torch.float64)
    turn = rotation_from_vector(np.radians(turn_deg) * direction / direction.norm(dim=-1, keepdim=True))
    noise = joint_m * torch.randn(hands.joints.shape, generator=generator, dtype=torch.float64)
    noise[:, hand.WRIST] = 0
    return hands._replace(joints=hands.joints @ turn.transpose(-1, -2) + noise)


def _project(root: Tensor, joints: Tensor) -> Tensor:
    absolute = joints + root[:, None]
    return absolute[..., :2] / absolute[..., 2:]


def by_opencv(method: int) -> Callable[[Hands], Tensor]:
    def solve(hands: Hands) -> Tensor:
        matrix = np.diag((FOCAL_PX, FOCAL_PX, 1.0))
        positions = []
        for joints, points in zip(hands.joints.numpy(), FOCAL_PX * hands.points.numpy(), strict=True):
            found, _, translation = cv2.solvePnP(joints, points, matrix, None, flags=method)
            positions.append(translation[:, 0] if found else np.full(3, np.nan))
        return torch.from_numpy(np.array(positions).reshape(-1, 3))

    return solve


SOLVERS: dict[str, Callable[[Hands], Tensor]] = {
    "2.5D, one bone": lambda hands: (
        root_from_bone(hands.points, hands.joints[..., 2], hands.anchor_length).position
    ),
    "2.5D, all bones": lambda hands: (
        root_from_bones(hands.points, hands.joints[..., 2], hands.lengths).position
    ),
    "3D": lambda hands: root_from_pose(hands.points, hands.joints).position,
    "3D, noisy pose": lambda hands: (
        root_from_pose(hands.points, hands.joints, noise_ratio=NOISE_RATIO_M).position
    ),
    "3D, Huber": lambda hands: root_from_pose(hands.points, hands.joints, huber_delta=HUBER_DELTA).position,
    "SQPnP": by_opencv(cv2.SOLVEPNP_SQPNP),
    "iterative PnP": by_opencv(cv2.SOLVEPNP_ITERATIVE),
}


def measure(hands: Hands) -> list[tuple[str, str]]:
    """Per solver: mean, median and 95th percentile of the root's error; its median depth error, and how many."""
    figures = []
    for solve in SOLVERS.values():
        position = solve(hands)
        valid = position.isfinite().all(-1)
        error_mm = 1e3 * (position - hands.root).norm(dim=-1)[valid]
        depth = 100 * (position[:, 2] / hands.root[:, 2] - 1).abs()[valid].median()
        millimetres = (error_mm.mean(), error_mm.median(), error_mm.quantile(0.95))
        share = 100 * valid.double().mean()
        figures.append((" / ".join(map(_short, millimetres)), f"{_short(depth)} ({share:.0f} %)"))
    return figures


def _short(value: Tensor) -> str:
    if value < 1e-6:
        return "0"
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def print_table(title: str, rows: dict[str, list[str]]) -> None:
    print(f"\n{title}\n")
    print("| hands |", " | ".join(SOLVERS), "|")
    print("|---" * (1 + len(SOLVERS)) + "|")
    for name, cells in rows.items():
        print(f"| {name} |", " | ".join(cells), "|")


def print_times() -> None:
    hands = random_hands(0.6, torch.Generator().manual_seed(Seed.ARBITRARY), 256)
    one = Hands(*(value[:1] for value in hands))
    rows = {
        f"{len(data.root)}": [
            f"{1e3 * median_seconds(lambda f=f, d=data: f(d), 10):.2g}" for f in SOLVERS.values()
        ]
        for data in (one, hands)
    }
    print_table("Time of one call, milliseconds:", rows)


def scenes() -> dict[str, Hands]:
    generator = torch.Generator().manual_seed(Seed.ARBITRARY)

    def noisy(hands: Hands, noise_px: float) -> Hands:
        noise = torch.randn(hands.points.shape, generator=generator, dtype=torch.float64)
        return hands._replace(points=hands.points + noise_px / FOCAL_PX * noise)

    result = {
        f"{depth_m} m, {noise_px:g} px": noisy(random_hands(depth_m, generator), noise_px)
        for depth_m in (0.3, 0.6, 1.2)
        for noise_px in (0.0, 1.0, 2.0, 5.0)
    }
    for noise_px in (1.0, 5.0):
        hands = with_anchor_bone_towards_the_camera(random_hands(0.6, generator), generator)
        result[f"anchor bone at the camera, 0.6 m, {noise_px:g} px"] = noisy(hands, noise_px)
    for turn_deg, joint_mm in ((0.0, 5.0), (5.0, 5.0), (10.0, 10.0)):
        hands = with_pose_error(noisy(random_hands(0.6, generator), 2.0), generator, turn_deg, joint_mm / 1e3)
        result[f"pose off by {turn_deg:g} deg and {joint_mm:g} mm, 0.6 m, 2 px"] = hands
    return result


def main() -> None:
    torch.set_num_threads(1)  # a hand is too small for more
    start = time.perf_counter()
    figures = {name: measure(hands) for name, hands in scenes().items()}
    print_table(
        "Absolute error of the root, mm: mean / median / 95th percentile of the valid solutions:",
        {name: [error for error, _ in cells] for name, cells in figures.items()},
    )
    print_table(
        "Median relative error of its depth, % (and valid solutions):",
        {name: [depth for _, depth in cells] for name, cells in figures.items()},
    )
    print_times()
    print(f"\n{COUNT} hands per row; {time.perf_counter() - start:.0f} s in all.")


if __name__ == "__main__":
    main()
