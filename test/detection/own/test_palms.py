"""The own palm finder: places in images of any size are exact, and palms have joints and a side."""

from __future__ import annotations

import numpy as np
import pytest

from hand_pose_ros.detection.finders import PALM_KEYPOINTS
from hand_pose_ros.detection.own.palms import HandPalms

SIDE = 192
CELLS = SIDE // 8


class OneHand:
    """A detector that sees one right hand at a place of its input, and keeps the input."""

    image_size = SIDE

    def __init__(self, row, column, offsets, size=4.0, score=2.0):
        self.maps = [
            np.full((2, CELLS, CELLS), -9.0), np.zeros((1, CELLS, CELLS)), np.zeros((42, CELLS, CELLS))
        ]  # fmt: skip
        self.maps[0][1, row, column] = score
        self.maps[1][0, row, column] = np.log(size)
        self.maps[2][:, row, column] = offsets.ravel()
        self.images = []

    def run(self, image_bgr):
        self.images.append(image_bgr)
        return self.maps


@pytest.mark.parametrize("size", [(640, 480), (192, 192), (100, 300), (1920, 1080)])
def test_places_are_those_of_the_image(size):
    offsets = np.random.default_rng(1).uniform(-0.5, 0.5, (21, 2))
    offsets /= np.ptp(offsets, axis=0).max()
    network = OneHand(11, 14, offsets)
    image = np.zeros((size[1], size[0], 3), np.uint8)
    (palm,) = HandPalms(network, 0.3).find(image)
    assert network.images[0].shape == (SIDE, SIDE, 3)
    # A dot drawn at a joint's place appears where the network said that it saw the joint.
    in_input = (np.array((14.5, 11.5)) + 4 * offsets) * 8
    scale = SIDE / max(size)
    expected = (in_input - SIDE / 2) / scale + np.array(size) / 2 - 0.5
    np.testing.assert_allclose(palm.joints_px, expected, atol=1.2 / scale)
    np.testing.assert_allclose(palm.keypoints_px, palm.joints_px[list(PALM_KEYPOINTS)])
    low, high = palm.keypoints_px.min(0), palm.keypoints_px.max(0)
    assert (palm.box_px[:2] <= low).all()
    assert (palm.box_px[2:] >= high).all()
    assert palm.right > 0.9
    assert palm.score == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-3)


def test_a_low_score_is_no_palm():
    network = OneHand(5, 5, np.zeros((21, 2)), score=-1.5)
    image = np.zeros((90, 90, 3), np.uint8)
    assert HandPalms(network, 0.3).find(image) == []
    assert len(HandPalms(network, 0.1).find(image)) == 1
