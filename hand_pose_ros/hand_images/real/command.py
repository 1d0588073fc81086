"""The ``hand_pose real-images`` command: it converts pseudo-labelled photos to shards of hand images.

The image points and depths come from the detector. The diffusion network lifts them to 3D; its spread gives the
uncertainty. Photos of held-back sources go to a separate folder.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from torch import Tensor

from hand_pose_ros.common.parts import Part, add_part_argument
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.mediapipe.landmarks import LandmarkNetwork
from hand_pose_ros.detection.mediapipe.network_files import read_networks
from hand_pose_ros.hand_images.real.labels import RealHandLabels, read_crops, read_labels
from hand_pose_ros.hand_images.real.lift import SAMPLES, STEPS, LiftedHands, lift_hands
from hand_pose_ros.hand_images.real.several_passes import FindsLandmarks, with_several_passes
from hand_pose_ros.hand_images.real.sources import HELD_BACK, SOURCES, TRAIN, numbers_of_part, source_numbers
from hand_pose_ros.hand_images.real.views import FOCAL_LENGTH, RealHandViews, real_hand_views, view_image
from hand_pose_ros.hand_images.shards import HandImages, empty_hand_images, save_shard
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.imported.backends import open_tflite
from hand_pose_ros.networks.registry import HAND_DIFFUSION, load_network, shipped_weights

PARTS: Final = (TRAIN, HELD_BACK)


class Relabeller(NamedTuple):
    """Labels photos anew: a network, and its passes over each hand."""

    network: FindsLandmarks
    passes: int


_SHARD = 1024  # hands in one
_TYPICAL_SIGMA = 0.25  # anchor lengths: a hand of this uncertainty has half the weight
_TYPICAL_MISFIT = 0.15  # half extents: at this misfit a third of the weight is left


def convert(
    folder: str | Path,
    labels: RealHandLabels,
    network: HandDiffusion,
    samples: int = SAMPLES,
    seed: int = Seed.ARBITRARY,
) -> HandImages:
    """Convert some crops of a folder of real hands to hand images.

    Args:
        labels: of these crops, from :func:`read_labels`. network: conditioned on keypoints. seed: of its noise.

    Raises:
        ValueError: a crop is missing, or its source is unknown.
    """
    views = real_hand_views(labels)
    lifted = lift_hands(network, views.view, views.condition, samples, STEPS, seed)
    images = _labelled(labels, views, lifted)
    to_crop = labels.crop_of_image
    for row, crop in enumerate(read_crops(folder, labels.names)):
        images.image[row] = view_image(
            crop,
            views.to_crop[row],
            views.to_image[row],
            float(views.view.half_extent[row]),
            tuple(labels.sizes[row].tolist()),
            to_crop[row],
        )
    return images


def label_weight(weight: np.ndarray, sigma: np.ndarray, misfit: np.ndarray) -> np.ndarray:
    """Return the weights (n,) float32 in [0, 1] of the labels, in 2D and in 3D.

    The lifted hand is always a valid one, so it does not fit anatomically impossible landmarks. For fists viewed
    from the knuckles, where the detector guesses, the misfit is more reliable than the detector's own scores.

    Args:
        weight: (n,) the label's own weight. sigma: (n, 21) of the lifted joints. misfit: (n,) mean distance of the
            lifted joints' image from the landmarks, half extents; NaN counts as far too large.
    """
    certain = 1 / (1 + np.square(sigma).mean(1) / _TYPICAL_SIGMA**2)
    possible = np.exp(-np.square(np.nan_to_num(misfit, nan=np.inf) / _TYPICAL_MISFIT))
    return (weight * certain * possible).astype(np.float32)


def write_shards(
    real: str | Path,
    output: str | Path,
    network: HandDiffusion,
    samples: int = SAMPLES,
    seed: int = Seed.ARBITRARY,
    exclude: Collection[str] = (),
    job: Part | None = None,
    relabel: Relabeller | None = None,
) -> dict[str, int]:
    """Convert a whole folder: ``output/train`` and ``output/held_back``, shards of 1024 hands in random order.

    Args:
        exclude: repositories to leave out. The two with the videos for evaluation are always left out.
        job: the part of the shards that is written; the others are another process's.
        relabel: labels the photos anew; None keeps the stored landmarks.

    Returns:
        Number of hands of each part that were written.

    Raises:
        ValueError: ``real`` holds no such photos, or an unknown source. FileExistsError: a shard exists already.
    """
    labels = read_labels(real)
    source = source_numbers(labels.repositories)
    counts: dict[str, int] = dict.fromkeys(PARTS, 0)
    shards: list[tuple[str, int, np.ndarray]] = []
    for part in PARTS:
        chosen = np.flatnonzero(np.isin(source, numbers_of_part(part, exclude)))
        chosen = np.random.default_rng(seed).permutation(chosen)
        starts = range(0, len(chosen), _SHARD)
        shards += [(part, number, chosen[start : start + _SHARD]) for number, start in enumerate(starts)]
    for part, number, of_shard in (job or Part()).of(shards):
        some = labels.rows(of_shard)
        if relabel is not None:
            some = with_several_passes(some, real, relabel.network, relabel.passes, [seed, number])
        settings = {
            "made_by": "hand_pose real-images",
            "samples": samples,
            "steps": STEPS,
            "focal_length": FOCAL_LENGTH,
            "sources": [item.repository for item in SOURCES],
            "passes": relabel.passes if relabel else 1,
            "names": some.names.tolist(),
        }
        shard = Path(output) / part / f"real_{number:03d}"
        save_shard(shard, convert(real, some, network, samples, seed), seed, settings)
        counts[part] += len(of_shard)
    return counts


def _labelled(labels: RealHandLabels, views: RealHandViews, lifted: LiftedHands) -> HandImages:
    """Fill all labels of the hands; the images stay black."""
    images = empty_hand_images(labels.count)
    inside = views.condition.inside
    values: dict[str, Tensor] = {
        "points": views.view.points,
        "depth": views.condition.depth,
        "inside": inside,
        "visible": lifted.visible & inside,
        "half_extent": views.view.half_extent,
        "joints": lifted.hands.joints,
        "wrist": lifted.wrist,
        "angles": lifted.hands.angles,
        "proportions": lifted.hands.proportions,
        "rotation": lifted.hands.rotation,
        "sigma": lifted.sigma,
    }
    for name, value in values.items():
        getattr(images, name)[:] = value.numpy()
    images.weight[:] = label_weight(labels.weight, images.sigma, _misfit(images))
    images.source[:] = source_numbers(labels.repositories)
    return images


def _misfit(images: HandImages) -> np.ndarray:
    """Return the mean distance (n,) of the projected joints from the points, half extents."""
    joints = images.joints + images.wrist[:, None]
    projected = joints[..., :2] / joints[..., 2:] / images.half_extent[:, None, None]
    return np.linalg.norm(projected - images.points, axis=-1).mean(1)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="hand_pose real-images", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--real", type=Path, required=True, help="folder of labels.npz and the tar files")
    parser.add_argument("--output", type=Path, required=True, help="folder that gets train/ and held_back/")
    parser.add_argument(
        "--weights", type=Path, help="weights of the network that lifts; default: the shipped"
    )
    parser.add_argument("--samples", type=int, default=SAMPLES, help="samples of each hand's pose")
    parser.add_argument("--seed", type=int, default=Seed.ARBITRARY.value)
    parser.add_argument("--exclude", action="append", default=[], help="source to leave out: owner/name")
    parser.add_argument(
        "--passes",
        type=int,
        default=1,
        help="label each hand anew by this many passes of MediaPipe's landmark network; 1: as stored",
    )
    add_part_argument(parser, "shards")
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        network = load_network(options.weights or shipped_weights(HAND_DIFFUSION), HAND_DIFFUSION).network
        counts = write_shards(
            options.real,
            options.output,
            network,
            options.samples,
            options.seed,
            options.exclude,
            options.part,
            _relabeller(options.passes),
        )
    except (ValueError, FileExistsError, ImportError) as error:
        parser.exit(2, f"hand_pose real-images: {error}\n")
    made = ", ".join(f"{count} in {part}" for part, count in counts.items())
    sys.stdout.write(f"{made}, in {time.monotonic() - start:.0f} s\n")
    return 0


def _relabeller(passes: int) -> Relabeller | None:
    """Open the landmark network if there is more than one pass."""
    if passes == 1:
        return None
    return Relabeller(LandmarkNetwork(open_tflite(read_networks().landmarks, threads=1)), passes)
