"""Draws docs/images/detector_noise.png and writes the tables of docs/how/detector_noise.md.

python docs/figures/detector_noise.py --study FOLDER --photos FOLDER --output docs/images/detector_noise.png

``--study``: the folder that ``hand_pose_ros.synthetic.detector.fit_noise`` has filled.
``--photos``: labelled sets.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.synthetic.detector.fit_noise import open_detector
from hand_pose_ros.synthetic.detector.noise import NO_VARIETY, DetectorNoise
from hand_pose_ros.synthetic.detector.statistics import (
    HIDDEN,
    OUTSIDE,
    VISIBLE,
    joint_states,
    load_statistics,
)
from hand_pose_ros.synthetic.detector.study import Study, ViewedStudy, load_studies, view_study
from hand_pose_ros.synthetic.detector.study_photos import photo_study

PHOTO_SETS = {
    "hankpan_multiview": "photos of a grasping hand",
    "calibrated_left24": "photos of a posed hand",
}
GROUPS = {
    "wrist": [0], "thumb CMC, MCP": [1, 2], "thumb IP, tip": [3, 4], "MCP": list(hand.KNUCKLES),
    "PIP": [6, 10, 14, 18], "DIP": [7, 11, 15, 19], "tip": [8, 12, 16, 20],
}  # fmt: skip
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99)
FACING = ((-1, -0.6, "back"), (-0.6, -0.2, "oblique back"), (-0.2, 0.2, "edge"), (0.2, 0.6, "oblique palm"),
          (0.6, 1.01, "palm"))  # fmt: skip
REPEATS = 10


def on_its_side(study: Study) -> Study:
    return Study(*(value[study.right_side] for value in study))


def imitated(viewed: ViewedStudy) -> ViewedStudy:
    """The same hands as the model thinks that MediaPipe sees them, several times over."""
    truth = ViewedStudy(*(value.repeat(REPEATS, *[1] * (value.ndim - 1)) for value in viewed))
    noise = DetectorNoise(variety=NO_VARIETY)
    noisy = noise(
        truth.points, truth.depth, truth.visible, truth.inside, truth.view_rotation,
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    return truth._replace(points_found=noisy.points, depth_found=noisy.depth)


def image_errors(viewed: ViewedStudy) -> Tensor:
    return (viewed.points_found - viewed.points).norm(dim=-1)


def depth_errors(viewed: ViewedStudy) -> Tensor:
    return (viewed.depth_found - viewed.depth)[:, 1:].abs()


def depth_correlation(viewed: ViewedStudy) -> float:
    pair = torch.stack((viewed.depth_found[:, 1:].flatten(), viewed.depth[:, 1:].flatten()))
    return float(torch.corrcoef(pair)[0, 1])


def quantile_row(name: str, values: Tensor) -> str:
    found = np.quantile(values.numpy(), QUANTILES)
    return f"| {name} | " + " | ".join(f"{value:.3f}" for value in found) + " |\n"


def write_checks(sets: dict[str, tuple[ViewedStudy, ViewedStudy]]) -> None:
    for title, errors in (("image, half extents", image_errors), ("depth, anchor lengths", depth_errors)):
        sys.stdout.write(f"\n| {title} | " + " | ".join(f"{100 * q:g} %" for q in QUANTILES) + " |\n")
        for name, (real, model) in sets.items():
            sys.stdout.write(quantile_row(name, errors(real).flatten()))
            sys.stdout.write(quantile_row("model, same hands", errors(model).flatten()))
    for name, (real, model) in sets.items():
        sys.stdout.write(
            f"\n{name}: {len(real.points)} hands, mean image error {image_errors(real).mean():.3f}, model "
            f"{image_errors(model).mean():.3f}; correlation of depth {depth_correlation(real):.3f}, model "
            f"{depth_correlation(model):.3f}"
        )


def write_groups(viewed: ViewedStudy) -> None:
    """Median error of joint groups by state, and standard deviations as the model has them for a middling hand."""
    state = joint_states(viewed.visible, viewed.inside)
    image, depth = image_errors(viewed), (viewed.depth_found - viewed.depth).abs()
    sigma = load_statistics().sigma
    sys.stdout.write(
        "\n\n| joints | 2D median, visible | hidden | outside | depth median, visible | hidden |"
    )
    sys.stdout.write(" 2D sigma, visible | hidden | depth sigma, visible | hidden |\n")
    for name, joints in GROUPS.items():
        cells = [image[:, joints][state[:, joints] == value].median() for value in (VISIBLE, HIDDEN, OUTSIDE)]
        cells += [depth[:, joints][state[:, joints] == value].median() for value in (VISIBLE, HIDDEN)]
        cells += [sigma[value, joints, kind].mean() for kind in (0, 1) for value in (VISIBLE, HIDDEN)]
        sys.stdout.write(f"| {name} | " + " | ".join(f"{float(cell):.3f}" for cell in cells) + " |\n")


def write_correlations() -> None:
    """Mean correlation of two joints' random errors, within a finger and between fingers."""
    known = load_statistics()
    matrix = (known.cholesky @ known.cholesky.T).view(21, 3, 21, 3)
    finger = (torch.arange(1, 21) - 1) // 4
    same = (finger[:, None] == finger) & ~torch.eye(20, dtype=torch.bool)
    for axis, name in enumerate(("x", "y", "depth")):
        of_axis = matrix[1:, axis, 1:, axis]
        within, between = of_axis[same].mean(), of_axis[finger[:, None] != finger].mean()
        sys.stdout.write(
            f"\ncorrelation in {name}: within a finger {within:.2f}, between fingers {between:.2f}"
        )
    sys.stdout.write(
        f"\nswapped {known.swapped.sum():.2%}, flipped {known.flipped:.2%}, "
        f"copied, of seen fingers {known.copied[0].sum():.2%}, of hidden {known.copied[1].sum():.2%}\n"
        f"swapped:\n{known.swapped.numpy().round(4)}\ncopied:\n{known.copied.numpy().round(4)}\n"
        f"definition, mm:\n{(hand.MEAN_ANCHOR_LENGTH_MM * known.definition).numpy().round(1)}\n"
    )


def write_rates(study: Study) -> None:
    """Share of hands found, and of these taken for the right side, by what the camera sees."""
    every = view_study(study._replace(found=np.ones_like(study.found)))
    facing = every.view_rotation[:, 2, 2].numpy()
    for low, high, name in FACING:
        chosen = (facing >= low) & (facing < high)
        found = study.found & chosen
        sys.stdout.write(
            f"\n| {name} | {chosen.sum()} | {found.sum() / chosen.sum():.0%} "
            f"| {(study.right_side & found).sum() / found.sum():.0%} |"
        )
    sys.stdout.write("\n")


def draw_quantiles(
    axes: Axes, pair: tuple[ViewedStudy, ViewedStudy], errors, limit: float, title: str
) -> None:
    """Distribution of an error: MediaPipe's as bars, the model's as a line."""
    bins = np.linspace(0, limit, 46)
    real, model = (errors(one).flatten().numpy().clip(0, limit) for one in pair)
    axes.hist(real, bins, density=True, color="#c9d8e8", label="MediaPipe")
    axes.hist(model, bins, density=True, histtype="step", color="#c0392b", linewidth=1.6, label="model")
    for values, colour in ((real, "#5b7fa6"), (model, "#c0392b")):
        axes.axvline(np.median(values), color=colour, linestyle=":", linewidth=1.4)
    axes.set_title(title, fontsize=9)
    axes.set_xlim(0, limit)
    axes.set_yticks([])


def draw(sets: dict[str, tuple[ViewedStudy, ViewedStudy]], output: Path) -> None:
    figure = Figure(figsize=(3.6 * len(sets), 5.2), layout="constrained")
    grid = figure.subplots(2, len(sets), squeeze=False)
    for column, (name, pair) in enumerate(sets.items()):
        draw_quantiles(grid[0, column], pair, image_errors, 0.6, name)
        draw_quantiles(grid[1, column], pair, depth_errors, 1.4, "")
        grid[0, column].set_xlabel("error in the image, half extents of the hand", fontsize=8)
        grid[1, column].set_xlabel("error in relative depth, anchor lengths", fontsize=8)
    grid[0, 0].legend(fontsize=8, frameon=False)
    figure.savefig(output, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    study = load_studies(options.study)
    viewed = {f"{int(study.right_side.sum())} renders": view_study(on_its_side(study))}
    detect = open_detector("mediapipe")
    for folder, name in PHOTO_SETS.items():
        photos = photo_study(read_samples(options.photos / folder), detect)
        inside = Study(*(value[photos.inside.all(1)] for value in photos))
        found, on_side = inside.found.sum(), inside.right_side.sum()
        sys.stdout.write(f"{name}: {found} of {len(inside.found)} found, {on_side} on side\n")
        viewed[name] = view_study(on_its_side(inside))
    sets = {name: (one, imitated(one)) for name, one in viewed.items()}
    write_rates(study)
    write_checks(sets)
    write_groups(next(iter(viewed.values())))
    write_correlations()
    draw(sets, options.output)


if __name__ == "__main__":
    main()
