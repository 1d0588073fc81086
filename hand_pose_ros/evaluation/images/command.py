"""The ``hand_pose evaluate-images`` command: it measures what images add to keypoints."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.evaluation import report
from hand_pose_ros.evaluation.images import report as image_report
from hand_pose_ros.evaluation.images.degradation import degradation_series
from hand_pose_ros.evaluation.images.estimates import (
    cut,
    estimate_from_images,
    in_stored_view,
    jittered_views,
)
from hand_pose_ros.evaluation.images.methods import (
    BOTH,
    IMAGE,
    KEYPOINTS,
    SECOND,
    SHIPPED,
    Networks,
    estimate_set,
    read_hands,
)
from hand_pose_ros.evaluation.images.photos import photo_tables
from hand_pose_ros.evaluation.images.scores import JointErrors, hand_means, joint_errors
from hand_pose_ros.evaluation.images.sheet import contact_sheet, spread_choice
from hand_pose_ros.hand_images.detections import ImageDetections, cached_detections, open_mediapipe
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.registry import (
    HAND_DIFFUSION,
    IMAGE_HAND_DIFFUSION,
    load_network,
    shipped_weights,
)

COMMAND = "hand_pose evaluate-images"
_SHEET, _OWN_SHEET, _SHEET_COLUMNS = 64, 24, 4
_TILE_PX, _OWN_TILE_PX = 200, 144

_log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    cv2.setNumThreads(1)
    try:
        text = _evaluate(options)
        if options.docs is not None:
            report.replace_between_markers(options.docs, text, COMMAND)
    except (ValueError, ImportError) as error:
        sys.stderr.write(f"{COMMAND}: {error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--weights", type=Path, required=True, help="weights of the network with an image encoder"
    )
    parser.add_argument(
        "--keypoint-weights", type=Path, help="weights of the network without; default: the shipped"
    )
    parser.add_argument("--rendered", type=Path, nargs="*", default=[], help="folders of unseen renders")
    parser.add_argument("--held-back", type=Path, nargs="*", default=[], help="folders of unseen real photos")
    parser.add_argument(
        "--photos", type=Path, nargs="*", default=[], help="labelled photos with a samples.json"
    )
    parser.add_argument("--every", type=int, default=1, help="take every n-th hand and photo")
    parser.add_argument("--degraded", type=int, default=400, help="renders to degrade; 0 for none")
    parser.add_argument("--samples", type=int, default=DiffusionEstimatorConfig.samples)
    parser.add_argument("--steps", type=int, default=DiffusionEstimatorConfig.steps)
    parser.add_argument("--output", type=Path, help="folder for the plot and the sheet of renders")
    parser.add_argument(
        "--sheet", type=Path, help="image file: held-back photos with estimates; not for the repository"
    )
    parser.add_argument("--cache", type=Path, help="folder to keep the detector's keypoints in")
    parser.add_argument("--docs", type=Path, help="document whose tables are replaced")
    return parser


def _evaluate(options: argparse.Namespace) -> str:
    """Measure, write the requested files, and return the tables."""
    networks = Networks(
        load_network(options.weights, IMAGE_HAND_DIFFUSION).network,
        load_network(options.keypoint_weights or shipped_weights(HAND_DIFFUSION), HAND_DIFFUSION).network,
        DiffusionEstimatorConfig(samples=options.samples, steps=options.steps),
    )
    texts = []
    for text in _sections(options, networks):
        sys.stdout.write(text + "\n\n")
        sys.stdout.flush()
        texts.append(text)
    return "\n\n".join(texts)


def _sections(options: argparse.Namespace, networks: Networks) -> Iterator[str]:
    detect = partial(_detect, options.cache)
    if options.rendered:
        rendered = read_hands(options.rendered, options.every)
        yield _rendered(rendered, networks, detect(rendered, "rendered"))
    if options.held_back:
        held_back = read_hands(options.held_back, options.every)
        yield _held_back(held_back, networks)
        if options.sheet is not None:
            _write_sheet(held_back, _SHEET, networks, options.sheet, _TILE_PX)
    if options.photos:
        detector = open_mediapipe()
        try:
            yield from photo_tables(options.photos, networks, detector, options.every)
        finally:
            detector.close()
    if options.rendered and options.degraded:
        some = rendered.rows(np.arange(min(options.degraded, rendered.count)))
        series = degradation_series(networks, some, detect)
        if options.output is not None:
            image_report.plot_degradation(series, options.output / "degradation.png")
        yield image_report.degradation_table(series)
    if options.rendered and options.output is not None:
        _write_sheet(rendered, _OWN_SHEET, networks, options.output / "image_features.jpg", _OWN_TILE_PX)


def _detect(cache: Path | None, images: HandImages, name: str) -> ImageDetections:
    return cached_detections(images, open_mediapipe, cache, name)


def _rendered(images: HandImages, networks: Networks, detections: ImageDetections) -> str:
    _log.info("%d renders", images.count)
    estimates = estimate_set(networks, images, detections)
    errors = {name: joint_errors(one, images) for name, one in estimates.items()}
    found, visible = detections.found, np.asarray(images.visible)
    wrong_side = int((found & ~detections.side).sum())
    parts = {
        f"Unseen renders: the {found.sum()} of {images.count} hands that MediaPipe finds "
        f"({wrong_side} with the wrong side)": (found, tuple(errors)),
        f"Unseen renders: the {(~found).sum()} that it does not find": (~found, (IMAGE, SECOND)),
        f"Unseen renders: all {images.count}": (np.ones_like(found), (IMAGE, SECOND, BOTH)),
    }
    return "\n\n".join(
        image_report.rendered_table(
            title, {name: errors[name].rows(rows) for name in names if name in errors}, visible[rows]
        )
        for title, (rows, names) in parts.items()
        if rows.any()
    )


def _held_back(images: HandImages, networks: Networks) -> str:
    """Compare with MediaPipe's landmarks: they are the labels of these photos, and the detections."""
    _log.info("%d held-back photos", images.count)
    detections = ImageDetections(
        points=images.points.astype(np.float64),
        depth=images.depth.astype(np.float64),
        landmarks_m=np.full(images.joints.shape, np.nan),
        inside=np.asarray(images.inside),
        side=np.ones(images.count, bool),
    )
    methods = (IMAGE, SECOND, KEYPOINTS, BOTH, SHIPPED)
    estimates = estimate_set(networks, images, detections, methods)
    errors = {name: joint_errors(one, images) for name, one in estimates.items()}
    title = f"Real photos of unseen sources: {images.count}, against MediaPipe's landmarks"
    table = image_report.real_table(title, errors)
    return f"{table}\n\n{image_report.source_table(errors[IMAGE], images, IMAGE)}"


def _write_sheet(images: HandImages, count: int, networks: Networks, path: Path, tile_px: int) -> None:
    some = images.rows(spread_choice(images, count, Seed.EXAMPLE_SHEET))
    estimates = estimate_from_images(
        networks.image, some, jittered_views(some, Seed.EXAMPLE_SHEET), networks.config
    )
    errors: JointErrors = joint_errors(in_stored_view(some, estimates), some)
    captions = [f"{value:.1f} px" for value in hand_means(errors.projected_px)]
    crops = cut(some, estimates.change, networks.image.crops)
    margin = networks.image.crops.margin
    sheet = contact_sheet(crops, estimates, margin, _SHEET_COLUMNS, tile_px, captions)
    report.save_picture(sheet, path)
