"""The ``hand_pose calibrate`` command: it fits the factor on the samples' spread that makes stated sigmas true.

With this factor, the truth lies within one standard deviation of the shape as often as for a normal distribution.
All hands have a known size. Weights without an image encoder are calibrated on generated hands of a separate seed;
weights with one, on renders that were not used in training, with and without a detector's keypoints.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from hand_pose_ros.common.named_tensors import cat
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.evaluation import reliability
from hand_pose_ros.evaluation.accuracy.keypoint_sets import generated_hands, observations_of
from hand_pose_ros.evaluation.calibration.images import image_errors
from hand_pose_ros.evaluation.images.methods import BOTH, IMAGE, read_hands
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.diffusion.image_network import HandImageDiffusion
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.registry import DENOISERS, IMAGE_HAND_DIFFUSION, load_network
from hand_pose_ros.networks.weights import load_weights, save_weights
from hand_pose_ros.synthetic.detector.statistics import STATISTICS


def fit_spread_scale(errors: reliability.ShapeErrors) -> float:
    """Fit the factor that makes the share of the truth within one stated sigma that of a normal distribution.

    Raises:
        ValueError: no joint has both an error and a spread.
    """
    # An error lies within sigma if the factor is at least the factor that makes sigma equal to the error.
    beyond = np.square(errors.error) - np.square(errors.common)
    factors = np.sqrt(beyond.clip(min=0)) / errors.spread
    factors = factors[np.isfinite(factors)]
    if factors.size == 0:
        raise ValueError("no joint has both an error and a spread")
    return float(np.quantile(factors, reliability.ONE_SIGMA))


def calibrate(
    network: HandDiffusion,
    config: DiffusionEstimatorConfig,
    hands: int,
    landmarks: str = "heatmap",
    seed: int = Seed.CALIBRATION,
) -> float:
    """Fit the factor, store it in the network, and return it; ``landmarks`` as in :func:`generated_hands`."""
    observations = observations_of(generated_hands(hands, seed, landmarks))
    scale = fit_spread_scale(reliability.shape_errors(network, observations, config))
    with torch.no_grad():
        network.spread_scale.fill_(scale)
    return scale


def calibrate_on_images(
    network: HandImageDiffusion,
    config: DiffusionEstimatorConfig,
    images: HandImages,
    seed: int = Seed.CALIBRATION,
) -> dict[str, float]:
    """Fit one factor for ``IMAGE`` and ``BOTH`` and store it in the network.

    Returns:
        The share of the truth within one stated sigma, with this factor, for each condition.
    """
    errors = image_errors(network, images, config, seed)
    scale = fit_spread_scale(cat([errors[name] for name in (IMAGE, BOTH) if name in errors]))
    with torch.no_grad():
        network.diffusion.spread_scale.fill_(scale)
    return {name: reliability.coverage(one.stated(scale))["within 1 sigma"] for name, one in errors.items()}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="hand_pose calibrate", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--weights", type=Path, required=True, help="weights of the diffusion estimator")
    parser.add_argument("--output", type=Path, required=True, help="the same weights with the fitted factor")
    parser.add_argument("--hands", type=int, default=2000, help="generated hands")
    parser.add_argument(
        "--landmarks", choices=tuple(STATISTICS), default="heatmap", help="whose errors their keypoints have"
    )
    parser.add_argument(
        "--images", type=Path, nargs="*", default=[],
        help="folders of unseen training images, for weights with an image encoder (see hand_pose detect-images)",
    )  # fmt: skip
    parser.add_argument("--samples", type=int, default=DiffusionEstimatorConfig.samples)
    parser.add_argument("--steps", type=int, default=DiffusionEstimatorConfig.steps)
    options = parser.parse_args(arguments)
    config = DiffusionEstimatorConfig(samples=options.samples, steps=options.steps)
    try:
        loaded = load_network(options.weights, *DENOISERS)
        network = loaded.network
        if loaded.kind == IMAGE_HAND_DIFFUSION:
            if not options.images:
                raise ValueError(f"{options.weights} has an image encoder: give --images")
            within = calibrate_on_images(network, config, read_hands(options.images))
            for name, share in within.items():
                sys.stdout.write(f"{name}: {100 * share:.1f} % within one sigma\n")
        else:
            calibrate(network, config, options.hands, options.landmarks)
        stored = load_weights(options.weights).tensors.values()
        half = any(tensor.dtype == torch.float16 for tensor in stored)
        save_weights(options.output, network, loaded.kind, loaded.config.to_dict(), half)
    except ValueError as error:
        parser.exit(2, f"hand_pose calibrate: {error}\n")
    scale = float(network.spread_scale)
    sys.stdout.write(f"spread_scale {scale:.3f}, written to {options.output}\n")
    return 0
