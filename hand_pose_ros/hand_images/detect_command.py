"""The ``hand_pose detect-images`` command: it stores a real detector's keypoints with hand images.

The errors of a detector depend on the image: blur and occluders make all keypoints worse, often in the same
direction. Random noise does not depend on the image, so it cannot teach a network when to trust the image more
than the keypoints. This command degrades images as a camera would, runs the detector on them, and keeps those in
which it finds the hand.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from hand_pose_ros.common.parts import add_part_argument
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.hand_images.augmentation.augment import AugmentationConfig, PhotometricConfig, augment
from hand_pose_ros.hand_images.augmentation.occluders import OccluderConfig
from hand_pose_ros.hand_images.detections import detect_in_images, open_mediapipe
from hand_pose_ros.hand_images.shards import (
    STORED_MARGIN,
    STORED_SIZE_PX,
    HandImages,
    is_shard,
    load_shard,
    save_shard,
    shard_folders,
)

COMMAND: Final = "hand_pose detect-images"
WORSE: Final = AugmentationConfig(
    view=None,
    occluders=OccluderConfig(share=0.5),
    photometric=PhotometricConfig(motion_share=0.4, motion_px=32.0, defocus_share=0.2),
    fill_share=0.0,
)
"""Degradation of the images, with longer blurs and more occluders than in training."""

_log = logging.getLogger(__name__)


def detected_hands(images: HandImages, detector: HandDetector, generator: np.random.Generator) -> HandImages:
    """Degrade the images and return those in which ``detector`` finds the hand, with its keypoints."""
    worse = augment(images, WORSE, generator, STORED_SIZE_PX, STORED_MARGIN).hands
    found = detect_in_images(worse, detector)
    detected = np.concatenate((found.points, found.depth[..., None]), axis=-1).astype(np.float32)
    worse = worse._replace(detected=detected)
    return worse.rows(np.flatnonzero(worse.has_detection))


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=Path, nargs="+", required=True, help="folders of shards")
    parser.add_argument("--output", type=Path, required=True, help="folder that gets as many smaller shards")
    parser.add_argument("--seed", type=int, default=Seed.TRAINING.value)
    add_part_argument(parser, "shards")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cv2.setNumThreads(1)
    try:
        folders = [shard for folder in options.images for shard in shard_folders(folder)]
        if not folders:
            raise ValueError(f"no complete shard in {', '.join(map(str, options.images))}")
        detector = open_mediapipe()
        try:
            for number, folder in options.part.of(list(enumerate(folders))):
                output = options.output / f"shard-{number:05d}"
                if not is_shard(output):
                    images = load_shard(folder)
                    generator = np.random.default_rng((options.seed, number))
                    hands = detected_hands(images.rows(np.arange(images.count)), detector, generator)
                    save_shard(output, hands, options.seed, {"from": str(folder), "worse": asdict(WORSE)})
                    _log.info("%s: %d of %d hands were found", output.name, hands.count, images.count)
        finally:
            detector.close()
    except (ValueError, ImportError, OSError) as error:
        sys.stderr.write(f"{COMMAND}: {error}\n")
        return 2
    return 0
