"""Scores of detectors: hits, misses, sides and false alarms are counted; images keep their labels."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.finders import PALM_KEYPOINTS, Palm
from hand_pose_ros.evaluation.detection.images import SceneImage, images_without_hands, labelled_photos
from hand_pose_ros.evaluation.detection.scores import score
from hand_pose_ros.pose import Detection

POINTS = np.random.default_rng(3).uniform(40, 90, (21, 2))
IMAGE = np.zeros((120, 160, 3), np.uint8)


class Answers:
    """A detector that answers with given hands, and with palms at these."""

    def __init__(self, *hands):
        self.hands = hands
        self.resets = 0

    @property
    def palms(self):
        return self

    def find(self, image_bgr):
        del image_bgr
        return [
            Palm(one.box_px, one.landmarks_px[list(PALM_KEYPOINTS)], one.score)
            for one in self.hands
        ]  # fmt: skip

    def detect(self, image_bgr):
        del image_bgr
        return list(self.hands)

    def reset(self):
        self.resets += 1

    def close(self):
        """Nothing to free."""


def detection(shift=0.0, side="right"):
    points = POINTS + shift
    return Detection(side, 0.9, box_around(points, 0.1), points)


@pytest.mark.parametrize(
    ("hands", "expected"),
    [
        ((detection(),), (1, 0, 1, 1, 0)),
        ((detection(side="left"),), (1, 0, 1, 0, 0)),
        ((detection(shift=3.0), detection(shift=300.0)), (1, 1, 1, 1, 1)),
        ((detection(shift=300.0),), (0, 1, 0, 0, 1)),
        ((), (0, 0, 0, 0, 0)),
    ],
)
def test_hands_are_counted(hands, expected):
    detector = Answers(*hands)
    counts = score({"it": detector}, [SceneImage(IMAGE, POINTS, "right")])["it"]
    assert (counts.palms, counts.false_palms, counts.found, counts.side, counts.false) == expected
    assert (counts.images, counts.hands, detector.resets) == (1, 1, 1)
    if counts.found:
        extent = np.ptp(POINTS, axis=0).max()
        shift = abs(hands[0].landmarks_px[0, 0] - POINTS[0, 0])
        assert counts.errors == [pytest.approx(np.hypot(shift, shift) / extent)]


def test_all_hands_are_false_where_there_is_none():
    counts = score(
        {"it": Answers(detection(), detection(shift=30.0))}, [SceneImage(IMAGE), SceneImage(IMAGE)]
    )["it"]
    assert (counts.images, counts.hands, counts.false, counts.false_palms) == (2, 0, 4, 4)
    assert counts.row() == ["-", "2.000", "-", "-", "2.000", "-"]


def test_unlabelled_joints_do_not_matter():
    points = POINTS.copy()
    points[5:9] = np.nan
    counts = score({"it": Answers(detection())}, [SceneImage(IMAGE, points, "right")])["it"]
    assert (counts.palms, counts.found, counts.errors) == (1, 1, [0.0])


def test_photos_keep_their_labels_when_they_shrink(tmp_path):
    image = np.zeros((120, 160, 3), np.uint8)
    points = np.stack((np.linspace(20, 140, 21), np.linspace(100, 15, 21)), axis=1).round()
    for x, y in points.astype(int):
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
    cv2.imwrite(str(tmp_path / "one.png"), image)
    sample = {
        "image": "one.png", "width": 160, "height": 120, "hand": "left", "K": None, "uv": points.tolist(),
        "xyz_m": [[None] * 3] * 21,
    }  # fmt: skip
    (tmp_path / "samples.json").write_text(json.dumps({"samples": [sample]}))
    for shrink in (1.0, 0.5):
        (made,) = labelled_photos(tmp_path, 1, shrink)
        assert made.points_px is not None
        assert made.side == "left"
        column, row = made.points_px.round().astype(int).T
        assert made.image[row, column].min() > 150
        assert np.ptp(made.points_px[:, 0]) == pytest.approx(120 * shrink, abs=1e-6)


def test_a_folder_of_images_without_hands(tmp_path):
    cv2.imwrite(str(tmp_path / "wall.png"), IMAGE)
    (one,) = images_without_hands(tmp_path)
    assert one.points_px is None
    with pytest.raises(ValueError, match="no picture"):
        list(images_without_hands(tmp_path / "nothing"))
