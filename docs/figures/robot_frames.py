"""Draws docs/images/robot_frames.png: directions of the human hand, base frames of robot hands, and their vectors.

python docs/figures/robot_frames.py --output docs/images/robot_frames.png
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.patheffects import withStroke

from hand_pose_ros import hand
from hand_pose_ros.gestures import GESTURES_DEG
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.retargeting.demo_hand import FINGERS, demo_hand_urdf, joint_names, link_name
from hand_pose_ros.retargeting.human_frame import rotation_from_axes
from hand_pose_ros.retargeting.profile_files import profile_names, read_profile
from hand_pose_ros.retargeting.retargeter import Retargeter

AXIS_COLOURS = ("#d62728", "#2ca02c", "#1f5fd6")
HUMAN, ROBOT = "#b5651d", "#37474f"
HALO = [withStroke(linewidth=3, foreground="white")]
TITLES = {
    "ability": "Ability", "allegro_v5": "Allegro V5", "demo_hand": "demo_hand", "inspire_rh56": "Inspire RH56",
    "leap": "LEAP", "revo2": "Revo2", "shadow": "Shadow",
}  # fmt: skip


def posed(side: str, pose: str) -> np.ndarray:
    """Joints (21, 3) of a named pose in the wrist frame, metres."""
    angles = angle_bounds(torch.float64).neutral.clone()
    for name, degrees in GESTURES_DEG[pose].items():
        angles[hand.ANGLE_INDEX[name]] = math.radians(degrees)
    lengths = proportion_bounds(torch.float64).neutral
    return forward_kinematics(
        angles, lengths, anchor_length=hand.MEAN_ANCHOR_LENGTH_M, side=side
    ).joints.numpy()


def view(side: str) -> np.ndarray:
    """(2, 3) parallel projection of the wrist frame: the back of the hand towards you, fingers up."""
    depth = np.array((-0.45, 0.4 if side == "right" else -0.4, 1.0))
    depth /= np.linalg.norm(depth)
    up = np.array((1.0, 0.0, 0.0)) - depth[0] * depth
    up /= np.linalg.norm(up)
    return np.stack((np.cross(up, depth), up))


def arrow(ax: Axes, start: np.ndarray, end: np.ndarray, colour: str, **style) -> None:
    options = {
        "arrowstyle": "-|>",
        "mutation_scale": 11,
        "lw": 2.0,
        "shrinkA": 0,
        "shrinkB": 0,
        "zorder": 6,
        **style,
    }
    ax.add_patch(FancyArrowPatch(tuple(start), tuple(end), color=colour, **options))


def draw_human(ax: Axes, points: np.ndarray, **style) -> None:
    for start, end in hand.BONES:
        ax.plot(
            *points[[start, end]].T,
            solid_capstyle="round",
            **{"color": HUMAN, "lw": 5, "alpha": 0.35, **style},
        )


def directions_panel(ax: Axes, side: str) -> None:
    """A hand with its wrist frame and the six directions in words."""
    camera = view(side)
    draw_human(ax, posed(side, "open") @ camera.T)
    sign = 1.0 if side == "right" else -1.0
    words = {
        "distal": (0.125, 0, 0), "proximal": (-0.055, 0, 0), "dorsal": (0, 0, 0.085), "palmar": (0, 0, -0.085),
        "thumb": (0, sign * 0.1, 0), "little": (0, -sign * 0.1, 0),
    }  # fmt: skip
    for word, end in words.items():
        arrow(ax, np.zeros(2), camera @ end, "#9a9a9a", lw=1.2, linestyle="--", mutation_scale=8)
        ax.text(
            *(camera @ np.multiply(end, 1.16)), word, ha="center", va="center", fontsize=11, path_effects=HALO
        )
    for axis, (letter, colour) in enumerate(zip("xyz", AXIS_COLOURS, strict=True)):
        end = 0.055 * np.eye(3)[axis]
        arrow(ax, np.zeros(2), camera @ end, colour)
        name = f"{letter}: across" if letter == "y" else letter
        beside = camera @ (1.0 * end) + (0.006, -0.012 if letter == "y" else 0.006)
        ax.text(*beside, name, color=colour, weight="bold", fontsize=11, path_effects=HALO, zorder=9)
    ax.set_title(f"{side} hand and its wrist frame", fontsize=13)


def vectors_panel(ax: Axes) -> None:
    """The demonstration hand, its base frame, the human vectors that it follows and its own."""
    profile = read_profile("demo_hand")
    robot = profile.robot_hand(demo_hand_urdf())
    retargeter = Retargeter(profile, robot)
    joints = posed("right", "pinch")
    result = retargeter.retarget(joints, None, 1 / 30)
    camera = view("right") @ profile.rotation_base_wrist.T
    base = link_name("right", "base")
    names = joint_names("right")
    for number, finger in enumerate(FINGERS):
        chain = [
            base,
            *(f"{name}_link" for name in names[4 * number : 4 * number + 4]),
            link_name("right", f"{finger}_tip"),
        ]
        points = robot.link_positions(result.positions_rad, robot.link_indices(chain)) @ camera.T
        ax.plot(*points.T, color=ROBOT, lw=6, alpha=0.35, solid_capstyle="round", solid_joinstyle="round")
    count = len(profile.fingertips)
    for target, own, start in list(
        zip(result.human_vectors_m, result.robot_vectors_m, result.origins_m, strict=True)
    )[-count:]:
        arrow(ax, camera @ start, camera @ (start + own), ROBOT, lw=2.2)
        arrow(ax, camera @ start, camera @ (start + target), HUMAN, lw=1.5, linestyle="--", mutation_scale=8)
    for axis, (letter, colour) in enumerate(zip("xyz", AXIS_COLOURS, strict=True)):
        end = camera @ (0.06 * np.eye(3)[axis])
        arrow(ax, np.zeros(2), end, colour, zorder=8)
        ax.text(*(1.15 * end), letter, color=colour, weight="bold", fontsize=12, path_effects=HALO, zorder=9)
    worst = 1e3 * result.residuals_m[-count:].max()
    legend = "solid: the robot's vectors; dashed: the human's,\nturned and scaled"
    title = f"demo_hand in its base frame: a pinch\n{legend}; largest difference {worst:.0f} mm"
    ax.set_title(title, fontsize=11)


def base_panel(ax: Axes, axes: tuple[str, str, str], names: list[str]) -> None:
    """A base frame on a right hand, and the robots that have it."""
    camera = view("right")
    draw_human(ax, posed("right", "open") @ camera.T, alpha=0.2)
    rotation = rotation_from_axes(axes, "right")
    for letter, colour, direction, word in zip("xyz", AXIS_COLOURS, rotation, axes, strict=True):
        end = camera @ (0.08 * direction)
        arrow(ax, np.zeros(2), end, colour)
        beside = 1.22 * end + (0.012 if end[0] > 0.03 else 0.0, 0.0)
        text = {"color": colour, "weight": "bold", "ha": "center", "fontsize": 11, "path_effects": HALO}
        ax.text(*beside, f"{letter}: {word}", **text)
    ax.set_title("\n".join((f"axes: [{', '.join(axes)}]", ", ".join(names))), fontsize=11)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="PNG file to write")
    options = parser.parse_args()
    figure = Figure(figsize=(15, 11), dpi=110)
    grid = figure.subplots(2, 3)
    directions_panel(grid[0, 0], "left")
    directions_panel(grid[0, 1], "right")
    vectors_panel(grid[0, 2])
    groups: dict[tuple[str, str, str], list[str]] = {}
    for name in profile_names():
        groups.setdefault(read_profile(name).axes, []).append(TITLES[name])
    for ax, (axes, names) in zip(
        grid[1], sorted(groups.items(), key=lambda item: -len(item[1])), strict=True
    ):
        base_panel(ax, axes, names)
    for ax in grid.flat:
        ax.set(aspect="equal", xlim=(-0.135, 0.125), ylim=(-0.075, 0.17))
        ax.axis("off")
    grid[0, 2].set(xlim=(-0.1, 0.08), ylim=(-0.02, 0.15))
    figure.tight_layout()
    figure.savefig(options.output)


if __name__ == "__main__":
    main()
