"""Draws docs/images/hand_size.png: how the length of a hand is measured, and which bone is its size.

python docs/figures/hand_size.py --output docs/images/hand_size.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.rendering.geometry import HandInView
from hand_pose_ros.rendering.renderer import render
from hand_pose_ros.rendering.views import upright_rotation

CAMERA = CameraModel.pinhole(5200.0, 5200.0, 349.5, 449.5, 700, 900)
DISTANCE_M = 1.6
MIDDLE_OF_HAND_M = 0.085  # from the wrist, which the image centres
LENGTH_COLOUR, SIZE_COLOUR = "#d62728", "#1f5fd6"
TIP = hand.JOINT_INDEX["middle_tip"]


def flat_hand() -> HandFrames:
    """A right hand with straight, closed fingers, palm to the camera, fingers up."""
    angles = angle_bounds(torch.float64).neutral.clone()
    angles[: hand.NUM_ARTICULATION] = 0.0
    for finger in ("index", "middle", "ring", "little"):
        name = f"{finger}_mcp_abduction"
        base = hand.ANGLE_INDEX[f"{finger}_base_abduction"]
        angles[hand.ANGLE_INDEX[name]] = -0.8 * angles[base]
    place = torch.tensor((0.0, MIDDLE_OF_HAND_M, DISTANCE_M), dtype=torch.float64)
    return forward_kinematics(
        angles,
        proportion_bounds(torch.float64).neutral,
        upright_rotation("palm").double(),
        place,
        hand.MEAN_ANCHOR_LENGTH_M,
    )


def draw(ax: Axes) -> None:
    """The rendered hand, its length with end marks, and the bone wrist -> index MCP."""
    frames = flat_hand()
    background = np.full((CAMERA.height, CAMERA.width, 3), 255, np.uint8)
    single = HandFrames(*(part.float() for part in frames))
    image = render([HandInView(single)], CAMERA, background).image
    ax.imshow(image[..., ::-1])
    points = CAMERA.project(frames.joints).numpy()
    per_metre = CAMERA.fx / DISTANCE_M
    size = HandSize(hand.MEAN_ANCHOR_LENGTH_M, 0.0)
    tip = points[TIP] + (0.0, -0.0037 * per_metre)
    crease = tip + (0.0, size.length_m * per_metre)
    ruler = points[:, 0].min() - 70
    for y in (tip[1], crease[1]):
        ax.plot([ruler - 12, points[TIP, 0] + 60], [y, y], color=LENGTH_COLOUR, lw=1.2, ls="--")
    ax.annotate(
        "",
        (ruler, tip[1]),
        (ruler, crease[1]),
        arrowprops={"arrowstyle": "<->", "color": LENGTH_COLOUR, "lw": 2},
    )
    text = {"fontsize": 12, "va": "center", "color": LENGTH_COLOUR}
    ax.text(ruler - 18, (tip[1] + crease[1]) / 2, "hand_length_m", rotation=90, ha="right", **text)
    ax.text(points[TIP, 0] + 66, tip[1], "tip of the middle finger", ha="left", **text)
    ax.text(points[TIP, 0] + 66, crease[1], "crease of the wrist", ha="left", **text)
    bone = points[list(hand.BONES[hand.ANCHOR_BONE])]
    ax.plot(*bone.T, color=SIZE_COLOUR, lw=2.5, marker="o", markersize=7, markeredgecolor="white")
    label = bone.mean(0) + (18, 10)
    ax.text(label[0], label[1], "hand_size_m", fontsize=12, ha="left", va="center", color=SIZE_COLOUR)
    ax.set_xlim(60, CAMERA.width - 1)
    ax.set_ylim(CAMERA.height - 1, 0)
    ax.axis("off")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    figure = Figure(figsize=(5.4, 6.6), layout="constrained")
    draw(figure.subplots())
    figure.savefig(options.output, dpi=110)


if __name__ == "__main__":
    main()
