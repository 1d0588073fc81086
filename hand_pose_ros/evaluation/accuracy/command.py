"""The ``hand_pose evaluate`` command: it compares estimators with the detector's own 3D."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.ik import IkEstimator, IkEstimatorConfig
from hand_pose_ros.estimator.orientation.depths import load_image_depths
from hand_pose_ros.evaluation import reliability, report
from hand_pose_ros.evaluation.accuracy.comparison import Comparison, HandSet, compare, photo_set
from hand_pose_ros.evaluation.accuracy.error_sources import error_sources
from hand_pose_ros.evaluation.accuracy.keypoint_sets import (
    generated_hands,
    observations_of,
    read_dexycb,
    recorded_hands,
)
from hand_pose_ros.evaluation.accuracy.network_methods import baseline_method, unet_method
from hand_pose_ros.evaluation.methods import (
    Method,
    Prediction,
    detector_3d,
    detector_with_pnp,
    estimator_method,
)
from hand_pose_ros.files.atomic_file import write_text_atomically
from hand_pose_ros.hand_images.detections import open_mediapipe
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.registry import HAND_DIFFUSION, HAND_REGRESSOR, load_network

ESTIMATE = "D* (diffusion + IK head)"
"""Name of the shipped estimator, whose uncertainty is measured."""
WITH_DEPTHS = "D* with the depths of"
_MOST_FOR_KINEMATICS = (
    500  # hands: with a detector's errors, one takes a quarter of a second; and for error sources
)
_KINEMATICS_EVERY = 10
_DETECTOR_ROWS = {"MediaPipe 3D": detector_3d, "MediaPipe 3D + SQPnP": detector_with_pnp}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        text = _evaluate(options)
        if options.docs is not None:
            report.replace_between_markers(options.docs, text)
    except ValueError as error:
        sys.stderr.write(f"hand_pose evaluate: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hand_pose evaluate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folders", nargs="*", type=Path, help="labelled photos with a samples.json")
    parser.add_argument("--generated", type=int, default=0, metavar="N", help="also on N generated hands")
    parser.add_argument(
        "--dexycb", type=Path, metavar="NPZ", help="also on poses of this file, in random views"
    )
    parser.add_argument("--poses", type=int, default=2000, help="how many poses of that file")
    parser.add_argument("--every", type=int, default=1, help="take every n-th photo")
    parser.add_argument("--weights", type=Path, help="weights of the diffusion estimator")
    parser.add_argument("--baseline", type=Path, help="weights of the baseline without diffusion")
    parser.add_argument(
        "--orientation",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="also with the depths that these orientation networks tell",
    )
    parser.add_argument(
        "--without-kinematics",
        action="store_true",
        help="leave out the inverse kinematics, the slowest method",
    )
    parser.add_argument("--samples", type=int, default=DiffusionEstimatorConfig.samples)
    parser.add_argument("--steps", type=int, default=DiffusionEstimatorConfig.steps)
    parser.add_argument(
        "--hand-size-m", type=float, help="bone wrist -> index MCP; the mean of adults if not given"
    )
    parser.add_argument("--output", type=Path, help="folder for accuracy.json and the plots")
    parser.add_argument("--docs", type=Path, help="document whose tables are replaced")
    return parser


def _evaluate(options: argparse.Namespace) -> str:
    """Measure, write the requested files, and return the tables."""
    methods, network, config = _methods(options)
    ik = IkEstimator(IkEstimatorConfig(hand_size_m=options.hand_size_m))
    kinematics = {} if options.without_kinematics else {"inverse kinematics": estimator_method(ik)}
    comparisons: list[Comparison] = []
    errors: dict[str, reliability.AxisErrors] = {}
    sources: dict[str, dict[str, dict[str, float]]] = {}
    stated: dict[str, dict[str, float]] = {}
    for hands in _sets(options):
        rows = methods if len(hands.observations) > _MOST_FOR_KINEMATICS else methods | kinematics
        rows = rows | _DETECTOR_ROWS if hands.has_detector_3d else rows
        of_set, predictions = compare(hands, rows)
        for comparison in of_set:
            sys.stdout.write(report.accuracy_table(comparison.title, comparison.rows) + "\n\n")
            sys.stdout.flush()
        comparisons += of_set
        if options.orientation and hands.has_detector_3d:
            stated |= {
                f"{hands.name}, {name}": reliability.stated_uncertainty(one, hands.observations)
                for name, one in predictions.items()
                if one.turn_sigma_rad is not None and np.isfinite(one.turn_sigma_rad).any()
            }
        if network is not None and hands.measures_uncertainty and hands.observations:
            errors |= _errors(hands, predictions[ESTIMATE], network, config)
        if network is not None and 0 < len(hands.observations) <= _MOST_FOR_KINEMATICS:
            sources[hands.name] = error_sources(hands.observations, methods[ESTIMATE])
    text = "\n\n".join(report.accuracy_table(one.title, one.rows) for one in comparisons)
    if stated:
        text += f"\n\n**Stated uncertainty on photos**\n\n{report.coverage_table(stated)}"
    coverage = {name: reliability.coverage(value) for name, value in errors.items()}
    if coverage:
        table = report.coverage_table(coverage)
        sys.stdout.write(table + "\n\n")
        text += f"\n\n**Uncertainty**\n\n{table}"
    for name, rows in sources.items():
        table = report.error_source_table(name, rows)
        sys.stdout.write(table + "\n\n")
        text += f"\n\n{table}"
    if options.output is not None:
        _write(options.output, comparisons, coverage, errors, sources)
    return text


def _methods(
    options: argparse.Namespace,
) -> tuple[dict[str, Method], HandDiffusion | None, DiffusionEstimatorConfig]:
    size = options.hand_size_m
    config = DiffusionEstimatorConfig(samples=options.samples, steps=options.steps, hand_size_m=size)
    methods, network = {}, None
    if options.baseline is not None:
        methods["baseline (no diffusion)"] = baseline_method(
            load_network(options.baseline, HAND_REGRESSOR).network, size
        )
    if options.weights is not None:
        loaded = load_network(options.weights, HAND_DIFFUSION)
        network = loaded.network
        methods["D (diffusion)"] = unet_method(network, config)
        estimator = DiffusionEstimator(network, float(network.spread_scale), config)
        methods[ESTIMATE] = estimator_method(estimator)
        for file in options.orientation:
            depths = load_image_depths(str(file), "torch", "cpu")
            corrected = DiffusionEstimator(network, float(network.spread_scale), config, depths=depths)
            methods[f"{WITH_DEPTHS} {file.stem}"] = estimator_method(corrected)
    return methods, network, config


def _sets(options: argparse.Namespace) -> Iterator[HandSet]:
    """Yield the sets of hands one by one."""
    if options.generated:
        yield from _keypoint_sets("generated", observations_of(generated_hands(options.generated)))
    if options.dexycb is not None:
        poses = read_dexycb(options.dexycb, options.poses)
        yield from _keypoint_sets("dexycb", observations_of(recorded_hands(poses)))
    if options.folders:
        detector = open_mediapipe()
        try:
            for folder in options.folders:
                yield photo_set(folder.name, read_samples(folder)[:: options.every], detector)
        finally:
            detector.close()


def _keypoint_sets(name: str, observations: list[Observation]) -> Iterator[HandSet]:
    """Yield all hands; if they are too many for the inverse kinematics, also every tenth hand."""
    yield HandSet(name, observations, len(observations), has_detector_3d=False, measures_uncertainty=True)
    if len(observations) > _MOST_FOR_KINEMATICS:
        some = observations[::_KINEMATICS_EVERY]
        yield HandSet(f"{name}, every tenth", some, len(some), has_detector_3d=False)


def _errors(
    hands: HandSet, prediction: Prediction, network: HandDiffusion, config: DiffusionEstimatorConfig
) -> dict[str, reliability.AxisErrors]:
    config = replace(config, hand_size_m=None)
    shape = reliability.shape_errors(network, hands.observations, config).stated(float(network.spread_scale))
    absolute = reliability.absolute_errors(prediction, hands.observations)
    return {f"{hands.name}, shape": shape, f"{hands.name}, absolute": absolute}


def _write(
    output: Path,
    comparisons: list[Comparison],
    coverage: dict[str, dict[str, float]],
    errors: dict[str, reliability.AxisErrors],
    sources: dict[str, dict[str, dict[str, float]]],
) -> None:
    results = {
        "sets": [vars(one) for one in comparisons],
        "uncertainty": coverage,
        "error sources": sources,
    }
    write_text_atomically(output / "accuracy.json", json.dumps(results, indent=1) + "\n")
    report.plot_pck({one.name: one.pck for one in comparisons if one.rows}, output / "accuracy.png")
    if errors:
        curves = {name: reliability.reliability_curve(value).tolist() for name, value in errors.items()}
        report.plot_reliability(curves, coverage, output / "reliability.png")
