"""Lists the public sources of real hand photos: training or held-back, and how often each is drawn.

All carry a permissive licence. The photos themselves are not part of this repository: users bring the folder.
Photos of one source look alike (one person, one camera, one wall), so training and evaluation never share a
source.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np

TRAIN: Final = "train"
HELD_BACK: Final = "held_back"
MEASURED: Final = "measured"


@dataclass(frozen=True)
class RealSource:
    """A public repository of photos.

    repository: owner/name on GitHub. licence: licence of its photos. part: 'train', 'held_back', or 'measured'.
    content: content of the photos; for held-back ones, their difference from the others.
    """

    repository: str
    licence: str
    part: str
    content: str


SOURCES: Final = tuple(
    RealSource(*fields)
    for fields in (
        (
            "ardamavi/Sign-Language-Digits-Dataset",
            "Apache-2.0",
            TRAIN,
            "digits, 218 people, 100 px, white wall",
        ),
        ("SubhiH/HandsDataset", "Apache-2.0", TRAIN, "counting fingers, webcam, indoors and outdoors"),
        ("emrecandir9/custom-gesture-dataset", "MIT", TRAIN, "gestures at a distance, hanging hands"),
        ("vsh2607/presentation-gesture-detection", "MIT", TRAIN, "gestures, camera from below"),
        ("ouriahi/MaestroSync", "MIT", TRAIN, "conductor's gestures, left hand, before the face"),
        ("4Tsuki4/Handy-Sign-Language-Detection", "MIT", TRAIN, "signs, fists and backs of the hand"),
        ("4-mina/SignLanguageDetectionWebApp", "MIT", TRAIN, "signs, both hands"),
        ("jameelhamzayev/SAign-Sign-Language-Translator", "MIT", TRAIN, "signs, greyscale"),
        ("DerickBessa/ASLT---AmericanSingLanguageTranslator", "MIT", TRAIN, "signs, bright office"),
        ("Anupam1612/Hand-Gesture-Recognition", "MIT", TRAIN, "gestures, before a face or a curtain"),
        (
            "intel-iot-devkit/sample-videos",
            "CC-BY-4.0",
            HELD_BACK,
            "motion blur, two hands, a grasp; five people",
        ),
        ("sakshamsood3/Hands4All", "MIT", HELD_BACK, "signs from the side, at the image's edge"),
        ("t32rahman/ASL-ML", "MIT", HELD_BACK, "signs, over-exposed: skin nearly without shading"),
        ("parikshitkumar1/Best_Of_One", "MIT", HELD_BACK, "rock, paper, scissors: fists from the palm"),
        (
            "FarzadMalik/Real_Time_Sign_Language_Detection",
            "MIT",
            HELD_BACK,
            "left hands, cut off by the edge",
        ),
        ("AbimaelFranco/SignTranslator", "MIT", HELD_BACK, "signs in hard light before black"),
        ("TemugeB/handpose3d", "MIT", MEASURED, "a video that accuracy is measured on"),
        ("dexsuite/dex-retargeting", "MIT", MEASURED, "a video that jitter is measured on"),
        (
            "dnth/yolov5-deepsparse-blogpost",
            "public domain",
            TRAIN,
            "letters of finger spelling, cluttered rooms, hard light; six to eight people",
        ),
    )
)
"""The sources in a fixed order: ``source`` of a hand image is the index here, from 1. 789 photos are held back."""

_NUMBER_OF: Final = {source.repository: number for number, source in enumerate(SOURCES, start=1)}


def source_numbers(repositories: np.ndarray) -> np.ndarray:
    """Return the indices (n,) int16 in ``SOURCES``, from 1, of repositories (n,).

    Raises:
        ValueError: a repository is unknown, so that its part is unknown.
    """
    unknown = sorted(set(repositories.tolist()) - _NUMBER_OF.keys())
    if unknown:
        raise ValueError(f"sources of photos that sources.py does not list: {', '.join(unknown)}")
    return np.array([_NUMBER_OF[name] for name in repositories.tolist()], np.int16)


def numbers_of_part(part: str, exclude: Collection[str] = ()) -> np.ndarray:
    """Return the indices of the sources of one part, without the repositories in ``exclude``.

    Raises:
        ValueError: the part or a repository is unknown.
    """
    if part not in (TRAIN, HELD_BACK, MEASURED):
        raise ValueError(f"part must be '{TRAIN}', '{HELD_BACK}' or '{MEASURED}', got {part!r}")
    source_numbers(np.array(list(exclude), dtype=str))
    return np.array(
        [_NUMBER_OF[s.repository] for s in SOURCES if s.part == part and s.repository not in exclude],
        np.int16,
    )


def sampling_weights(source: np.ndarray) -> np.ndarray:
    """Return the sampling probabilities (n,), summing to 1, of hands of sources (n,).

    The weight of a source is the square root of its size: the three largest hold two thirds of all photos, but not
    two thirds of the variety.
    """
    _, places, counts = np.unique(source, return_inverse=True, return_counts=True)
    weights = 1 / np.sqrt(counts[places])
    return weights / weights.sum()
