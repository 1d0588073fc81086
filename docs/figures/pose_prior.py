"""Draws docs/images/pose_prior.png: the sampler's angles beside real ones; prints how well it covers real poses.

python docs/figures/pose_prior.py ../shared/data --output docs/images/pose_prior.png

The folder holds the sets that docs/how/pose_prior.md names. DexYCB is shown as a check; nothing is fitted to it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.inverse import fit_hand
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.synthetic.poses.clearance import collides
from hand_pose_ros.synthetic.poses.fit_prior import read_sets
from hand_pose_ros.synthetic.poses.pose_files import read_poses
from hand_pose_ros.synthetic.poses.proportions import random_proportions
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.synthetic.poses.sources import PoseSet

SAMPLES = 20_000
SHOWN = (
    "thumb_cmc_flexion", "thumb_cmc_abduction", "thumb_mcp_flexion", "thumb_ip_flexion",
    "index_mcp_flexion", "index_mcp_abduction", "index_pip_flexion", "index_dip_flexion",
    "middle_mcp_flexion", "middle_pip_flexion", "little_mcp_abduction", "little_pip_flexion",
)  # fmt: skip
COLOURS = {"sampler": "black", "photos": "tab:blue", "animated": "tab:orange", "DexYCB": "tab:red"}
FONT_SIZE = 10
BINS, FEW_BINS, FEW_POSES = 40, 13, 200  # a fine histogram of few poses shows nothing but noise
MOST_POSES = 2500  # of a set, evenly spread
CHUNK = 256
CANDIDATES = 64  # nearest by squared distance, among which the mean distance per joint decides


def dexycb(folder: Path, step: int = 10) -> PoseSet:
    """Every tenth pose of the evaluation set, fitted as left hands."""
    path = folder / "pose_prior" / "dexycb_left_joints_eval_only.npz"
    joints = torch.from_numpy(read_poses(path, key="xyz_mm", unit_m=1e-3))[::step]
    fits = [fit_hand(part, side="left", noise_m=1e-3) for part in joints.split(512)]
    angles, proportions = (torch.cat([getattr(f, name) for f in fits]) for name in ("angles", "proportions"))
    return PoseSet(angles, proportions, torch.ones(len(angles)))


def joints_mm(angles: Tensor, proportions: Tensor) -> Tensor:
    """Joints (n, 21, 3) in the wrist frame, millimetres, of hands with the mean anchor length."""
    return hand.MEAN_ANCHOR_LENGTH_MM * forward_kinematics(angles.float(), proportions.float()).joints


def nearest_mm(poses: Tensor, samples: Tensor) -> Tensor:
    """(n,) mean distance per joint from each pose (n, 21, 3) to the nearest of the samples (m, 21, 3)."""
    flat, nearest = samples.flatten(1), []
    for part in poses.split(CHUNK):
        chosen = torch.cdist(part.flatten(1), flat).topk(CANDIDATES, largest=False).indices
        nearest.append((part[:, None] - samples[chosen]).norm(dim=-1).mean(-1).amin(1))
    return torch.cat(nearest)


def uniform(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Angles drawn uniformly within the limits, each for itself."""
    bounds = angle_bounds()
    share = torch.rand(count, hand.NUM_ANGLES, generator=generator)
    return bounds.minimum + (bounds.maximum - bounds.minimum) * share, random_proportions(count, generator)


def coverage(real: dict[str, PoseSet], drawn: dict[str, tuple[Tensor, Tensor]]) -> str:
    """A table of the distances from real poses to the nearest of the drawn ones, and of collisions."""
    samples = {name: joints_mm(*hands) for name, hands in drawn.items()}
    lines = [f"nearest of {SAMPLES} samples, mm: median (95th percentile)"]
    lines.append(f"{'poses':<16}" + "".join(f"{name:>16}" for name in drawn))
    for name, poses in real.items():
        step = max(1, len(poses.angles) // MOST_POSES)
        joints = joints_mm(poses.angles[::step], poses.proportions[::step])
        values = [nearest_mm(joints, joints_of) for joints_of in samples.values()]
        cells = [f"{value.median():.1f} ({value.quantile(0.95):.1f})" for value in values]
        lines.append(f"{name:<10}{len(joints):>6}" + "".join(f"{cell:>16}" for cell in cells))
    in_anchors = hand.MEAN_ANCHOR_LENGTH_MM
    shares = [collides(joints / in_anchors).float().mean() for joints in samples.values()]
    lines.append(f"{'collide':<16}" + "".join(f"{share:>16.1%}" for share in shares))
    return "\n".join(lines) + "\n"


def histograms(axes: np.ndarray, sets: dict[str, PoseSet]) -> None:
    """One panel per angle of ``SHOWN``, with every set's density."""
    for ax, name in zip(axes.flat, SHOWN, strict=True):
        column = hand.ANGLE_INDEX[name]
        angle = hand.ANGLES[column]
        for label, poses in sets.items():
            bins = BINS if len(poses.angles) > FEW_POSES else FEW_BINS
            edges = np.linspace(angle.min_deg, angle.max_deg, bins + 1)
            degrees = torch.rad2deg(poses.angles[:, column])
            density, _ = np.histogram(degrees, edges, density=True, weights=poses.weights)
            filled = {"alpha": 0.12, "color": "black"} if label == "sampler" else {"fill": False}
            ax.stairs(density, edges, **filled | {"fill": label == "sampler"})
            ax.stairs(density, edges, color=COLOURS[label], lw=1.4, label=label)
        ax.set_title(finger_and_joint(name), fontsize=FONT_SIZE + 1)
        ax.set_yticks([])
        ax.set_ylim(0, min(ax.get_ylim()[1], 0.09))
        ax.tick_params(labelsize=FONT_SIZE)


def finger_and_joint(name: str) -> str:
    """The name of an angle as a title: ``index_mcp_flexion`` is index MCP flexion."""
    finger, joint, motion = name.split("_")
    return f"{finger} {joint.upper()} {motion}"


def correlations(ax: Axes, title: str, poses: PoseSet) -> AxesImage:
    """The correlation matrix of the 23 articulation angles; returns what a colour bar is made for."""
    picked = poses.angles[:, : hand.NUM_ARTICULATION].double().T.numpy()
    covariance = np.cov(picked, aweights=poses.weights.numpy())
    spread = np.sqrt(np.diag(covariance))
    image = ax.imshow(covariance / np.outer(spread, spread), cmap="RdBu_r", vmin=-1, vmax=1)
    ax.set_title(title, fontsize=11)
    borders = [6.5, 10.5, 14.5, 18.5]
    for border in borders:
        ax.axhline(border, color="black", lw=0.5)
        ax.axvline(border, color="black", lw=0.5)
    middles = [3, 8.5, 12.5, 16.5, 20.5]
    ax.set_xticks(middles, hand.FINGERS, fontsize=FONT_SIZE, rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(middles, hand.FINGERS, fontsize=FONT_SIZE)
    return image


def draw(sets: dict[str, PoseSet]) -> Figure:
    """The whole figure: histograms above, correlations with their colour scale below."""
    figure = Figure(figsize=(12, 11.6), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=(2.4, 1))
    axes = above.subplots(3, 4)
    histograms(axes, sets)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    above.legend(handles, labels, loc="outside upper center", ncols=len(labels), fontsize=FONT_SIZE + 2)
    above.supxlabel("angle in degrees, from the lower to the upper limit", fontsize=FONT_SIZE + 2)
    above.supylabel("density (each panel has its own scale)", fontsize=FONT_SIZE + 2)
    panels = below.subplots(1, len(sets))
    for ax, (name, poses) in zip(panels, sets.items(), strict=True):
        image = correlations(ax, name, poses)
        if ax is not panels[0]:
            ax.set_yticklabels([])
    scale = below.colorbar(image, ax=list(panels), shrink=0.75, ticks=[-1, -0.5, 0, 0.5, 1])
    scale.ax.tick_params(labelsize=FONT_SIZE)
    below.suptitle("correlation of the 23 articulation angles, grouped by finger", fontsize=FONT_SIZE + 2)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where pose_prior and real_hands are")
    parser.add_argument("--output", type=Path, default=Path("docs/images/pose_prior.png"))
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    sampler = PoseSampler()
    real = read_sets(options.folder) | {"DexYCB": dexycb(options.folder)}
    drawn = {"sampler": sampler.sample(SAMPLES, generator)}
    for name, kind in (("fitted", sampler.fitted), ("by rule", sampler.by_rule)):
        drawn[f"only {name}"] = kind(SAMPLES, generator)
    drawn["uniform"] = uniform(SAMPLES, generator)
    sys.stdout.write(coverage(real, drawn))

    sets = {"sampler": PoseSet(*drawn["sampler"], torch.ones(SAMPLES))}
    sets |= {name: real[name] for name in ("photos", "animated", "DexYCB")}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    draw(sets).savefig(options.output, dpi=85, facecolor="white")


if __name__ == "__main__":
    main()
