"""Runs a detector on hand images and caches its keypoints in a file."""

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
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.detection.relative_depth import relative_depth
from hand_pose_ros.files.atomic_file import atomic_path
from hand_pose_ros.files.safe_arrays import read_arrays
from hand_pose_ros.hand_images.shards import HandImages, pixels_to_view, view_to_pixels

ZOOM: Final = 2
"""Factor by which images are enlarged for the detector: MediaPipe then finds more hands."""
_VERSION = 1  # of the files
_BLACK = np.ones((5, 5), np.uint8)  # black areas at least this wide are outside of the original image

_log = logging.getLogger(__name__)


class ImageDetections(NamedTuple):
    """Detections in n hand images; NaN if the hand is not found.

    points: (n, 21, 2) in the stored view, half extents. depth: (n, 21) relative to the wrist, anchor lengths.
    landmarks_m: (n, 21, 3) the detector's own 3D. inside: (n, 21) bool, within the original image.
    side: (n,) bool, detected as a right hand.
    """

    points: np.ndarray
    depth: np.ndarray
    landmarks_m: np.ndarray
    inside: np.ndarray
    side: np.ndarray

    @property
    def found(self) -> np.ndarray:
        """Whether each hand is found (n,) bool."""
        return np.isfinite(self.points).all((1, 2))

    def rows(self, index: np.ndarray) -> ImageDetections:
        """Return the detections of some of the images."""
        return named_tensors.rows(self, index)


def detect_in_images(images: HandImages, detector: HandDetector, zoom: int = ZOOM) -> ImageDetections:
    """Detect the hand of each image: of several, the one nearest to the labels, if it lies on the labelled hand.

    The detector is reset before each image. A hand detected as a left one counts as found: a tracker knows the
    side, and the landmarks do not depend on it.
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
    """Open MediaPipe's networks for single images.

    Raises:
        ImportError: the networks are not stored on this machine.
    """
    from hand_pose_ros.detection.mediapipe.detector import MediaPipeConfig, MediaPipeDetector

    return MediaPipeDetector(MediaPipeConfig(min_detection_confidence=0.3))


def cached_detections(
    images: HandImages, detector: Callable[[], HandDetector], cache: Path | None, name: str
) -> ImageDetections:
    """Detect as :func:`detect_in_images`, or read the result for the same images from the folder ``cache``.

    Args:
        detector: makes the detector when needed. name: start of the file's name; a hash of the images follows.
    """
    digest = hashlib.sha256(f"{_VERSION} {ZOOM}".encode())
    for field in (images.image, images.points):
        digest.update(np.ascontiguousarray(field).data)
    path = cache / f"{name}-{digest.hexdigest()[:16]}.npz" if cache is not None else None
    if path is not None and path.is_file():
        return ImageDetections(**read_arrays(path))
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
    """Return whether points lie in the image and not in the black outside of the original image (21,)."""
    size = image.shape[0]
    black = cv2.inRange(image, (0, 0, 0), (0, 0, 0))  # pyright: ignore[reportCallIssue, reportArgumentType]
    black = cv2.dilate(cv2.erode(black, _BLACK), _BLACK)
    pixels = view_to_pixels(points, size)
    within = ((pixels > -0.5) & (pixels < size - 0.5)).all(-1)
    x, y = pixels.round().astype(int).clip(0, size - 1).T
    return within & (black[y, x] == 0)
