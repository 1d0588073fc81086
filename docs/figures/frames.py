"""Draws docs/images/frames.png: both hands' joints, frames, angle names, and the sign of every kind of angle.

python docs/figures/frames.py --output docs/images/frames.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Ellipse, FancyArrowPatch, Polygon
from matplotlib.patheffects import withStroke

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.mesh.shape import FINGER_RADII_MM

AXIS_COLOURS = ("#d62728", "#2ca02c", "#1f5fd6")
FINGER_COLOURS = {
    "thumb": "#b5651d", "index": "#8c6bb1", "middle": "#3a8f8f", "ring": "#7a8b3a", "little": "#b04a7a",
}  # fmt: skip
HALO = [withStroke(linewidth=3, foreground="white")]
GREY = "#9a9a9a"
SIGHT_COSINE = 0.98
LEAST_LETTER_MM = 9.5  # from the origin, so that a joint's circle does not cover the letter of a short axis
LABEL_SIZE = 10.5
SKIN = "#f6e3d7"
PANEL_X_MM = (-232, 240)
PANEL_Y_MM = (-20, 172)
SPREAD_DEG = {"index": 16.0, "middle": 0.0, "ring": -13.0, "little": -25.0}


def posed(side: str, **angles_deg: float) -> tuple[np.ndarray, np.ndarray]:
    """Joints (21, 3) in millimetres and rotations (21, 3, 3): a spread flat hand with some angles changed."""
    angles = angle_bounds(torch.float64).neutral.clone()
    angles[: hand.NUM_ARTICULATION] = 0.0
    for finger, degrees in SPREAD_DEG.items():
        angles[hand.ANGLE_INDEX[f"{finger}_mcp_abduction"]] = np.deg2rad(degrees)
    for name, degrees in angles_deg.items():
        angles[hand.ANGLE_INDEX[name]] = np.deg2rad(degrees)
    proportions = proportion_bounds(torch.float64).neutral
    joints, rotations = forward_kinematics(angles, proportions, anchor_length=89.0, side=side)
    return joints.numpy(), rotations.numpy()


def view(towards_viewer: tuple[float, float, float], up: tuple[float, float, float], side: str) -> np.ndarray:
    """The 2x3 parallel projection seen from a direction; a left hand is seen from the mirrored one."""
    mirror = np.array((1.0, 1.0 if side == "right" else -1.0, 1.0))
    depth = np.array(towards_viewer) * mirror
    depth = depth / np.linalg.norm(depth)
    upward = np.array(up) * mirror
    upward = upward - upward @ depth * depth
    upward = upward / np.linalg.norm(upward)
    return np.stack((np.cross(upward, depth), upward))


def finger_of(node: int) -> str:
    return hand.FINGERS[(node - 1) // 4]


def draw_bones(ax: Axes, points: np.ndarray, colour: str | None = None, **style) -> None:
    """The 20 bones, in the fingers' colours unless one is given."""
    for start, end in hand.BONES:
        chosen = colour or FINGER_COLOURS[finger_of(end)]
        ax.plot(*points[[start, end]].T, color=chosen, solid_capstyle="round", **style)


def draw_flesh(ax: Axes, points: np.ndarray, colour: str = SKIN) -> None:
    """A pale silhouette: each bone as wide as the finger is there, and the palm between the knuckles."""
    circle = np.linspace(0, 2 * np.pi, 60)
    outline = np.stack((np.cos(circle), np.sin(circle)), axis=1)
    for start, end in hand.BONES:
        radii = FINGER_RADII_MM[finger_of(end)]
        depth = (end - 1) % 4
        discs = (points[start] + radii[max(depth - 1, 0)] * outline, points[end] + radii[depth] * outline)
        ax.add_patch(Polygon(convex_hull(np.concatenate(discs)), color=colour, lw=0, zorder=0))
    ax.add_patch(Polygon(points[list(hand.PALM_JOINTS)], color=colour, lw=0, zorder=0))


def convex_hull(points: np.ndarray) -> np.ndarray:
    return cv2.convexHull(points.astype(np.float32))[:, 0]


def draw_frame(
    ax: Axes, origin: np.ndarray, rotation: np.ndarray, camera: np.ndarray, size: float, **text
) -> None:
    """The x, y, z axes of one frame, with letters if a font size is given.

    An axis along the line of sight is a dot if it points to the viewer, and a cross if it points away.
    """
    start = camera @ origin
    sight = np.cross(camera[0], camera[1])
    for axis, colour in enumerate(AXIS_COLOURS):
        end = camera @ (origin + size * rotation[:, axis])
        along = float(sight @ rotation[:, axis])
        if abs(along) > SIGHT_COSINE:
            ax.plot(*start, "o", ms=9, mfc="white", mec=colour, mew=1.5, zorder=10)
            ax.plot(*start, "." if along > 0 else "x", ms=5, color=colour, zorder=11)
            beyond = start - 0.42 * size * camera @ rotation.sum(axis=1)
        else:
            arrow = {"arrowstyle": "-|>", "mutation_scale": 9, "lw": 1.8, "color": colour, "shrinkA": 0}
            ax.add_patch(FancyArrowPatch(start, end, zorder=6, **arrow))
            length = np.linalg.norm(end - start)
            beyond = start + (end - start) * max(1.16, LEAST_LETTER_MM / length)
        if text:
            style = {"color": colour, "weight": "bold", "ha": "center", "va": "center"} | text
            ax.text(*beyond, "xyz"[axis], zorder=7, path_effects=HALO, **style)


def hand_panel(ax: Axes, side: str) -> None:
    """One hand from the back: indices, the frames of the wrist and of a finger, and names around it."""
    flexed = {
        f"{finger}_{joint}_flexion": 9.0 for finger in hand.FINGERS[1:] for joint in ("mcp", "pip", "dip")
    }
    joints, rotations = posed(side, **flexed)
    camera = view((-0.28, 0.33, 1.0), (1, 0, 0), side)
    points = joints @ camera.T
    draw_flesh(ax, points)
    draw_bones(ax, points, lw=4, alpha=0.6)
    for node in (0, *(i for i in range(1, 21) if finger_of(i) == "index")):
        is_wrist = node == hand.WRIST
        draw_frame(
            ax, joints[node], rotations[node], camera, 34 if is_wrist else 13, fontsize=14 if is_wrist else 9
        )
    ax.scatter(*points.T, s=150, color="white", edgecolor="black", lw=0.8, zorder=8)
    for node, point in enumerate(points):
        ax.text(*point, str(node), fontsize=8, ha="center", va="center", zorder=9)
    (label_joints if side == "right" else label_angles)(ax, points)
    ax.set_title(f"{side} hand, its back towards you", fontsize=15)
    ax.set(xlim=PANEL_X_MM, ylim=PANEL_Y_MM, aspect="equal")
    ax.axis("off")


def label_joints(ax: Axes, points: np.ndarray) -> None:
    """The right hand's joint names in columns at both sides, with thin lines to the joints."""
    left, right = points[:, 0].min() - 16, points[:, 0].max() + 16

    def named(fingers: tuple[str, ...]) -> list[int]:
        return [i for i in range(1, 21) if finger_of(i) in fingers]

    ax.text(
        right, points[0, 1] - 12, "number: the joint's name", fontsize=LABEL_SIZE, style="italic", va="center"
    )
    place_labels(ax, points, named(("thumb", "index")), left, "right", hand.JOINT_NAMES.__getitem__)
    place_labels(
        ax, points, [0, *named(("middle", "ring", "little"))], right, "left", hand.JOINT_NAMES.__getitem__
    )


def label_angles(ax: Axes, points: np.ndarray) -> None:
    """Beside the left hand, for each bone of three fingers, the angles that turn it."""
    middles = points.copy()
    for start, end in hand.BONES:
        middles[end] = (points[start] + 2 * points[end]) / 3
    left, right = points[:, 0].min() - 20, points[:, 0].max() + 20

    def angles_of(node: int) -> str:
        motions = [angle.motion for angle in hand.ANGLES if angle.node == node]
        joint = next(angle.name for angle in hand.ANGLES if angle.node == node).rsplit("_", 1)[0]
        return f"{joint}: {', '.join(motions)}"

    ax.text(
        right,
        points[0, 1] - 12,
        "bone: the angles that turn it",
        fontsize=LABEL_SIZE,
        style="italic",
        va="center",
    )
    place_labels(ax, middles, [*range(17, 21)], left, "right", angles_of)
    place_labels(ax, middles, [*range(1, 9)], right, "left", angles_of)


def place_labels(ax: Axes, anchors: np.ndarray, nodes: list[int], x: float, align: str, name) -> None:
    """Labels in a column at ``x``, in the order of their anchors' heights, with thin lines to those."""
    nodes = sorted(nodes, key=lambda i: anchors[i, 1])
    heights = anchors[nodes, 1].copy()
    gap = 8.0
    for _ in range(500):  # push neighbours apart until none overlap
        for i in range(1, len(heights)):
            overlap = gap - (heights[i] - heights[i - 1])
            if overlap > 0:
                heights[i] += overlap / 2
                heights[i - 1] -= overlap / 2
    for node, height in zip(nodes, heights, strict=True):
        colour = FINGER_COLOURS[finger_of(node)] if node else "black"
        ax.plot([x, anchors[node, 0]], [height, anchors[node, 1]], color=colour, lw=0.7, alpha=0.7, zorder=1)
        text_x = x + (1.5 if align == "left" else -1.5)
        ax.text(
            text_x,
            height,
            name(node),
            fontsize=LABEL_SIZE,
            ha=align,
            va="center",
            color=colour,
        )


def draw_turn(ax: Axes, centre: np.ndarray, start: np.ndarray, end: np.ndarray, factor: float = 1.0) -> None:
    """An arrow along the arc from ``start`` to ``end`` about ``centre`` (2,)."""
    first, last = start - centre, end - centre
    radius = factor * np.linalg.norm(first)
    begin = np.arctan2(first[1], first[0])
    turn = np.arctan2(first[0] * last[1] - first[1] * last[0], first @ last)
    sweep = np.linspace(begin, begin + turn, 40)
    arc = centre + radius * np.stack((np.cos(sweep), np.sin(sweep)), axis=1)
    ax.plot(*arc[:-2].T, color="black", lw=1.6, zorder=9)
    ax.add_patch(
        FancyArrowPatch(arc[-6], arc[-1], arrowstyle="-|>", mutation_scale=14, color="black", zorder=9)
    )


def motion_panel(ax: Axes, side: str, motion: str) -> None:
    """A flat hand in grey and, in colour, what a positive angle makes of it."""
    camera = {
        "flexion": view((0, 1, 0), (0, 0, 1), side),  # from the thumb's side
        "abduction": view((0, 0, 1), (1, 0, 0), side),  # from the back
    }[motion]
    fingers = ("index",) if motion == "flexion" else ("index", "middle", "ring", "little")
    degrees = 45.0 if motion == "flexion" else 15.0
    start, _ = posed(side, **dict.fromkeys((f"{f}_mcp_abduction" for f in fingers), 0.0))
    end, rotations = posed(
        side,
        **dict.fromkeys((f"{f}_mcp_abduction" for f in fingers), 0.0)
        | dict.fromkeys((f"{f}_mcp_{motion}" for f in fingers), degrees),
    )
    before, after = start @ camera.T, end @ camera.T
    shown = [0, *(i for i in range(1, 21) if motion == "abduction" or finger_of(i) == "index")]
    for parent, child in hand.BONES:
        if child in shown:
            ax.plot(*before[[parent, child]].T, color=GREY, lw=3, alpha=0.5, solid_capstyle="round")
            colour = FINGER_COLOURS[finger_of(child)]
            ax.plot(*after[[parent, child]].T, color=colour, lw=3.5, alpha=0.9, solid_capstyle="round")
    for finger in fingers:
        knuckle, tip = hand.JOINT_INDEX[f"{finger}_mcp"], hand.JOINT_INDEX[f"{finger}_tip"]
        draw_turn(ax, before[knuckle], before[tip], after[tip], 1.06)
    draw_frame(ax, end[0], rotations[0], camera, 28, fontsize=10)
    ax.set_aspect("equal")
    ax.margins(0.08)
    ax.axis("off")


def twist_panel(ax: Axes, side: str) -> None:
    """The cross-section of a thumb bone, nail up, seen from its tip, before and after a positive twist."""
    camera = view((1, 0, 0), (0, 0, 1), side)
    frames = [posed(side, thumb_cmc_twist=degrees)[1] for degrees in (0.0, 35.0)]
    bone = hand.JOINT_INDEX["thumb_mcp"]
    # Relative to the frame before the twist, which is drawn upright.
    turned = frames[0][bone].T @ frames[1][bone]
    for rotation, style in ((np.eye(3), {"alpha": 0.35}), (turned, {"alpha": 1.0})):
        y, z = (camera @ rotation[:, axis] for axis in (1, 2))
        tilt = np.degrees(np.arctan2(z[1], z[0])) - 90
        solid = style["alpha"] == 1
        colour = FINGER_COLOURS["thumb"] if solid else GREY
        ax.add_patch(
            Ellipse((0, 0), 2.0, 1.6, angle=tilt, fill=False, edgecolor=colour, lw=2.5 if solid else 1.5)
        )
        nail = np.linspace(-0.5, 0.5, 20)
        across, outward = np.sin(nail), 0.8 * np.cos(nail)
        right = np.array((np.cos(np.radians(tilt)), np.sin(np.radians(tilt))))
        ax.plot(*(np.outer(across, right) + np.outer(outward, z)).T, color=colour, lw=6 if solid else 4)
        for axis, direction in ((1, y), (2, z)):
            ax.annotate(
                "", 1.5 * direction, (0, 0),
                arrowprops={"arrowstyle": "-|>", "color": AXIS_COLOURS[axis], "lw": 1.8, "shrinkA": 0} | style,
            )  # fmt: skip
            if solid:
                letter = {"color": AXIS_COLOURS[axis], "weight": "bold", "ha": "center", "va": "center"}
                ax.text(*(1.7 * direction), "xyz"[axis], fontsize=10, **letter)
    ax.add_patch(Ellipse((0, 0), 0.16, 0.16, color=AXIS_COLOURS[0], zorder=6))
    ax.text(-0.15, -0.1, "x to\nyou", color=AXIS_COLOURS[0], fontsize=9, ha="right", va="top")
    start, end = (camera @ rotation[:, 2] for rotation in (np.eye(3), turned))
    draw_turn(ax, np.zeros(2), 1.25 * start, 1.25 * end)
    ax.set(xlim=(-2.1, 2.1), ylim=(-1.5, 2.0), aspect="equal")
    ax.axis("off")


def caption(motion: str, side: str) -> str:
    axis = {"flexion": "y", "abduction": "z", "twist": "x"}[motion]
    sign = "+" if side == "right" or motion == "flexion" else "\N{MINUS SIGN}"
    meaning = {
        "flexion": "towards the palm",
        "abduction": "towards the thumb's side",
        "twist": "nail away from the thumb's side",
    }[motion]
    return f"{motion} > 0\n{meaning}\n({side} hand: about {sign}{axis})"


def draw() -> Figure:
    figure = Figure(figsize=(10, 13.4), layout=ConstrainedLayoutEngine(h_pad=0.08))
    above, below = figure.subfigures(2, 1, height_ratios=(1.7, 1))
    for ax, side in zip(above.subplots(2, 1), hand.SIDES, strict=True):
        hand_panel(ax, side)
    for row, side in zip(below.subplots(2, 3), hand.SIDES, strict=True):
        for ax, motion in zip(row, ("flexion", "abduction", "twist"), strict=True):
            if motion == "twist":
                twist_panel(ax, side)
            else:
                motion_panel(ax, side, motion)
            ax.set_title(caption(motion, side), fontsize=LABEL_SIZE)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("docs/images/frames.png"))
    options = parser.parse_args()
    options.output.parent.mkdir(parents=True, exist_ok=True)
    draw().savefig(options.output, dpi=110, facecolor="white")


if __name__ == "__main__":
    main()
