"""Labels by several passes: mirrored crops are mirrored back, and disagreement lowers the weight."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.real_hands import CROP_PX, write_real_hands

from hand_pose_ros.detection.mediapipe.landmarks import CropLandmarks
from hand_pose_ros.hand_images.real.labels import read_labels
from hand_pose_ros.hand_images.real.several_passes import (
    MOST_PASSES,
    PassedHand,
    pass_over,
    pass_weight,
    with_several_passes,
)
from hand_pose_ros.hand_images.real.sources import SOURCES

XY = np.random.default_rng(3).uniform(50, 140, (21, 2))
WORLD = np.random.default_rng(4).normal(0, 0.05, (21, 3))


class Finder:
    """Finds ``XY`` in an image that is bright at its left, and its mirror image in one bright at its right.

    noise: standard deviation of the landmarks, pixels. wild: every so many passes one is far off; 0 for none.
    presence: of every pass.
    """

    def __init__(self, noise=0.0, wild=0, presence=1.0):
        self.noise, self.wild, self.presence = noise, wild, presence
        self.squares, self.flips = [], []
        self.generator = np.random.default_rng(5)

    def find(self, image_bgr, square):
        flip = image_bgr[:, : CROP_PX // 2].mean() < image_bgr[:, CROP_PX // 2 :].mean()
        points, world = XY.copy(), WORLD.copy()
        points += self.generator.normal(0, self.noise, points.shape) if self.noise else 0
        if self.wild and len(self.flips) % self.wild == 0:
            points += 60
        if flip:
            points[:, 0], world[:, 0] = CROP_PX - 1 - points[:, 0], -world[:, 0]
        self.squares.append(square)
        self.flips.append(flip)
        return CropLandmarks(points, world, self.presence, 1.0)


def crop():
    image = np.zeros((CROP_PX, CROP_PX, 3), np.uint8)
    image[:, : CROP_PX // 2] = 200
    return image


def passed(finder, passes=12):
    return pass_over(crop(), XY + 3, finder, passes, np.random.default_rng(0))


def test_mirrored_passes_agree_with_the_others():
    finder = Finder()
    found = passed(finder)
    assert finder.flips == [False, True] * 6
    np.testing.assert_allclose(found.xy, XY, atol=1e-9)
    np.testing.assert_allclose(found.world, WORLD, atol=1e-9)
    assert found.seen == 1
    assert found.spread == pytest.approx(0, abs=1e-9)
    assert pass_weight(found) == pytest.approx(1)
    centres = np.array([square.centre_px for square in finder.squares[::2]])
    assert centres.std(0).min() > 1
    assert np.std([square.side_px for square in finder.squares]) > 1
    assert np.std([square.angle_rad for square in finder.squares[::2]]) > 0.05


def test_single_wild_passes_change_little():
    found = passed(Finder(wild=5))
    np.testing.assert_allclose(found.xy, XY, atol=1e-9)
    assert np.abs(passed(Finder(noise=2.0), 32).xy - XY).mean() < 0.6  # one pass: 1.6


def test_disagreement_lowers_the_weight():
    weights = [pass_weight(passed(Finder(noise=noise))) for noise in (0.0, 1.0, 3.0, 9.0)]
    assert weights == sorted(weights, reverse=True)
    assert weights[1] > 0.7
    assert weights[-1] < 0.2


def test_hands_that_are_not_seen_have_no_weight():
    found = passed(Finder(presence=0.3))
    assert found.seen == 0
    assert np.isnan(found.xy).all()
    assert pass_weight(found) == 0
    assert pass_weight(PassedHand(XY, WORLD, 0.4, 0.0)) == 0


def test_a_table_gets_new_landmarks_and_weights(tmp_path):
    write_real_hands(tmp_path, [SOURCES[0].repository] * 2, ["Right", "Left"])
    labels = read_labels(tmp_path)
    again = with_several_passes(labels, tmp_path, Finder(noise=1.0), 4, 7)
    assert again.names.tolist() == labels.names.tolist()
    assert np.abs(again.xy - labels.xy).max() > 1
    assert (again.weight < labels.weight).all()
    unseen = with_several_passes(labels, tmp_path, Finder(presence=0.0), 4, 7)
    np.testing.assert_array_equal(unseen.xy, labels.xy)
    assert not unseen.weight.any()
    for passes in (1, MOST_PASSES + 1):
        with pytest.raises(ValueError, match="passes must lie in"):
            with_several_passes(labels, tmp_path, Finder(), passes, 7)
