"""The table of fixed seeds for training, validation, calibration and evaluation.

No two entries share a seed, so no evaluated hand was drawn for training.
"""

from __future__ import annotations

import enum


@enum.unique
class Seed(enum.IntEnum):
    """A fixed seed: the first of ``count`` consecutive ones that are reserved for ``purpose``."""

    count: int
    purpose: str

    ARBITRARY = 0, 1, (
        "Draws that belong to no split: the noise of diffusion samples, the rendered clip, the examples and poses "
        "that a shipped file was made of."
    )  # fmt: skip
    TRAINING = 1, 1, "First weights and batches of a training run, and its training images."
    EXAMPLE_SHEET = 3, 1, "Evaluation: the images of the sheet, and the views of them."
    DEGRADATION = 5, 1, "Evaluation: directions of the blur, places and colours of the occluders."
    SKIN = 20, 1, "Wave vectors of the procedural skin."
    DETECTOR_STUDY = 1000, 1000, "Renders that the detector's noise is fitted to, one seed for each part."
    TEMPORAL_BANK = 10_001, 1, "Training: the videos that the temporal transformer's clips are cut from."
    KEYPOINT_VALIDATION = 20_001, 1, "Validation: generated hands."
    STATISTICS = 20_002, 1, "Training: hands whose mean and spread the diffusion is given."
    IMAGE_VALIDATION = 20_003, 1, "Validation: views and keypoints of held-back images."
    CALIBRATION = (
        30_001,
        1,
        "Calibration: generated hands, and views of renders, that fit `spread_scale`.",
    )
    SAMPLING_STUDY = 30_002, 1, "Choice of defaults: generated hands."
    TEMPORAL_VALIDATION = 30_011, 1, "Validation: generated videos."
    GENERATED = 40_001, 1, "Evaluation: generated hands."
    RECORDED = 40_002, 1, "Evaluation: views of recorded poses, and the detector's noise."
    VIDEOS = 40_009, 2, "Evaluation: generated videos with the stamps of all kinds of cameras, and at 30 Hz."
    IMAGE_VIEWS = 70_001, 1, "Evaluation: the views in which `image only` starts."

    def __new__(cls, first: int, count: int, purpose: str) -> Seed:
        """An entry of the table."""
        seed = int.__new__(cls, first)
        seed._value_, seed.count, seed.purpose = first, count, purpose
        return seed

    def at(self, index: int) -> int:
        """The reserved seed number ``index``.

        Raises:
            ValueError: the entry reserves fewer.
        """
        if not 0 <= index < self.count:
            raise ValueError(f"{self.name} reserves {self.count} seeds, so there is no number {index}")
        return self + index
