"""The ``hand_pose evaluate-mesh`` command: meshes on unseen renders, and joints on photos beside D*.

With ``--calibrate`` it fits the factor on the hypotheses' spread on the renders, and writes the weights with it.
"""

from __future__ import annotations

import argparse
import logging
import sys
from functools import cache, partial
from pathlib import Path
from typing import Final

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.detection.mediapipe.finders import create_finders
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.mesh_diffusion.backends import RunnableMesh, load_mesh_network
from hand_pose_ros.estimator.mesh_diffusion.estimator import (
    MeshDiffusionEstimator,
    MeshDiffusionEstimatorConfig,
)
from hand_pose_ros.estimator.mesh_diffusion.fitted import CHOICES
from hand_pose_ros.estimator.placement import COMMON_SPREAD
from hand_pose_ros.evaluation import report
from hand_pose_ros.evaluation.accuracy.comparison import compare, photo_set
from hand_pose_ros.evaluation.calibration.command import fit_spread_scale
from hand_pose_ros.evaluation.images.methods import read_hands
from hand_pose_ros.evaluation.meshes.renders import (
    EDGE_STRETCH,
    EDGE_STRETCH_999,
    RenderedHands,
    draw,
    read_renders,
    scores_of,
    true_conditions,
)
from hand_pose_ros.evaluation.meshes.runs import plot_runs, runs_table, score_runs
from hand_pose_ros.evaluation.methods import Method, detector_3d, estimator_method
from hand_pose_ros.evaluation.reliability import ShapeErrors
from hand_pose_ros.hand_images.detections import open_mediapipe
from hand_pose_ros.mesh.skinning import regress_joints
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.networks.mesh_diffusion.config import MeshEncoderConfig
from hand_pose_ros.networks.registry import MESH_DIFFUSION, load_network, shipped_weights
from hand_pose_ros.networks.weights import load_weights, save_weights

COMMAND: Final = "hand_pose evaluate-mesh"
PLOT: Final = "mesh_ablation.png"
_DECIMALS: Final = {EDGE_STRETCH: 2, EDGE_STRETCH_999: 2}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        weights = Path() if options.runs else options.weights or shipped_weights(MESH_DIFFUSION)
        if options.runs:
            hands = cache(partial(_read, options))
            scores = score_runs(options.runs, hands, options.steps, options.samples)
            text = runs_table(scores)
            if options.output is not None:
                plot_runs(scores, options.output / PLOT)
        else:
            text = _calibrate(options, weights) if options.calibrate else _evaluate(options, weights)
        sys.stdout.write(text + "\n")
        if options.docs is not None:
            report.replace_between_markers(options.docs, text, COMMAND)
    except (ValueError, ImportError) as error:
        sys.stderr.write(f"{COMMAND}: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    config = MeshDiffusionEstimatorConfig()
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--weights", type=Path, help="weights of the mesh network; the shipped ones if not given"
    )
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], help="folders of unseen renders")
    parser.add_argument(
        "--photos", type=Path, nargs="*", default=[], help="labelled photos with a samples.json"
    )
    parser.add_argument(
        "--runs",
        type=Path,
        nargs="*",
        default=[],
        help="training runs NAME-seedN to compare on the renders, instead",
    )
    parser.add_argument("--every", type=int, default=1, help="take every n-th render and photo")
    parser.add_argument("--samples", type=int, default=config.samples, help="hypotheses of each hand")
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 5, 10, 20], help="DDIM steps to compare")
    parser.add_argument("--choice", choices=CHOICES, default=config.choice, help="the mesh of several")
    parser.add_argument("--backend", default="torch", help="what runs the network")
    parser.add_argument(
        "--calibrate",
        type=Path,
        metavar="FILE",
        help="write the weights with the fitted spread of hypotheses",
    )
    parser.add_argument("--output", type=Path, help=f"folder for the plot of the runs, {PLOT}")
    parser.add_argument("--docs", type=Path, help="document whose tables are replaced")
    return parser


def _evaluate(options: argparse.Namespace, weights: Path) -> str:
    network = load_mesh_network(weights, options.backend, "cpu", threads=1)
    parts = []
    if options.rendered:
        hands = _renders(options, network)
        given = true_conditions(hands, network.config)
        rows = {}
        for steps in options.steps:
            asked = hands, network, steps, options.samples, options.choice
            rows[f"{steps} steps"] = scores_of(*asked)
            if given:
                rows[f"{steps} steps, true {' and '.join(given)}"] = scores_of(*asked, given)
        title = f"{len(hands.truth)} unseen renders, {options.samples} hypotheses, {options.choice}"
        parts.append(_table(title, rows))
    if options.photos:
        config = MeshDiffusionEstimatorConfig(samples=options.samples, choice=options.choice)
        methods = photo_methods(MeshDiffusionEstimator(network, config))
        detector = open_mediapipe()
        try:
            for folder in options.photos:
                comparisons, _ = compare(
                    photo_set(folder.name, read_samples(folder)[:: options.every], detector), methods
                )
                parts += [report.accuracy_table(one.title, one.rows) for one in comparisons]
        finally:
            detector.close()
    return "\n\n".join(parts)


def photo_methods(estimator: MeshDiffusionEstimator) -> dict[str, Method]:
    """Return the mesh estimator, the shipped diffusion estimators, and the detector's own 3D."""
    diffusion = {
        f"D*, {condition}": estimator_method(
            DiffusionEstimatorConfig(condition=condition).create(None, "cpu")
        )
        for condition in ("keypoints", "image", "both")
    }
    return {"mesh diffusion": estimator_method(estimator), **diffusion, "MediaPipe 3D": detector_3d}


def _calibrate(options: argparse.Namespace, weights: Path) -> str:
    """Fit the factor to the joints' errors, so that 68 % lie within one stated sigma."""
    network = load_mesh_network(weights, options.backend, "cpu", threads=1)
    if not options.rendered:
        raise ValueError("--calibrate needs --rendered")
    errors = hypotheses_errors(_renders(options, network), network, options.steps[0], options.samples)
    scale = fit_spread_scale(errors)
    loaded = load_network(weights, MESH_DIFFUSION)
    half = any(one.dtype == torch.float16 for one in load_weights(weights).tensors.values())
    config = loaded.config.to_dict() | {"spread_scale": scale}
    save_weights(options.calibrate, loaded.network, MESH_DIFFUSION, config, half)
    return f"spread_scale {scale:.3f}, written to {options.calibrate}"


def hypotheses_errors(hands: RenderedHands, network: RunnableMesh, steps: int, samples: int) -> ShapeErrors:
    """Return the errors of the hypotheses' mean joints, relative to the wrist, and the hypotheses' spread."""
    joints = draw(hands, network, steps, samples).joints.double()
    truth = regress_joints(hands.truth, load_template(torch.float64))
    truth = truth - truth[:, hand.WRIST, None]
    size = hand.MEAN_ANCHOR_LENGTH_M
    error = size * (joints.mean(1) - truth)[:, 1:]
    spread = size * joints.std(1, correction=0)[:, 1:]
    common = np.full((len(error), 1, 1), COMMON_SPREAD * size)
    return ShapeErrors(error.numpy(), spread.numpy(), common, np.zeros(error.shape[:2], int))


def _renders(options: argparse.Namespace, network: RunnableMesh) -> RenderedHands:
    return _read(options, network.config.encoder)


def _read(options: argparse.Namespace, encoder: MeshEncoderConfig) -> RenderedHands:
    _, finder = create_finders(device="cpu", threads=1)
    return read_renders(read_hands(options.rendered, options.every), finder, encoder)


def _table(title: str, rows: dict[str, dict[str, float]]) -> str:
    columns = list(next(iter(rows.values())))
    cells = [[report.cell(value, _decimals(name)) for name, value in row.items()] for row in rows.values()]
    return f"**{title}**\n\n{report.markdown_table(['', *columns], list(rows), cells)}"


def _decimals(name: str) -> int:
    return _DECIMALS.get(name, 1 if "mm" in name or "ms" in name else 3)
