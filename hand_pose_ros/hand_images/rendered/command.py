"""Fills shards with rendered training images.

hand_pose render --output FOLDER

A worker makes a shard from the seed and the shard's number only, so the images do not depend on the number of
workers, nor on how the shards are split (``--part i/n``). Complete shards are kept, so an interrupted run
continues. Each worker holds one shard (160 MB with 2,048
images) and its stock of backgrounds and materials.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch

from hand_pose_ros.common.parts import Part, add_part_argument
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.hand_images.rendered.hands import render_hands
from hand_pose_ros.hand_images.rendered.scene import RenderSettings
from hand_pose_ros.hand_images.rendered.wardrobe import Wardrobe, hand_surfaces
from hand_pose_ros.hand_images.shards import is_shard, save_shard, shard_info
from hand_pose_ros.rendering.background import BackgroundStock, list_photos

logger = logging.getLogger(__name__)

SHARD_SIZE = 2048
_BACKGROUNDS = 96
# Streams of random numbers of one seed.
_WARDROBE, _BACKGROUND, _IMAGES = range(3)


@dataclass(frozen=True)
class ShardJob:
    """One shard to make: its folder, its number in the run, and its number of images."""

    folder: Path
    number: int
    count: int
    seed: int
    settings: RenderSettings


def shard_jobs(
    output: Path,
    count: int,
    seed: int,
    settings: RenderSettings,
    shard_size: int = SHARD_SIZE,
    part: Part | None = None,
) -> list[ShardJob]:
    """List the missing shards of ``count`` images, or of one part of these shards.

    Raises:
        ValueError: a number is not positive, or the folder holds a shard with other settings.
    """
    if count <= 0 or shard_size <= 0 or seed < 0:
        raise ValueError("count and shard_size must be positive, the seed not negative")
    jobs = []
    starts = range(0, count, shard_size)
    for number in (part or Part()).of(range(len(starts))):
        start = starts[number]
        job = ShardJob(output / f"shard-{number:05d}", number, min(shard_size, count - start), seed, settings)
        if not is_shard(job.folder):
            jobs.append(job)
            continue
        info = shard_info(job.folder)
        if (info["count"], info["seed"], info["settings"]) != (job.count, seed, asdict(settings)):
            raise ValueError(f"{job.folder} holds other images than these settings make; take another folder")
    return jobs


def make_shard(job: ShardJob) -> Path:
    """Render one shard and write it."""
    settings = job.settings
    photos = _photos(settings.photo_folder)
    backgrounds = BackgroundStock(
        np.random.default_rng([job.seed, _BACKGROUND, job.number]), _BACKGROUNDS, photos
    )
    wardrobe = _wardrobe(job.seed, settings.rigged_folder)
    seed = np.random.SeedSequence([job.seed, _IMAGES, job.number])
    images = render_hands(job.count, wardrobe, backgrounds, settings, seed)
    save_shard(job.folder, images, job.seed, asdict(settings))
    return job.folder


@lru_cache(maxsize=1)
def _wardrobe(seed: int, rigged_folder: str | None) -> Wardrobe:
    surfaces = hand_surfaces(None if rigged_folder is None else Path(rigged_folder))
    return Wardrobe(surfaces, np.random.default_rng([seed, _WARDROBE]))


@lru_cache(maxsize=1)
def _photos(folder: str | None) -> tuple[Path, ...]:
    return () if folder is None else tuple(list_photos(folder))


def _start_worker() -> None:
    """Restrict a worker to one core."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def fill_shards(jobs: Sequence[ShardJob], workers: int) -> None:
    """Make all shards in worker processes. A failed job ends the run; complete shards stay."""
    context = multiprocessing.get_context("spawn")
    started = time.monotonic()
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        pending = [pool.submit(make_shard, job) for job in jobs]
        try:
            for done, future in enumerate(as_completed(pending), start=1):
                minutes = (time.monotonic() - started) / 60
                logger.info(
                    "%s is complete (%d of %d, %.1f min)", future.result().name, done, len(jobs), minutes
                )
        finally:
            for future in pending:
                future.cancel()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="hand_pose render", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=24000, help="number of images (default: %(default)s)")
    parser.add_argument("--output", type=Path, required=True, help="folder that gets the shards")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (default: %(default)s)")
    parser.add_argument(
        "--seed", type=int, default=Seed.TRAINING.value,
        help="another seed gives other hands, skins, materials and backgrounds (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--shard-size", type=int, default=SHARD_SIZE, help="images in each (default: %(default)s)"
    )
    add_part_argument(parser, "shards")
    parser.add_argument(
        "--rigged",
        metavar="FOLDER",
        dest="rigged_folder",
        help="folder of rigged glTF hands to draw beside the template",
    )
    parser.add_argument(
        "--backgrounds",
        metavar="FOLDER",
        dest="photo_folder",
        help="folder of photos to use beside made-up backgrounds",
    )
    defaults = RenderSettings()
    shares = [one.name for one in fields(RenderSettings) if isinstance(getattr(defaults, one.name), float)]
    for name in shares:
        option = f"--{name.replace('_', '-')}-share"
        parser.add_argument(
            option, type=float, dest=name, default=getattr(defaults, name), help="(default: %(default)s)"
        )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        rigged, photos = (
            None if folder is None else str(Path(folder).resolve(strict=True))
            for folder in (options.rigged_folder, options.photo_folder)
        )
        settings = RenderSettings(
            **{name: getattr(options, name) for name in shares}, rigged_folder=rigged, photo_folder=photos
        )
        if options.workers < 1:
            raise ValueError(f"--workers must be at least 1, got {options.workers}")
        jobs = shard_jobs(
            options.output, options.count, options.seed, settings, options.shard_size, options.part
        )
    except (OSError, ValueError) as error:
        parser.error(str(error))
    logger.info("%d shards to make in %s", len(jobs), options.output)
    fill_shards(jobs, options.workers)
