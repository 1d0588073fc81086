"""Images that a detector was really shown, kept with its answers."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.hand_images import assert_same_shards
from helpers.image_networks import drawn_hands

from hand_pose_ros.detection.detector import Detection
from hand_pose_ros.hand_images import detect_command as detected_hand_images
from hand_pose_ros.hand_images.detect_command import detected_hands, main
from hand_pose_ros.hand_images.shards import load_shard, save_shard, view_to_pixels

HANDS = drawn_hands(5)


class EveryOther:
    """Finds hands 0, 2, 4, ... one pixel off; ``seen``: the images that it was given."""

    def __init__(self, zoom=2):
        self.zoom, self.seen, self.closed = zoom, [], False

    def reset(self):
        pass

    def detect(self, image):
        row = len(self.seen) % HANDS.count
        self.seen.append(image)
        if row % 2:
            return []
        px = (view_to_pixels(HANDS.points[row].astype(np.float64)) + 0.5) * self.zoom - 0.5 + self.zoom
        return [
            Detection(
                "right", 0.9, np.array((0.0, 0.0, 10.0, 10.0)), px, HANDS.joints[row].astype(np.float64)
            )
        ]

    def close(self):
        self.closed = True


def test_only_hands_that_are_found_are_kept_each_with_its_answer():
    detector = EveryOther()
    hands = detected_hands(HANDS, detector, np.random.default_rng(0))
    assert hands.count == 3
    assert hands.has_detection.all()
    moved = view_to_pixels(hands.detected[..., :2]) - view_to_pixels(HANDS.points[::2])
    np.testing.assert_allclose(moved, 1.0, atol=1e-3)
    np.testing.assert_allclose(hands.depth, HANDS.depth[::2], atol=1e-6)  # labels stay: the view is the same
    assert (hands.image != HANDS.image[::2]).any((1, 2, 3)).sum() >= 2  # nearly every image is changed
    small = detector.seen[0][::2, ::2].astype(float)  # what was shown is what is kept
    assert np.abs(small - hands.image[0]).mean() < 12


def test_the_command_goes_on_where_it_was(tmp_path, monkeypatch):
    save_shard(tmp_path / "in/a", HANDS, 0, {})
    save_shard(tmp_path / "in/b", HANDS, 0, {})
    detector = EveryOther()
    monkeypatch.setattr(detected_hand_images, "open_mediapipe", lambda: detector)
    given = ["--images", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    assert main(given) == 0
    assert detector.closed
    assert [load_shard(tmp_path / f"out/shard-{number:05d}").count for number in (0, 1)] == [3, 3]
    shown = len(detector.seen)
    assert main(given) == 0
    assert len(detector.seen) == shown


@pytest.mark.parametrize("count", [2, 3, 5])
def test_parts_make_the_shards_of_the_whole(tmp_path, monkeypatch, count):
    for name in "abc":
        save_shard(tmp_path / "in" / name, HANDS, 0, {})
    monkeypatch.setattr(detected_hand_images, "open_mediapipe", EveryOther)
    given = ["--images", str(tmp_path / "in"), "--output"]
    assert main([*given, str(tmp_path / "whole")]) == 0
    for number in range(count, 0, -1):
        assert main([*given, str(tmp_path / "parts"), "--part", f"{number}/{count}"]) == 0
    assert_same_shards(tmp_path / "whole", tmp_path / "parts")


def test_a_folder_without_shards_is_refused(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    assert main(["--images", str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 2
    assert "no complete shard" in capsys.readouterr().err


@pytest.mark.parametrize("seed", [0, 1])
def test_the_same_seed_makes_the_same_images(seed):
    made = [detected_hands(HANDS, EveryOther(), np.random.default_rng(seed)).image for _ in range(2)]
    np.testing.assert_array_equal(*made)
