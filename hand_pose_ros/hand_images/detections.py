"""A detector's keypoints on stored images of hands, kept in a file, because they are needed again and again."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from tqdm import tqdm

from hand_pose_ros import hand
from hand_pose_ros.common import named_tensors
from hand_pose_ros.common.atomic_file import atomic_path
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.detection.relative_depth import relative_depth
from hand_pose_ros.hand_images.shards import HandImages, pixels_to_view, view_to_pixels

ZOOM: Final = 2
"""How much larger than stored a detector sees the images: MediaPipe then finds more of the hands."""
_VERSION = 1  # of the files
_BLACK = np.ones((5, 5), np.uint8)  # what is this wide and black is outside of the original picture

_log = logging.getLogger(__name__)


class ImageDetections(NamedTuple):
    """What a detector makes of n stored images; NaN where it does not find the hand.

    points: (n, 21, 2) in the stored view, half extents. depth: (n, 21) relative to the wrist, anchor lengths.
    landmarks_m: (n, 21, 3) the detector's own 3D. inside: (n, 21) bool, where the image shows something.
    side: (n,) whether it calls the hand a right one.
    """

    points: np.ndarray
    depth: np.ndarray
    landmarks_m: np.ndarray
    inside: np.ndarray
    side: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """(n,) bool."""
        return np.isfinite(self.points).all((1, 2))

    def rows(self, index: np.ndarray) -> ImageDetections:
        """Of some of the images."""
        return named_tensors.rows(self, index)


def detect_in_images(images: HandImages, detector: HandDetector, zoom: int = ZOOM) -> ImageDetections:
    """Search each image anew; of several hands take the one nearest to the labels, if it is on the labelled one.

    A hand that is called a left one counts as found: who follows a hand knows its side, and the landmarks do
    not depend on it.
    """
    unknown = np.full((images.count, hand.NUM_JOINTS, 3), np.nan)
    points, landmarks = unknown[..., :2].copy(), unknown.copy()
    inside, side = np.zeros(unknown.shape[:2], bool), np.zeros(images.count, bool)
    for row in tqdm(range(images.count), unit="image", disable=None):
        image, labels = images.image[row], images.points[row].astype(np.float64)
        detector.reset()
        larger = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
        best = np.nanmax(np.ptp(labels, axis=0)) / 2
        for one in detector.detect(larger):
            assert one.landmarks_px is not None, "the detector must find landmarks"
            found = pixels_to_view((one.landmarks_px + 0.5) / zoom - 0.5, image.shape[0])
            error = np.nanmean(np.linalg.norm(found - labels, axis=-1))
            if error < best:
                best, points[row], side[row] = error, found, one.side == "right"
                landmarks[row] = unknown[row] if one.landmarks_m is None else one.landmarks_m
        if np.isfinite(points[row]).all():
            inside[row] = _shown(image, points[row])
    depth = relative_depth(torch.from_numpy(landmarks)).numpy()
    return ImageDetections(points, depth, landmarks, inside, side)


def open_mediapipe() -> HandDetector:
    """MediaPipe for single images, as it searches labelled photos.

    Raises:
        ImportError: it is not installed, or has no model of its own.
    """
    from hand_pose_ros.detection.mediapipe.detector import MediaPipeConfig, MediaPipeDetector

    return MediaPipeDetector(MediaPipeConfig(tracking=False, min_detection_confidence=0.3))


def cached_detections(
    images: HandImages, detector: Callable[[], HandDetector], cache: Path | None, name: str
) -> ImageDetections:
    """As :func:`detect_in_images`, from a file in the folder ``cache`` if the same images were searched before.

    Args:
        detector: makes the detector if it is needed. name: of the file, beside what tells images apart.
    """
    digest = hashlib.sha256(f"{_VERSION} {ZOOM}".encode())
    for field in (images.image, images.points):
        digest.update(np.ascontiguousarray(field).data)
    path = cache / f"{name}-{digest.hexdigest()[:16]}.npz" if cache is not None else None
    if path is not None and path.is_file():
        with np.load(path) as stored:
            return ImageDetections(**stored)
    _log.info("detector on %d images: %s", images.count, name)
    one = detector()
    try:
        found = detect_in_images(images, one)
    finally:
        if hasattr(one, "close"):
            one.close()
    if path is not None:
        with atomic_path(path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, **found._asdict())
    return found


def _shown(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """(21,) whether points lie in the image, and not in the black that is outside of the original picture."""
    size = image.shape[0]
    black = cv2.inRange(image, (0, 0, 0), (0, 0, 0))  # pyright: ignore[reportCallIssue, reportArgumentType]
    black = cv2.dilate(cv2.erode(black, _BLACK), _BLACK)
    pixels = view_to_pixels(points, size)
    within = ((pixels > -0.5) & (pixels < size - 0.5)).all(-1)
    x, y = pixels.round().astype(int).clip(0, size - 1).T
    return within & (black[y, x] == 0)
