"""Writes the hands of a public data set as shards of hand images, in random order."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from hand_pose_ros.common.parts import Part
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.datasets.labelled_set import LabelledSet
from hand_pose_ros.datasets.registry import SETS
from hand_pose_ros.datasets.storage.files import MalformedFileError
from hand_pose_ros.hand_images.labelled.convert import IN_3D, convert
from hand_pose_ros.hand_images.shards import is_shard, save_shard, shard_info

SHARD: Final = 1024
"""Hands in a shard, before some are left out."""
FIRST_SOURCE: Final = 1000
"""Number, in the field ``source``, of the first set of ``SETS``; the others follow."""


def write_shards(
    hands: LabelledSet[Any],
    output: Path,
    seed: int = Seed.ARBITRARY,
    labels: str = IN_3D,
    part: Part | None = None,
    keep: bool = False,
) -> tuple[int, Counter[str]]:
    """Convert a set to shards in random order, or a part of these shards; returns the number of hands, and how
    often which reason left one out.

    Args:
        labels: one of :data:`~hand_pose_ros.hand_images.labelled.convert.LABELS`. keep: count the shards that
            exist already instead of refusing them; why their hands were left out is not known any more.

    Raises:
        MalformedFileError: a file is missing or malformed, and that is fatal.
        FileExistsError: a shard exists already, and is not kept.
    """
    order = np.random.default_rng(seed).permutation(len(hands))
    made, reasons = 0, Counter[str]()
    source = FIRST_SOURCE + list(SETS).index(hands.name)
    numbers = (part or Part()).of(range(-(-len(order) // SHARD)))
    for number in tqdm(numbers, desc=f"converting {hands.title}", unit="shard", disable=None):
        folder = output / f"{hands.name}_{number:04d}"
        if is_shard(folder):
            if not keep:
                raise FileExistsError(
                    f"{folder} is a complete shard already: give another --output, or remove it"
                )
            made += shard_info(folder)["count"]
            continue
        start, chosen = number * SHARD, []
        for row in np.sort(order[start : start + SHARD]).tolist():
            try:
                one = hands[row]
                one.image()
                chosen.append(one)
            except MalformedFileError as error:
                if not hands.tolerant:
                    raise
                reasons[f"malformed: {error.path.name}"] += 1
        converted = convert(chosen, source, labels)
        reasons.update(converted.reasons)
        made += converted.images.count
        if converted.images.count:
            settings = {
                "made_by": "hand_pose dataset convert",
                "set": hands.name,
                "options": hands.options.flat(),
                "labels": labels,
            }
            save_shard(folder, converted.images, seed, settings)
    return made, reasons
