"""Crops are those that the landmark network gets at run time, and labels are in their axes."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from helpers.hand_images import stored_hands, view_of_sky

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.hand_images.shards import STORED_MARGIN, STORED_SIZE_PX, view_to_pixels
from hand_pose_ros.training.tasks.orientation.crops import CropConfig, continued, cut_crops, square_change


def test_the_crop_is_the_square_that_a_detector_cuts():
    hands = stored_hands(3)
    exact = CropConfig(log_scale_mean=0.0).exact()
    crops = cut_crops(hands, exact, np.random.default_rng(0), 96)
    for row in range(3):
        square = RotatedSquare.around_landmarks(view_to_pixels(hands.points[row].astype(float)))
        cut = 255 * square.cut(hands.image[row], 96)[:, :, ::-1]
        inner = np.s_[24:72, 24:72]
        assert np.abs(cut[inner] - crops.image[row][inner].astype(float)).mean() < 6


def test_labels_are_in_the_axes_of_the_crop():
    hands = stored_hands(4)
    change = square_change(hands, CropConfig(log_scale_mean=0.0).exact(), np.random.default_rng(0))
    crops = cut_crops(hands, CropConfig(log_scale_mean=0.0).exact(), np.random.default_rng(0), 96)
    for row in range(4):
        focal = STORED_SIZE_PX / (2 * STORED_MARGIN * float(hands.half_extent[row]))
        middle = (STORED_SIZE_PX - 1) / 2
        camera = CameraModel.pinhole(focal, focal, middle, middle, STORED_SIZE_PX, STORED_SIZE_PX)
        square = RotatedSquare.around_landmarks(view_to_pixels(hands.points[row].astype(float)))
        x = np.array((np.cos(square.angle_rad), np.sin(square.angle_rad)))
        points = torch.from_numpy(np.stack((square.centre_px, square.centre_px + square.side_px / 4 * x)))
        middle, right = camera.rays(points).numpy() @ change.rotation[row].T
        np.testing.assert_allclose(middle[:2] / middle[2], 0, atol=0.01)
        assert abs(right[1]) < 0.05 * right[0]
        np.testing.assert_allclose(crops.rotation[row], change.rotation[row] @ hands.rotation[row], atol=1e-5)
        np.testing.assert_allclose(crops.joints[row], hands.joints[row] @ change.rotation[row].T, atol=1e-5)


def test_the_edge_is_continued():
    image = view_of_sky(0.3, 0.3, np.eye(3), 64, 2.0)
    image = np.maximum(image, 1)
    cut = image.copy()
    cut[:, 40:] = 0
    filled = continued(cut)
    expected = cv2.copyMakeBorder(image[:, :38], 0, 0, 0, 26, cv2.BORDER_REPLICATE)
    assert np.abs(filled.astype(float) - expected)[8:-8].mean() < 8
    np.testing.assert_array_equal(continued(image), image)
    assert not continued(np.zeros_like(image)).any()
