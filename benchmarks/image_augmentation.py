"""Training crops of 128 px per second on one core. ``python -m benchmarks.image_augmentation``."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from benchmarks.timing import median_seconds
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.hand_images.augmentation.augment import AugmentationConfig, augment
from hand_pose_ros.hand_images.shards import FIELDS, HandImages

_BATCH = 128
_ROW = "{:<40} {:>12}"


def stored_hands(count: int) -> HandImages:
    """Smooth pictures with points in them: what takes time does not depend on what they show."""
    generator = np.random.default_rng(Seed.ARBITRARY)
    fields = {name: np.ones((count, *shape), kind) for name, (shape, kind) in FIELDS.items()}
    coarse = generator.integers(0, 256, (count, 20, 20, 3), np.uint8)
    size = fields["image"].shape[1:3]
    fields["image"] = np.stack([cv2.resize(image, size, interpolation=cv2.INTER_CUBIC) for image in coarse])
    fields["points"] = generator.uniform(-1, 1, fields["points"].shape).astype(np.float32)
    fields["half_extent"] = generator.uniform(0.05, 0.4, count).astype(np.float32)
    return HandImages(**fields)


def main() -> None:
    cv2.setNumThreads(1)
    hands = stored_hands(_BATCH)
    everything = AugmentationConfig()
    configs = {
        "all": everything,
        "view alone": dataclasses.replace(AugmentationConfig.none(), view=everything.view),
        "view, occluders": dataclasses.replace(everything, photometric=None),
        "view, photometric": dataclasses.replace(everything, occluders=None),
    }
    print(_ROW.format("", "crops / s"))
    for name, config in configs.items():
        generator = np.random.default_rng(Seed.ARBITRARY)
        seconds = median_seconds(lambda c=config, g=generator: augment(hands, c, g), 10)
        print(_ROW.format(name, f"{_BATCH / seconds:.0f}"))


if __name__ == "__main__":
    main()
