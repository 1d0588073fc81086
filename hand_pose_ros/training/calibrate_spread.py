"""The ``hand_calibrate`` command: the factor on the samples' spread that makes stated sigmas true.

It is fitted on generated hands of its own seed, of the shape at known size, such that the truth lies within one
standard deviation as often as for a normal distribution.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

import numpy as np
import torch

from hand_pose_ros.estimator.diffusion_estimator import DiffusionEstimatorConfig
from hand_pose_ros.evaluation import calibration
from hand_pose_ros.evaluation.keypoint_sets import generated_hands, observations_of
from hand_pose_ros.evaluation.lifting import load_network
from hand_pose_ros.networks.hand_diffusion import HandDiffusion
from hand_pose_ros.networks.weights import load_weights, save_weights

SEED: Final = 30_001
"""Of the hands that are calibrated on; others than those that are evaluated, validated or trained on."""


def fit_spread_scale(errors: calibration.ShapeErrors) -> float:
    """The factor by which the share of the truth within one stated sigma becomes that of a normal distribution.

    Raises:
        ValueError: no error or no spread is known.
    """
    # An error lies within sigma if the factor is at least the one that makes sigma as large as the error.
    beyond = np.square(errors.error) - np.square(errors.common)
    factors = np.sqrt(beyond.clip(min=0)) / errors.spread
    factors = factors[np.isfinite(factors)]
    if factors.size == 0:
        raise ValueError("no joint has both an error and a spread")
    return float(np.quantile(factors, calibration.ONE_SIGMA))


def calibrate(
    network: HandDiffusion, config: DiffusionEstimatorConfig, hands: int, seed: int = SEED
) -> float:
    """Fit the factor and store it in the network; returns it."""
    observations = observations_of(generated_hands(hands, seed))
    scale = fit_spread_scale(calibration.shape_errors(network, observations, config))
    with torch.no_grad():
        network.spread_scale.fill_(scale)
    return scale


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="hand_calibrate", description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, required=True, help="of the diffusion estimator")
    parser.add_argument("--output", type=Path, required=True, help="the same weights with the fitted factor")
    parser.add_argument("--hands", type=int, default=2000)
    parser.add_argument("--samples", type=int, default=DiffusionEstimatorConfig.samples)
    parser.add_argument("--steps", type=int, default=DiffusionEstimatorConfig.steps)
    options = parser.parse_args(arguments)
    try:
        network = load_network(options.weights, "hand_diffusion")
        config = DiffusionEstimatorConfig(samples=options.samples, steps=options.steps)
        scale = calibrate(network, config, options.hands)
        half = any(t.dtype == torch.float16 for t in load_weights(options.weights).tensors.values())
        save_weights(options.output, network, "hand_diffusion", network.config.to_dict(), half)
    except ValueError as error:
        parser.exit(2, f"hand_calibrate: {error}\n")
    sys.stdout.write(f"spread_scale {scale:.3f}, written to {options.output}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
