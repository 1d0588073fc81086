"""What the network is told of a hand: landmarks, picture or both, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detections, random_network
from helpers.frames import poses

from hand_pose_ros.estimator.diffusion.conditions import ConditionMaker
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.diffusion.image_follower import ImageFollower
from hand_pose_ros.networks.diffusion.image_network import HandImageDiffusion, HandImageDiffusionConfig
from hand_pose_ros.networks.diffusion.network import HandDiffusionConfig
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig
from hand_pose_ros.pose import Detection, Frame


@pytest.fixture(scope="module")
def seeing():
    """A small network that sees pictures; its hands depend on all that it is told."""
    torch.manual_seed(3)
    config = HandImageDiffusionConfig(
        image=ImageEncoderConfig(features=16, head_channels=16, size_px=64),
        diffusion=HandDiffusionConfig(channels=(8, 8, 16), head_width=32, head_blocks=1),
    )
    network = HandImageDiffusion(config).eval().requires_grad_(False)
    network.diffusion.scale.fill_(0.5)
    return network


@pytest.fixture(scope="module")
def image():
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (CAMERA.height // 8, CAMERA.width // 8, 3), dtype=np.uint8)
    return np.kron(coarse, np.ones((8, 8, 1), np.uint8))


def conditions(network, condition, image, found):
    maker = ConditionMaker(network, condition)
    frame = Frame(image, CAMERA)
    return maker.conditions(frame, found, [maker.view(frame, one) for one in found])


def without_landmarks(found: Detection) -> Detection:
    return replace(found, landmarks_px=None, landmarks_m=None)


def test_each_condition_tells_what_its_name_says(seeing, image):
    found = detections(2)
    for condition, keypoints, picture in (
        ("auto", True, True),
        ("both", True, True),
        ("keypoints", True, False),
        ("image", False, True),
    ):
        told = conditions(seeing, condition, image, found)
        assert bool(told.keypoints.points.isfinite().all()) == keypoints, condition
        assert (told.image is not None) == picture, condition
        if picture:
            assert told.image.shape == (2, seeing.crops.condition_size)
        assert bool(told.view.points.isfinite().all())


def test_the_picture_alone_places_the_hand_by_what_it_shows(seeing, image):
    (found,) = detections(1)
    told = conditions(seeing, "image", image, [found])
    by_landmarks = conditions(seeing, "keypoints", image, [found])
    assert not torch.allclose(told.view.points, by_landmarks.view.points)
    torch.testing.assert_close(told.view.rotation, by_landmarks.view.rotation)


def test_a_box_is_enough_where_the_picture_is_seen(seeing, image):
    boxes = [without_landmarks(one) for one in detections(2)]
    for condition in ("auto", "image"):
        told = conditions(seeing, condition, image, boxes)
        assert bool(told.view.points.isfinite().all())
        assert not bool(told.keypoints.points.isfinite().any())
    mixed = conditions(seeing, "auto", image, [detections(2)[0], boxes[1]])
    assert mixed.keypoints.points.isfinite().all(-1).all(-1).tolist() == [True, False]
    for condition in ("keypoints", "both"):
        with pytest.raises(ValueError, match="no landmarks"):
            conditions(seeing, condition, image, boxes[:1])


def test_networks_without_eyes_are_not_asked_for_pictures(image):
    blind = random_network()
    told = conditions(blind, "auto", image, detections(1))
    assert told.image is None
    for condition in ("image", "both"):
        with pytest.raises(ValueError, match="weights with an image encoder"):
            ConditionMaker(blind, condition)
    with pytest.raises(ValueError, match="condition must be one of"):
        ConditionMaker(blind, "sound")
    with pytest.raises(ValueError, match="condition must be one of"):
        DiffusionEstimatorConfig(condition="sound")


@pytest.mark.parametrize("condition", ["image", "both"])
def test_a_mirrored_picture_gives_the_mirrored_hand(seeing, image, condition):
    config = DiffusionEstimatorConfig(samples=4, steps=2, condition=condition)
    (found,) = detections(1)
    estimator, frame = DiffusionEstimator(seeing, config=config), Frame(image, CAMERA)
    (pose,) = poses(estimator, frame, [found])
    flip, shift = np.array((-1.0, 1.0)), np.array((CAMERA.width - 1.0, 0.0))
    x0, y0, x1, y1 = found.box_px
    mirrored = replace(
        found,
        side="left" if found.side == "right" else "right",
        box_px=np.array((CAMERA.width - 1 - x1, y0, CAMERA.width - 1 - x0, y1)),
        landmarks_px=found.landmarks_px * flip + shift,
        landmarks_m=found.landmarks_m * np.array((-1.0, 1.0, 1.0)),
    )
    (other,) = poses(estimator, frame.mirrored(), [mirrored])
    assert pose.valid == other.valid
    np.testing.assert_allclose(other.angles_rad, pose.angles_rad, atol=2e-2)
    if pose.valid:
        np.testing.assert_allclose(
            other.joints_m * np.array((-1.0, 1.0, 1.0)), pose.joints_m, atol=0.02 * pose.joints_m[0, 2]
        )


class Counted:
    """Counts the crops that the encoder of a network looks at."""

    def __init__(self, network, monkeypatch):
        self.crops, encode_crops = 0, network.encode_crops

        def counted(crops, half_extent):
            self.crops += len(crops)
            return encode_crops(crops, half_extent)

        monkeypatch.setattr(network, "encode_crops", counted, raising=False)


def followed(network, image, found):
    """Detections with what the network's encoder saw where they are; an untrained one finds no joints itself."""
    follower, frame = ImageFollower(network, None), Frame(image, CAMERA)
    return [
        replace(one, seen=follower.near(frame, one.landmarks_px, one.side).detection.seen) for one in found
    ]


def test_what_the_encoder_saw_when_it_found_a_hand_is_not_looked_at_again(seeing, image, monkeypatch):
    hands = followed(seeing, image, detections(2))
    # Looked at once more, in the same place, a hand gives the same condition.
    again = conditions(seeing, "image", image, detections(2))
    counted = Counted(seeing, monkeypatch)
    told = conditions(seeing, "image", image, hands)
    assert counted.crops == 0
    torch.testing.assert_close(told.image, again.image)
    for one, other in zip(told.view, again.view, strict=True):
        torch.testing.assert_close(one, other)
    # Beside a hand that it has not seen, each has its own.
    mixed = conditions(seeing, "image", image, [hands[0], detections(2)[1]])
    assert counted.crops == 1
    torch.testing.assert_close(mixed.image, again.image)
    torch.testing.assert_close(mixed.view.points, again.view.points)


@pytest.mark.parametrize("change", ["another encoder", "another side", "another condition"])
def test_what_was_seen_otherwise_is_looked_at_anew(seeing, image, monkeypatch, change):
    (hand,) = followed(seeing, image, detections(1))
    if change == "another encoder":
        hand = replace(hand, seen=replace(hand.seen, encoder=object()))
    elif change == "another side":
        hand = replace(hand, side="left")
    counted = Counted(seeing, monkeypatch)
    conditions(seeing, "both" if change == "another condition" else "image", image, [hand])
    assert counted.crops == 1
