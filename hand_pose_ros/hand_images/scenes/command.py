"""The ``hand_pose scenes`` command renders layers of hands, from which the detector's training composes images."""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.hand_images.rendered.scene import RenderSettings
from hand_pose_ros.hand_images.rendered.wardrobe import Wardrobe, hand_surfaces
from hand_pose_ros.hand_images.scenes.draw import render_layers
from hand_pose_ros.hand_images.scenes.layers import save_layers

_WARDROBE, _LAYERS = range(2)  # streams of random numbers of one seed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="hand_pose scenes", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=4000, help="number of layers (default: %(default)s)")
    parser.add_argument("--output", type=Path, required=True, help="folder that gets the layers")
    parser.add_argument("--seed", type=int, default=Seed.TRAINING.value, help="(default: %(default)s)")
    parser.add_argument(
        "--rigged",
        type=Path,
        metavar="FOLDER",
        help="folder of rigged glTF hands to draw beside the template",
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    started = time.monotonic()
    try:
        if options.count < 1 or options.seed < 0:
            raise ValueError("--count must be positive, --seed not negative")
        rigged = None if options.rigged is None else options.rigged.resolve(strict=True)
        wardrobe = Wardrobe(hand_surfaces(rigged), np.random.default_rng([options.seed, _WARDROBE]))
        seed = np.random.SeedSequence([options.seed, _LAYERS])
        layers = render_layers(options.count, wardrobe, RenderSettings().rigged, seed)
        record = {"seed": options.seed, "rigged": None if rigged is None else rigged.name}
        save_layers(options.output, layers, record)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    minutes = (time.monotonic() - started) / 60
    logging.getLogger(__name__).info("%d layers in %s, %.1f min", options.count, options.output, minutes)
    return 0
