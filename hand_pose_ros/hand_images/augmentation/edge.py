"""Continues hand images beyond the edge of the original image, as crops are at run time."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

_BLACK_EDGE: Final = np.ones((3, 3), np.uint8)


def continued(image: np.ndarray) -> np.ndarray:
    """Replace the black outside of the original image by the nearest pixel inside of it."""
    black = cv2.inRange(image, (0, 0, 0), (0, 0, 0))  # pyright: ignore[reportCallIssue, reportArgumentType]
    black = cv2.erode(black, _BLACK_EDGE)
    if not black.any() or black.all():
        return image
    black = cv2.dilate(black, _BLACK_EDGE, iterations=2)
    _, nearest = cv2.distanceTransformWithLabels(black, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    inside = np.flatnonzero(black.ravel() == 0)
    if not len(inside):
        return image
    labels = np.asarray(nearest, np.int64).ravel()
    of_label = np.zeros(labels.max() + 1, np.int64)
    of_label[labels[inside]] = inside
    return image.reshape(-1, 3)[of_label[labels]].reshape(image.shape)
