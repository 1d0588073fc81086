"""Draws docs/images/training_images.jpg: a sheet of rendered training images, some with their labels.

python docs/figures/training_images.py --output docs/images/training_images.jpg

The template alone is drawn, without rigged meshes and photos.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.hand_images.rendered.hands import render_hands
from hand_pose_ros.hand_images.rendered.scene import RenderSettings
from hand_pose_ros.hand_images.rendered.wardrobe import Wardrobe, hand_surfaces
from hand_pose_ros.hand_images.shards import view_to_pixels
from hand_pose_ros.rendering.background import BackgroundStock

_ROWS, _COLUMNS, _LABELLED = 5, 9, 9
_FINGER_BGR = ((60, 60, 230), (50, 160, 250), (60, 220, 230), (80, 200, 80), (230, 140, 60))
_ZOOM = 8  # of the whole picture while lines are drawn: their ends are then exact


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=2)
    options = parser.parse_args()
    generator = np.random.default_rng(options.seed)
    wardrobe = Wardrobe(hand_surfaces(None), generator)
    stock = BackgroundStock(generator, 60)
    images = render_hands(
        _ROWS * _COLUMNS, wardrobe, stock, RenderSettings(), np.random.SeedSequence(options.seed)
    )
    pictures = [image.copy() for image in images.image]
    for number in range(_LABELLED):
        pictures[number] = labelled(pictures[number], images.points[number], images.visible[number])
    rows = [np.hstack(pictures[row * _COLUMNS : (row + 1) * _COLUMNS]) for row in range(_ROWS)]
    cv2.imwrite(str(options.output), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 88])


def labelled(image: np.ndarray, points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """The image with its skeleton; hidden joints are black."""
    large = cv2.resize(image, None, fx=_ZOOM, fy=_ZOOM, interpolation=cv2.INTER_CUBIC)
    places = np.round((view_to_pixels(points) + 0.5) * _ZOOM - 0.5).astype(int)
    for parent, child in hand.BONES:
        colour = _FINGER_BGR[(child - 1) // 4]
        cv2.line(large, places[parent].tolist(), places[child].tolist(), colour, _ZOOM, cv2.LINE_AA)
    for place, seen in zip(places, visible, strict=True):
        cv2.circle(large, place.tolist(), 2 * _ZOOM, (255, 255, 255) if seen else (0, 0, 0), -1, cv2.LINE_AA)
    return cv2.resize(large, image.shape[1::-1], interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
