"""The ``hand_pose ablation`` command: it measures training runs that differ in one option."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.batch import lift
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.diffusion.fusion import fuse_samples
from hand_pose_ros.evaluation import metrics, report
from hand_pose_ros.evaluation.images.estimates import (
    cut,
    encode_crops,
    jittered_views,
    keypoint_condition,
    keypoint_views,
    points_in_stored_view,
)
from hand_pose_ros.evaluation.images.methods import read_hands
from hand_pose_ros.evaluation.images.scores import CROP_PX, hand_means, mean
from hand_pose_ros.hand_images.augmentation.view_jitter import ViewChange
from hand_pose_ros.hand_images.detections import ImageDetections, cached_detections, open_mediapipe
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.condition import KeypointCondition, unknown_keypoints
from hand_pose_ros.networks.diffusion.image_baseline import HandImageRegressor
from hand_pose_ros.networks.diffusion.image_network import HandImageDiffusion
from hand_pose_ros.networks.registry import IMAGE_HAND_DIFFUSION, IMAGE_HAND_REGRESSOR, load_network

COMMAND: Final = "hand_pose ablation"
_FIGURES: Final = (
    "image only, PA-MPJPE mm", "image only, root-relative mm", "keypoints only, PA-MPJPE mm", "both, PA-MPJPE mm",
    "heatmaps, px of 128", "heatmaps on real photos, px",
)  # fmt: skip
_log = logging.getLogger(__name__)

Lifter = Callable[[KeypointCondition, Tensor | None], Tensor]
"""Conditions -> joints (n, 21, 3) relative to the wrist, anchor lengths, in the conditions' views."""


@dataclass(frozen=True)
class Run:
    """A training run: its name, its network, and the steps and minutes that it took."""

    name: str
    network: HandImageDiffusion | HandImageRegressor
    steps: int
    minutes: float


def read_run(folder: Path) -> Run:
    """Read the run in a folder of ``hand_pose train``.

    Raises:
        ValueError: it is not finished, or has another kind of network.
    """
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        steps, seconds = int(summary["steps"]), float(summary["seconds"])
    except (OSError, KeyError, ValueError) as error:
        raise ValueError(f"{folder} does not hold a finished run: {error}") from error
    loaded = load_network(folder / "weights.safetensors", IMAGE_HAND_DIFFUSION, IMAGE_HAND_REGRESSOR)
    return Run(folder.name, loaded.network, steps, seconds / 60)


def lifters(run: Run, config: DiffusionEstimatorConfig) -> dict[str, Lifter]:
    """Return the ways to lift with a network: the baseline; or D, the samples' mean, and D*, valid hands."""
    network = run.network
    if isinstance(network, HandImageRegressor):

        @torch.inference_mode()
        def baseline(condition: KeypointCondition, image: Tensor | None) -> Tensor:
            return network.regressor(condition, image).joints

        return {run.name: baseline}

    @torch.inference_mode()
    def plain(condition: KeypointCondition, image: Tensor | None) -> Tensor:
        return lift(network, condition, config.samples, config.steps, config.seed, image).unet.mean(1)

    @torch.inference_mode()
    def valid(condition: KeypointCondition, image: Tensor | None) -> Tensor:
        lifted = lift(network, condition, config.samples, config.steps, config.seed, image)
        weights = torch.full(lifted.samples.angles.shape[:2], 1 / config.samples)
        return fuse_samples(lifted.samples, weights, config.fusion, network, lifted.encoded).joints

    return {f"{run.name}, D": plain, f"{run.name}, D*": valid}


def measure(
    run: Run,
    images: HandImages,
    detections: ImageDetections,
    real: HandImages | None,
    config: DiffusionEstimatorConfig,
) -> dict[str, dict[str, float]]:
    """Return method -> ``_FIGURES``: image only for all hands, methods with keypoints for detected hands."""
    views = jittered_views(images, Seed.IMAGE_VIEWS)
    points, image = _encoded(run, images, views)
    rows = np.flatnonzero(detections.found)
    found, seen = images.rows(rows), detections.rows(rows)
    own = keypoint_views(found, seen.points)
    keypoints = keypoint_condition(found, seen, own)
    _, at_keypoints = _encoded(run, found, own)
    heatmaps = _heatmap_error(images, views, points)
    on_photos = float("nan")
    if real is not None:
        of_real = jittered_views(real, Seed.IMAGE_VIEWS)
        on_photos = _heatmap_error(real, of_real, _encoded(run, real, of_real)[0])
    table = {}
    for name, lifter in lifters(run, config).items():
        alone = lifter(unknown_keypoints(torch.from_numpy(views.half_extent).float()), image)
        errors = [
            *_errors(images, views, alone),
            _errors(found, own, lifter(keypoints, None))[0],
            _errors(found, own, lifter(keypoints, at_keypoints))[0],
        ]
        table[name] = dict(zip(_FIGURES, (*errors, heatmaps, on_photos), strict=True))
    return table


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path, help="folders of hand_pose train")
    parser.add_argument("--rendered", type=Path, nargs="+", required=True, help="folders of unseen renders")
    parser.add_argument("--held-back", type=Path, nargs="*", default=[], help="folders of unseen real photos")
    parser.add_argument("--every", type=int, default=1, help="take every n-th hand")
    parser.add_argument("--cache", type=Path, help="folder to keep the detector's keypoints in")
    parser.add_argument("--docs", type=Path, help="document whose table is replaced")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    cv2.setNumThreads(1)
    try:
        text = _table(options)
        if options.docs is not None:
            report.replace_between_markers(options.docs, text, COMMAND)
    except ValueError as error:
        sys.stderr.write(f"{COMMAND}: {error}\n")
        return 2
    sys.stdout.write(text + "\n")
    return 0


def _table(options: argparse.Namespace) -> str:
    runs = [read_run(folder) for folder in options.runs]
    images = read_hands(options.rendered, options.every)
    real = read_hands(options.held_back, options.every) if options.held_back else None
    detections = cached_detections(images, open_mediapipe, options.cache, "rendered")
    names, cells = [], []
    for run in runs:
        _log.info("%s", run.name)
        for name, figures in measure(run, images, detections, real, DiffusionEstimatorConfig()).items():
            names.append(name)
            values = [report.cell(figures[figure], 1) for figure in _FIGURES]
            cells.append([str(run.steps), report.cell(run.minutes, 0), *values])
    return report.markdown_table(["run", "steps", "minutes", *_FIGURES], names, cells)


def _encoded(run: Run, images: HandImages, views: ViewChange) -> tuple[Tensor, Tensor]:
    crops = cut(images, views, run.network.config.image)
    return encode_crops(run.network, crops, torch.from_numpy(views.half_extent).float())


def _heatmap_error(images: HandImages, views: ViewChange, points: Tensor) -> float:
    placed = points_in_stored_view(images, views, points.numpy())
    return CROP_PX * mean(hand_means(metrics.joint_errors(placed, images.points.astype(np.float64))))


def _errors(images: HandImages, views: ViewChange, joints: Tensor) -> tuple[float, float]:
    """PA-MPJPE and root-relative MPJPE, mm."""
    in_stored, truth = joints.double().numpy() @ views.rotation, images.joints.astype(np.float64)
    aligned = mean(metrics.pa_mpjpe(in_stored, truth))
    relative = mean(metrics.root_relative_mpjpe(in_stored, truth))
    return hand.MEAN_ANCHOR_LENGTH_MM * aligned, hand.MEAN_ANCHOR_LENGTH_MM * relative
