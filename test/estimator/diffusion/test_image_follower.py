"""Hands followed by their pictures: points go back to the image exactly, and what is not there is lost."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detections
from helpers.frames import blank_frame

from hand_pose_ros import hand
from hand_pose_ros.detection.finders import Palm
from hand_pose_ros.estimator.diffusion.image_follower import ImageFollower
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig, ImageFeatures
from hand_pose_ros.pose import Frame


class SpotNetwork:
    """Takes the brightest spot of a crop for every joint; present if it is bright."""

    crops = ImageEncoderConfig(size_px=128)

    def encode_crops(self, crops, half_extent):
        (crop,) = np.asarray(crops)
        grey = cv2.GaussianBlur(crop.mean(-1).astype(np.float32), (0, 0), 2.0)
        row, column = np.unravel_index(grey.argmax(), grey.shape)
        point = ((np.array((column, row)) + 0.5) / self.crops.size_px * 2 - 1) * self.crops.margin
        points = torch.tensor(point, dtype=torch.float32).expand(1, hand.NUM_JOINTS, 2)
        flat = torch.zeros(1, hand.NUM_JOINTS)
        presence = torch.tensor([5.0 if grey.max() > 60 else -5.0])
        heat = torch.full((1, hand.NUM_JOINTS, 1, 1), 0.0)
        return ImageFeatures(torch.zeros(1, 1), points, flat, flat + 0.1, presence, heat), torch.zeros(1, 1)


def picture(spot_px) -> Frame:
    image = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    cv2.circle(image, [round(value * 16) for value in spot_px], 5 * 16, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return Frame(image, CAMERA)


@pytest.mark.parametrize("side", ["right", "left"])
def test_what_is_seen_in_the_crop_is_where_it_is_in_the_image(side):
    (found,) = detections(1)
    middle = found.landmarks_px.mean(0)
    for offset in ((0.0, 0.0), (14.0, -9.0), (-20.0, 11.0)):
        spot = middle + offset
        seen = ImageFollower(SpotNetwork(), None).near(picture(spot), found.landmarks_px, side).detection
        assert np.abs(seen.landmarks_px - spot).max() < 2.5
        assert seen.side == side
        assert seen.score == pytest.approx(1 / (1 + math.exp(-5.0)))
        assert ((seen.landmark_scores > 0) & (seen.landmark_scores < 1)).all()


def test_what_is_not_there_has_a_low_score():
    (found,) = detections(1)
    follower = ImageFollower(SpotNetwork(), None)
    dark = blank_frame(CAMERA)
    assert follower.near(dark, found.landmarks_px, "right").detection.score < 0.01
    unknown = np.full_like(found.landmarks_px, np.nan)
    assert follower.near(dark, unknown, "right") is None


def test_a_hand_begins_with_what_finds_it_in_its_palm():
    beginning = Beginning()
    palm = Palm(np.zeros(4), np.zeros((7, 2)), 1.0)
    assert ImageFollower(SpotNetwork(), beginning).in_palm(blank_frame(CAMERA), palm) is beginning.found


class Beginning:
    found = object()

    def in_palm(self, frame, palm):
        return self.found
