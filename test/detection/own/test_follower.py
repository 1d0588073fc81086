"""New hands come from another finder; the 2.5D network reads them, and follows them alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.heatmap import CAMERA, PerfectNetwork, detection_of, frame_of, known_hands

from hand_pose_ros import hand
from hand_pose_ros.detection.finders import FoundHand, Palm
from hand_pose_ros.detection.own.follower import HeatmapFollower, read_again
from hand_pose_ros.detection.own.landmarks import HeatmapLandmarks
from hand_pose_ros.networks.heatmap.config import HeatmapConfig
from hand_pose_ros.pose import CropFeatures, Detection, ReadLandmarks

CONFIG = HeatmapConfig(variant="fast", image_size=32, presence=True)
PALM = Palm(np.zeros(4), np.zeros((7, 2)), 0.9)
CROP = CropFeatures("a network", np.zeros((1, 2, 2), np.float32), np.zeros((4, 2)))


class Beginning:
    """Finds what it is given in every palm, and ``second`` where a hand is expected."""

    def __init__(self, found: Detection | None, second: Detection | None = None) -> None:
        self.found, self.second = found, second

    def in_palm(self, frame, palm):
        return None if self.found is None else FoundHand(self.found, 0.7)

    def near(self, frame, expected_px, side, is_sure=True):
        assert self.second is not None, "the beginning is not to be asked"
        return FoundHand(self.second, 0.7)


class Always:
    """Reads the same hand everywhere."""

    def __init__(self, found: Detection) -> None:
        self.found = found

    def near(self, frame, expected_px, side, is_sure=True):
        return FoundHand(self.found, 0.7)


def reader(side="right", **values):
    joints = known_hands(1, side)
    network = PerfectNetwork(CAMERA, joints, [side], config=CONFIG, hand=(0.9, 0.8), **values)
    rough = detection_of(CAMERA, joints[0], side, track_id=4)
    found = replace(rough, crop=CROP, score=0.77)
    return HeatmapLandmarks(network), found, rough.landmarks_px, network


@pytest.mark.parametrize("side", hand.SIDES)
def test_a_new_hand_is_read_around_the_landmarks_of_the_beginning(side):
    landmarks, found, truth, network = reader(side)
    hand_found = HeatmapFollower(Beginning(found), landmarks).in_palm(frame_of(CAMERA, 0), PALM)
    assert hand_found.right == 0.7
    detection = hand_found.detection
    np.testing.assert_allclose(detection.landmarks_px, truth, atol=1e-3)
    assert (detection.side, detection.score, detection.track_id) == (side, 0.77, 4)
    assert detection.crop is CROP
    assert detection.read is not None
    assert detection.read.depth[hand.WRIST] == 0
    assert len(network.images) == 2


def test_hands_are_followed_by_the_network_alone():
    landmarks, found, truth, _ = reader()
    followed = HeatmapFollower(Beginning(None), landmarks).near(
        frame_of(CAMERA, 0), found.landmarks_px, "right"
    )
    assert followed.detection.score == pytest.approx(0.9)
    np.testing.assert_allclose(followed.detection.landmarks_px, truth, atol=1e-3)
    assert HeatmapFollower(Beginning(None), landmarks).in_palm(frame_of(CAMERA, 0), PALM) is None


def test_the_error_is_a_distance_in_half_extents_of_the_view():
    landmarks, found, _, _ = reader(log_sigma=np.log(0.02))
    detection = read_again(landmarks, frame_of(CAMERA, 0), found)
    # Normally distributed points with this mean absolute error along each axis.
    sigma = 0.02 / np.sqrt(2 / np.pi)
    expected = np.linalg.norm(np.random.default_rng(1).normal(0, sigma, (200000, 2)), axis=1).mean()
    np.testing.assert_allclose(detection.read.error, CONFIG.margin * expected, rtol=0.01)


def test_what_is_read_or_cannot_be_read_stays_as_it_is():
    landmarks, found, _, network = reader()
    frame = frame_of(CAMERA, 0)
    read = read_again(landmarks, frame, found)
    missing = found.landmarks_px.copy()
    missing[3] = np.nan
    for one in (read, replace(found, landmarks_px=None), replace(found, landmarks_px=missing)):
        assert read_again(landmarks, frame, one) is one
    network.noise = (float("nan"), 0.0)
    assert read_again(landmarks, frame, found) is found


def test_of_two_places_of_a_joint_that_jumped_the_nearer_one_to_the_expected_counts():
    _, found, truth, _ = reader()
    frame, thumb = frame_of(CAMERA, 0), hand.JOINT_INDEX["thumb_tip"]
    landmarks = Always(replace(found, read=ReadLandmarks(np.zeros(21), np.full(21, 0.1))))
    away = np.array((np.ptp(truth, axis=0).max() / 2, 0.0))
    # The whole hand moved, and the thumb is not where the network reads it.
    expected = truth + 7
    expected[thumb] += away
    second = replace(found, landmarks_px=expected - 7)
    detection = HeatmapFollower(Beginning(None, second), landmarks).near(frame, expected, "right").detection
    np.testing.assert_allclose(detection.landmarks_px, second.landmarks_px, atol=1e-3)
    assert np.isnan(detection.read.depth).tolist() == [joint == thumb for joint in range(21)]
    assert detection.read.error[thumb] == pytest.approx(2 * away[0] / np.ptp(expected, axis=0).max())
    assert detection.box_px[0] < second.landmarks_px[:, 0].min()
    # Both agree, or the first finder is no better, or sees no hand of that side: the network's places count.
    for other in (
        replace(found, landmarks_px=truth),
        replace(found, landmarks_px=truth - away),
        replace(second, score=0.2),
        replace(second, side="left"),
    ):
        follower = HeatmapFollower(Beginning(None, other), landmarks)
        kept = follower.near(frame, expected, "right").detection
        np.testing.assert_allclose(kept.landmarks_px, truth, atol=1e-3)
        assert np.isfinite(kept.read.depth).all()


def test_the_first_finder_tells_the_side_while_it_is_not_sure():
    _, found, truth, _ = reader()
    frame = frame_of(CAMERA, 0)
    landmarks = Always(replace(found, read=ReadLandmarks(np.zeros(21), np.full(21, 0.1))))
    assert HeatmapFollower(Beginning(None), landmarks).near(frame, truth, "right").right == 0.5
    for second, right in ((found, 0.7), (replace(found, side="left"), 0.7), (replace(found, score=0.3), 0.5)):
        followed = HeatmapFollower(Beginning(None, second), landmarks).near(frame, truth, "right", False)
        assert followed.right == right
        assert followed.detection is landmarks.found


def test_where_the_network_cannot_read_the_first_finder_follows():
    landmarks, found, truth, network = reader()
    network.noise = (float("nan"), 0.0)
    followed = HeatmapFollower(Beginning(None, found), landmarks).near(frame_of(CAMERA, 0), truth, "right")
    assert followed == FoundHand(found, 0.7)
