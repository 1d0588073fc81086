"""The ``hand_pose limits`` command: fit the hand to real poses and report the angles and proportions they have.

The paper (diffusion + FK, 3.1) takes its limits from such statistics; ours are in :mod:`hand_pose_ros.hand`, and
docs/how/limits.md tells how they follow from published ranges of motion and from what this command prints.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.kinematics.inverse import HandFit, fit_hand
from hand_pose_ros.synthetic.poses.pose_files import read_poses

PERCENTILES = (0.5, 5.0, 50.0, 95.0, 99.5)
_CHUNK = 1024  # hands fitted at once


def pose_statistics(joints_m: Tensor, side: str, noise_m: float = 1e-3) -> dict:
    """Percentiles of every angle (degrees), proportion and of the anchor length over poses (N, 21, 3) in metres.

    Poses that do not determine a hand are left out and counted. Also gives the residual of the fit per joint,
    which tells how well the model covers the poses.
    """
    fits = [fit_hand(part, side=side, noise_m=noise_m) for part in joints_m.split(_CHUNK)]
    angles = torch.rad2deg(torch.cat([fit.angles for fit in fits]))
    used = angles.isfinite().all(-1)
    if not bool(used.any()):
        raise ValueError("none of the poses determines a hand")
    residual_mm = 1e3 * torch.cat([fit.residual_m for fit in fits])
    proportions = torch.cat([fit.proportions for fit in fits])
    anchors_mm = 1e3 * torch.cat([fit.anchor_length_m for fit in fits])
    return {
        "poses": int(used.sum()),
        "left_out": int((~used).sum()),
        "not_converged": int((used & ~_converged(fits)).sum()),
        "percentiles": list(PERCENTILES),
        "angles_deg": dict(zip(hand.ANGLE_NAMES, _percentiles(angles[used]), strict=True)),
        "proportions": dict(zip(hand.BONE_NAMES, _percentiles(proportions[used]), strict=True)),
        "anchor_length_mm": _percentiles(anchors_mm[used, None])[0],
        "residual_mm": dict(zip(hand.JOINT_NAMES, residual_mm.nanmean(0).tolist(), strict=True)),
        "mean_residual_mm": float(residual_mm.nanmean()),
    }


def format_table(statistics: dict) -> str:
    """The statistics as a text table, with the shipped limits beside them."""
    header = "".join(f"{p:>8g}%" for p in statistics["percentiles"]) + "     limits"
    lines = [
        f"{statistics['poses']} poses, {statistics['left_out']} left out, "
        f"{statistics['not_converged']} not converged, mean residual {statistics['mean_residual_mm']:.2f} mm",
        f"{'angle, degrees':<24}{header}",
    ]
    for angle in hand.ANGLES:
        values = "".join(f"{value:9.1f}" for value in statistics["angles_deg"][angle.name])
        lines.append(f"{angle.name:<24}{values}   {angle.min_deg:g} to {angle.max_deg:g}")
    lines.append(f"{'proportion':<24}{header}")
    for name, (low, _, high) in zip(hand.BONE_NAMES, hand.PROPORTIONS, strict=True):
        values = "".join(f"{value:9.3f}" for value in statistics["proportions"][name])
        lines.append(f"{name:<24}{values}   {low:g} to {high:g}")
    values = "".join(f"{value:9.1f}" for value in statistics["anchor_length_mm"])
    lines.append(f"{'anchor length, mm':<24}{values}")
    return "\n".join(lines)


def _converged(fits: list[HandFit]) -> Tensor:
    return torch.cat([fit.converged for fit in fits])


def _percentiles(values: Tensor) -> list[list[float]]:
    """Percentiles of each column of (N, n), as n lists."""
    fractions = values.new_tensor(PERCENTILES) / 100
    return values.quantile(fractions, dim=0).T.tolist()


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="hand_pose limits", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("poses", type=Path, help="folder, .npy, .npz or WebXR .json file with 3D hand poses")
    parser.add_argument("--side", choices=hand.SIDES, default="right", help="which hand the poses are of")
    parser.add_argument("--order", default="mediapipe", help="joint order of an array file")
    parser.add_argument("--key", help="array to take from an .npz file")
    parser.add_argument("--unit-m", type=float, default=1.0, help="length of the file's unit in metres")
    parser.add_argument("--pattern", default="*", help="which files of a folder to read")
    parser.add_argument("--noise-m", type=float, default=1e-3, help="noise of the joints in metres")
    parser.add_argument("--most", type=int, help="take this many poses at the most, evenly spread")
    parser.add_argument("--output", type=Path, help="write the statistics here as JSON")
    options = parser.parse_args(arguments)
    if options.most is not None and options.most < 1:
        parser.error(f"--most must be at least 1, got {options.most}")
    try:
        joints = torch.from_numpy(
            read_poses(options.poses, options.order, options.key, options.unit_m, options.pattern)
        )
        if options.most is not None:
            joints = joints[:: max(1, -(-len(joints) // options.most))]
        statistics = pose_statistics(joints, options.side, options.noise_m)
        if options.output is not None:
            options.output.write_text(json.dumps(statistics, indent=1) + "\n")
    except (OSError, ValueError) as error:
        parser.exit(2, f"hand_pose limits: {error}\n")
    sys.stdout.write(format_table(statistics) + "\n")
    return 0
