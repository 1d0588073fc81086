"""Measures the error on generated hands for combinations of samples, steps and fusion.

hand_pose sampling-study --weights weights.safetensors

It prints the root-relative MPJPE in millimetres, with the true size given.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.batch import Lifted, lift
from hand_pose_ros.estimator.diffusion.fusion import FUSIONS, fuse_samples, reprojection_weights
from hand_pose_ros.estimator.placement import place_hands
from hand_pose_ros.evaluation.accuracy.keypoint_sets import generated_hands
from hand_pose_ros.networks.diffusion.sampling import HandDenoiser
from hand_pose_ros.networks.registry import HAND_DIFFUSION, load_network
from hand_pose_ros.synthetic.observed_hands import ObservedHands

REPROJECTION_SIGMAS: Final = (math.inf, 0.1, 0.03)


class StudyRow(NamedTuple):
    """One combination and its mean error in millimetres; ``steps`` is None for ancestral sampling."""

    samples: int
    steps: int | None
    fusion: str
    reprojection_sigma: float
    error_mm: float


def study(
    denoiser: HandDenoiser,
    hands: ObservedHands,
    samples: Sequence[int],
    steps: Sequence[int | None],
    sigmas: Sequence[float] = REPROJECTION_SIGMAS,
) -> Iterator[StudyRow]:
    """Yield a row for each combination, and one with fusion 'unet': the samples' mean without the IK head."""
    size_mm = 1e3 * hands.placed.anchor_length_m
    for count in samples:
        for step_count in steps:
            lifted = lift(denoiser, hands.condition, count, step_count)
            yield StudyRow(
                count, step_count, "unet", math.inf, _error(lifted.unet.mean(1), hands.joints, size_mm)
            )
            residual = None
            for sigma in sigmas if count > 1 else (math.inf,):
                if math.isfinite(sigma) and residual is None:
                    residual = _reprojection_residual(lifted, hands)
                weights = torch.full(lifted.unet.shape[:2], 1 / count)
                if residual is not None and math.isfinite(sigma):
                    weights = reprojection_weights(residual, sigma)
                for fusion in FUSIONS:
                    fused = _fused(denoiser, lifted, weights, fusion)
                    yield StudyRow(count, step_count, fusion, sigma, _error(fused, hands.joints, size_mm))


@torch.inference_mode()
def _fused(denoiser: HandDenoiser, lifted: Lifted, weights: Tensor, fusion: str) -> Tensor:
    return fuse_samples(lifted.samples, weights, fusion, denoiser, lifted.encoded).joints


def _reprojection_residual(lifted: Lifted, hands: ObservedHands) -> Tensor:
    """Return the residuals (n, S) in half extents; each sample is placed where it fits the keypoints best."""
    view = hands.view
    placed = place_hands(lifted.samples.joints, view.points, view.half_extent, hand.MEAN_ANCHOR_LENGTH_M)
    return (placed.root.residual / view.half_extent[:, None]).float()


def _error(joints: Tensor, truth: Tensor, size_mm: Tensor) -> float:
    distance = (joints - joints[:, :1] - truth)[:, 1:].norm(dim=-1)
    return float((distance * size_mm[:, None]).mean())


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="hand_pose sampling-study", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--weights", type=Path, required=True, help="weights of the diffusion estimator")
    parser.add_argument("--hands", type=int, default=500)
    parser.add_argument("--samples", type=int, nargs="+", default=[1, 4, 16, 32])
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4, 8, 0], help="0: ancestral sampling")
    options = parser.parse_args(arguments)
    try:
        network = load_network(options.weights, HAND_DIFFUSION).network
        hands = generated_hands(options.hands, Seed.SAMPLING_STUDY)
        sys.stdout.write(
            "| samples | steps | fusion | reprojection sigma | MPJPE mm |\n|---|---|---|---|---|\n"
        )
        for row in study(network, hands, options.samples, [count or None for count in options.steps]):
            sys.stdout.write(
                f"| {row.samples} | {row.steps or 'all'} | {row.fusion} | {row.reprojection_sigma:g} "
                f"| {row.error_mm:.2f} |\n"
            )
            sys.stdout.flush()
    except ValueError as error:
        parser.exit(2, f"hand_pose sampling-study: {error}\n")
    return 0
