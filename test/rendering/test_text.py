"""Text on images: its letters and rim coincide, and it stays inside."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from hand_pose_ros.rendering.text import draw_text

GREY = 128


@pytest.mark.parametrize(("size", "thickness"), [(0.42, 1), (0.6, 1), (1.2, 2)])
def test_the_rim_surrounds_every_letter(size, thickness):
    on_black, on_grey = np.zeros((80, 640, 3), np.uint8), np.full((80, 640, 3), GREY, np.uint8)
    for canvas in (on_black, on_grey):
        draw_text(canvas, "left 0.93: no place fits", (10, 50), (255, 255, 255), size, thickness)
    shows_through = (on_grey.astype(float) - on_black).max(axis=2) / GREY
    letters = (on_black > 150).all(axis=2).astype(np.uint8)
    assert letters.any()
    near = cv2.dilate(letters, np.ones((3, 3), np.uint8)) == 1
    assert shows_through[near].max() < 0.5  # no letter stands on the bare image
    far = cv2.dilate(letters, np.ones((7, 7), np.uint8)) == 0
    assert (on_grey[far] == GREY).mean() > 0.999  # and no rim lies elsewhere


@pytest.mark.parametrize("at_px", [(-50, 10), (600, 10), (30, -9), (30, 900)])
def test_text_is_moved_into_the_image(at_px):
    inside = np.zeros((80, 640, 3), np.uint8)
    draw_text(inside, "left hand", (100, 40), (0, 255, 255), 0.6)
    moved = np.zeros_like(inside)
    draw_text(moved, "left hand", at_px, (0, 255, 255), 0.6)
    assert moved.sum() == inside.sum()


def test_text_larger_than_the_image_is_cut():
    canvas = np.zeros((6, 20, 3), np.uint8)
    draw_text(canvas, "left hand", (2, 4), (0, 255, 255), 0.6)
    assert canvas.any()
