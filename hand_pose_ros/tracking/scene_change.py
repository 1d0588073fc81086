"""The module notices what changes in the image besides the hands that are tracked: perhaps a hand that returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.tracking.observation import Observation

_CELLS: Final = 48  # of the thumbnail's larger side
_SAMPLES: Final = 4  # pixels along a cell's side that are averaged
_MEDIAN_OF: Final = 4  # every so many cells count for the median
_DIFFERENCE: Final = 10.0  # grey levels of a cell, in its colour that changes most
_LEAST_AREA: Final = 0.12  # of the tracked hand's box that must change: a hand may return farther away
_FEWEST_CELLS: Final = 5
_AROUND: Final = 0.25  # sizes of a tracked hand's box by which it is widened
_FOREARM: Final = 0.55  # widths of that box, of the forearm


class SceneChange:
    """Compares images with that of the last search, on thumbnails, outside the tracked hands and their forearms.

    The median difference is taken off, so that a change of exposure does not count.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the image of the last search."""
        self._searched: np.ndarray | None = None
        self._searched_hands: np.ndarray | None = None

    def changed(self, image_bgr: np.ndarray, hands: Sequence[Observation]) -> bool:
        """Whether as much as a hand's palm has changed since the last search; True before the first.

        Args:
            image_bgr: (H, W, 3) uint8. hands: the tracked hands that it shows; at least one.
        """
        cells = _thumbnail(image_bgr)
        if self._searched is None or self._searched.shape != cells.shape:
            return True
        assert self._searched_hands is not None
        covered = self._searched_hands | _covered(cells.shape[:2], image_bgr.shape[:2], hands)
        difference = (cells - self._searched)[~covered]
        if not len(difference):
            return False
        difference -= np.median(difference[::_MEDIAN_OF], axis=0)
        differs = np.abs(difference).max(-1) > _DIFFERENCE
        scale = cells.shape[1] / image_bgr.shape[1]
        largest = max(float(np.prod(scale * (one.points_px[-1] - one.points_px[-2]))) for one in hands)
        return int(differs.sum()) >= max(_FEWEST_CELLS, _LEAST_AREA * largest)

    def searched(self, image_bgr: np.ndarray, hands: Sequence[Observation]) -> None:
        """Note that an image was searched, in which these hands are known now."""
        self._searched = _thumbnail(image_bgr)
        self._searched_hands = _covered(self._searched.shape[:2], image_bgr.shape[:2], hands)


def _thumbnail(image_bgr: np.ndarray) -> np.ndarray:
    """Mean colours (h, w, 3) float32 of the cells."""
    height, width = image_bgr.shape[:2]
    scale = _CELLS / max(height, width)
    columns, rows = max(1, round(scale * width)), max(1, round(scale * height))
    samples = (_SAMPLES * columns, _SAMPLES * rows)
    thinned = cv2.resize(image_bgr, samples, interpolation=cv2.INTER_NEAREST)
    return cv2.resize(thinned, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32)


def _covered(cells: Sequence[int], pixels: Sequence[int], hands: Sequence[Observation]) -> np.ndarray:
    """The cells (h, w) bool that tracked hands and their forearms may cover."""
    covered = np.zeros(cells, np.uint8)
    scale = cells[1] / pixels[1]
    for one in hands:
        low, high = scale * one.points_px[-2], scale * one.points_px[-1]
        side = float((high - low).max())
        low, high = low - _AROUND * side, high + _AROUND * side
        cv2.rectangle(covered, _pixel(low), _pixel(high), (1,), cv2.FILLED)
        joints = scale * one.points_px[: hand.NUM_JOINTS]
        wrist, knuckles = joints[hand.WRIST], joints[list(hand.KNUCKLES)].mean(0)
        if np.isfinite(wrist).all() and np.isfinite(knuckles).all():
            away = wrist - knuckles
            elbow = wrist + away / max(float(np.hypot(*away)), 1e-6) * float(sum(cells))
            cv2.line(covered, _pixel(wrist), _pixel(elbow), (1,), max(1, round(_FOREARM * side)))
    return covered > 0


def _pixel(point: np.ndarray) -> tuple[int, int]:
    x, y = np.clip(point.round(), -10_000, 10_000)
    return int(x), int(y)
