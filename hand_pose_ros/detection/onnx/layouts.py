"""The module reads the output of detection networks, in several layouts, into :class:`Candidates`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from hand_pose_ros import hand


@dataclass(frozen=True)
class Candidates:
    """Detections of a network in coordinates of its input.

    boxes: (N, 4) x0, y0, x1, y1. scores: (N,). classes: (N,) whole numbers. landmarks: (N, 21, k), k as in
    the model; None if it has none.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    landmarks: np.ndarray | None

    def take(self, chosen: np.ndarray) -> Candidates:
        """The candidates with these indices, or those where a mask is True."""
        landmarks = None if self.landmarks is None else self.landmarks[chosen]
        return Candidates(self.boxes[chosen], self.scores[chosen], self.classes[chosen], landmarks)


def read_yolo(output: np.ndarray, num_classes: int, landmark_values: int) -> Candidates:
    """(1, 4 + classes + 21 k, N), YOLOv8 and v11: a column is a box's centre and size, class scores, landmarks."""
    rows = _rows(output, 4 + num_classes + hand.NUM_JOINTS * landmark_values, axis=1)
    centres, sizes = rows[:, :2], rows[:, 2:4]
    class_scores = rows[:, 4 : 4 + num_classes]
    return Candidates(
        boxes=np.concatenate((centres - sizes / 2, centres + sizes / 2), axis=1),
        scores=class_scores.max(axis=1),
        classes=class_scores.argmax(axis=1),
        landmarks=_landmarks(rows[:, 4 + num_classes :], landmark_values),
    )


def read_end_to_end(output: np.ndarray, num_classes: int, landmark_values: int) -> Candidates:
    """(1, N, 6 + 21 k), suppression in the network: a row is a box's corners, score, class, landmarks."""
    rows = _rows(output, 6 + hand.NUM_JOINTS * landmark_values, axis=2)
    rows = rows[np.isfinite(rows[:, 5])]
    classes = np.rint(rows[:, 5]).astype(int)
    real = rows[:, 4] > 0  # the rest fills the fixed number of rows
    if ((classes < 0) | (classes >= num_classes))[real].any():
        raise ValueError(
            f"the model reports class {classes[real].max()}, class_sides names only {num_classes} classes"
        )
    return Candidates(rows[:, :4], rows[:, 4], classes, _landmarks(rows[:, 6:], landmark_values)).take(real)


LAYOUTS: Final[dict[str, Callable[[np.ndarray, int, int], Candidates]]] = {
    "yolo": read_yolo,
    "end_to_end": read_end_to_end,
}
"""Reader of each layout: (output, number of classes, values per landmark) -> candidates."""


def _rows(output: np.ndarray, length: int, axis: int) -> np.ndarray:
    if output.ndim != 3 or output.shape[0] != 1 or output.shape[axis] != length:
        expected = f"(1, {length}, N)" if axis == 1 else f"(1, N, {length})"
        raise ValueError(f"the model's output must have shape {expected}, got {output.shape}")
    return output[0].T if axis == 1 else output[0]


def _landmarks(values: np.ndarray, landmark_values: int) -> np.ndarray | None:
    if not landmark_values:
        return None
    return values.reshape(len(values), hand.NUM_JOINTS, landmark_values)
