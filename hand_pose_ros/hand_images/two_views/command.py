"""The ``hand_pose two-views`` command: it labels the hand in two synchronised, calibrated videos.

A detector finds the hand in both views of each frame. Its landmarks are triangulated, so the labels have the true
depth and tilt, which no single view shows. The result is a folder of photos with a ``samples.json``, which
``hand_pose evaluate`` measures on and ``hand_pose dataset convert samples`` turns into training images. Lens
distortion is removed from the photos. Metres follow from the mean lengths of adults' bones: the size is a guess.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.warp import sample, undistortion_map
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.files.atomic_file import atomic_path, write_text_atomically
from hand_pose_ros.hand_images.detections import open_mediapipe
from hand_pose_ros.hand_images.two_views.rig import RigCamera, read_rig
from hand_pose_ros.hand_images.two_views.triangulation import (
    consistent_joints,
    metric_scale,
    misfit,
    triangulate,
)
from hand_pose_ros.pose import Detection
from hand_pose_ros.video.sources import SourceError
from hand_pose_ros.video.video_file import VideoFileSource

COMMAND: Final = "hand_pose two-views"
_MIN_JOINTS: Final = 15
_MOST_FRAMES: Final = 100_000
_JPEG_QUALITY: Final = 95
_SUBJECT: Final = "the one person of the videos"

_log = logging.getLogger(__name__)


class SeenTwice(NamedTuple):
    """A hand that both views of a frame show.

    frame: number. images: undistorted, one per view. side: 'left' or 'right'.
    points: (2, 21, 2) normalised landmarks.
    """

    frame: int
    images: tuple[np.ndarray, np.ndarray]
    side: str
    points: np.ndarray


def see_twice(
    rig: tuple[RigCamera, RigCamera], detector: HandDetector, first: int = 0, last: int = _MOST_FRAMES
) -> list[SeenTwice]:
    """Detect the hand in the frames ``first`` to ``last`` that show it in both views.

    Raises:
        SourceError: a video cannot be read. ValueError: it has another size than its calibration.
    """
    sources = [VideoFileSource(one.video) for one in rig]
    maps = [undistortion_map(one.camera) for one in rig]
    found: list[SeenTwice] = []
    try:
        for number in range(last + 1):
            frames = [source.read() for source in sources]
            if any(one is None for one in frames):
                break
            if number < first:
                continue
            images = [
                sample(one.image, map_) for one, map_ in zip(frames, maps, strict=True) if one is not None
            ]
            if any(
                image.shape[:2] != (c.camera.height, c.camera.width)
                for image, c in zip(images, rig, strict=True)
            ):
                raise ValueError("a video has another size than its calibration")
            pair = _best_pair(rig, [detector.detect(image) for image in images])
            if pair is not None:
                found.append(SeenTwice(number, (images[0], images[1]), *pair))
    finally:
        for source in sources:
            source.close()
    return found


def label(rig: tuple[RigCamera, RigCamera], seen: Sequence[SeenTwice]) -> list[dict[str, Any]]:
    """Triangulate the hands; returns the sample of each view, without its image, for each hand that is known.

    A hand is known if both views agree on its wrist and on at least 15 joints.

    Raises:
        ValueError: no hand is known.
    """
    views = rig[0].view, rig[1].view
    points = np.stack([one.points for one in seen]) if seen else np.zeros((0, 2, hand.NUM_JOINTS, 2))
    both = points[:, 0], points[:, 1]
    joints = consistent_joints(triangulate(*both, views), both, views)
    scale = metric_scale(joints)
    samples = []
    for one, of_frame in zip(seen, joints, strict=True):
        known = np.isfinite(of_frame).all(-1)
        if known.sum() < _MIN_JOINTS or not known[hand.WRIST]:
            continue
        for number, member in enumerate(rig):
            camera = member.camera.without_distortion()
            in_camera = scale * (of_frame @ member.view.rotation.T + member.view.translation)
            samples.append(
                {
                    "image": f"view{number}/{one.frame:06d}.jpg",
                    "camera": f"view{number}",
                    "frame": one.frame,
                    "subject": _SUBJECT,
                    "width": camera.width,
                    "height": camera.height,
                    "hand": one.side,
                    "K": camera.K.tolist(),
                    "xyz_m": _listed(in_camera),
                    "uv": _listed(camera.project(torch.from_numpy(in_camera)).numpy()),
                }
            )
    return samples


def write_folder(output: Path, seen: Sequence[SeenTwice], samples: Sequence[dict[str, Any]]) -> None:
    """Write the photos of the samples and ``samples.json``."""
    images = {(f"view{view}", one.frame): one.images[view] for one in seen for view in range(2)}
    for one in samples:
        image = images[one["camera"], one["frame"]]
        encoded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))[1]
        path = output / one["image"]
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as unfinished:
            unfinished.write_bytes(encoded.tobytes())
    write_text_atomically(output / "samples.json", json.dumps({"samples": list(samples)}) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").split("\n")[0])
    parser.add_argument("rig", type=Path, help="YAML file: both videos and the calibration of their cameras")
    parser.add_argument("--first", type=int, default=0, help="first frame")
    parser.add_argument("--last", type=int, default=_MOST_FRAMES, help="last frame")
    parser.add_argument("--output", type=Path, required=True, help="folder that gets the labelled photos")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        rig = read_rig(options.rig)
        detector = open_mediapipe()
        try:
            seen = see_twice(rig, detector, options.first, options.last)
        finally:
            detector.close()
        samples = label(rig, seen)
        write_folder(options.output, seen, samples)
    except (ValueError, ImportError, OSError, SourceError) as error:
        sys.stderr.write(f"{COMMAND}: {error}\n")
        return 2
    _log.info(
        "%d frames show the hand in both views; %d are labelled: %s",
        len(seen), len(samples) // 2, options.output,
    )  # fmt: skip
    return 0


def _best_pair(
    rig: tuple[RigCamera, RigCamera], found: Sequence[Sequence[Detection]]
) -> tuple[str, np.ndarray] | None:
    """Return side and landmarks (2, 21, 2) of the detections of one side that agree best; None without any."""
    views = rig[0].view, rig[1].view
    best, pair = np.inf, None
    for chosen in product(*found):
        if chosen[0].side != chosen[1].side or any(one.landmarks_px is None for one in chosen):
            continue
        points = np.stack(
            [
                one.camera.without_distortion().normalise(torch.from_numpy(np.array(of.landmarks_px))).numpy()
                for one, of in zip(rig, chosen, strict=True)
            ]
        )
        joints = triangulate(points[0], points[1], views)
        errors = [misfit(joints, one, view) for one, view in zip(points, views, strict=True)]
        if np.isfinite(errors).sum() == 0:
            continue
        error = float(np.nanmedian(errors))
        if error < best:
            best, pair = error, (chosen[0].side, points)
    return pair


def _listed(points: np.ndarray) -> list[list[float] | None]:
    """Return the rows of points as lists; None for a row that is not known."""
    return [row.round(6).tolist() if np.isfinite(row).all() else None for row in points]
