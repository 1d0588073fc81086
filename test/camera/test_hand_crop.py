"""Crops of hands: pixels are where the formula says, left hands are mirrored, and bad input is refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from hand_pose_ros.camera.hand_crop import hand_crop
from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.camera.mirroring import mirrored_camera, mirrored_image
from hand_pose_ros.camera.model import CameraModel

SIZE, MARGIN = 128, 1.5
PLAIN = CameraModel.from_fov(640, 480, 1.2)
BARREL = CameraModel(640, 480, 420.0, 415.0, 330.0, 228.0, "plumb_bob", (-0.25, 0.06, 0.001, -0.002, 0.0))


def hand_px(camera, seed=0):
    """Pixels (21, 2) of random joints near the image's upper right."""
    generator = torch.Generator().manual_seed(seed)
    joints = 0.07 * torch.randn(21, 3, generator=generator, dtype=torch.float64)
    return camera.project(joints + joints.new_tensor((0.12, -0.06, 0.6)))


def view_of(camera, pixels, side):
    rays = camera.rays(pixels)
    if side == "left":
        rays = rays * rays.new_tensor((-1.0, 1.0, 1.0))
    return view_keypoints(rays)


def blob(camera, pixel):
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    cv2.circle(image, [round(16 * float(v)) for v in pixel], 16 * 3, (255, 255, 255), -1, cv2.LINE_AA, 4)
    return image


@pytest.mark.parametrize("camera", [PLAIN, BARREL])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_joint_is_shown_where_the_formula_says(camera, side):
    pixels = hand_px(camera)
    view = view_of(camera, pixels, side)
    for joint in (0, 8, 17):
        image = blob(camera, pixels[joint])
        crop = hand_crop(image, camera, view.rotation, view.half_extent, side, SIZE, MARGIN).astype(float)[
            ..., 0
        ]
        rows, columns = np.mgrid[:SIZE, :SIZE]
        centre = np.array([(columns * crop).sum(), (rows * crop).sum()]) / crop.sum()
        expected = (view.points[joint].numpy() / MARGIN + 1) / 2 * SIZE - 0.5
        assert np.abs(centre - expected).max() < 0.5


@pytest.mark.parametrize("camera", [PLAIN, BARREL])
def test_a_left_hand_in_the_mirror_gives_the_same_crop(camera):
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    image = cv2.resize(image, (camera.width, camera.height), interpolation=cv2.INTER_CUBIC)
    pixels = hand_px(camera)
    right = view_of(camera, pixels, "right")
    mirrored = pixels * pixels.new_tensor((-1.0, 1.0)) + pixels.new_tensor((camera.width - 1.0, 0.0))
    other = mirrored_camera(camera)
    left = view_of(other, mirrored, "left")
    torch.testing.assert_close(left.rotation, right.rotation, rtol=0, atol=1e-6)
    one = hand_crop(image, camera, right.rotation, right.half_extent, "right", SIZE, MARGIN)
    two = hand_crop(mirrored_image(image), other, left.rotation, left.half_extent, "left", SIZE, MARGIN)
    assert one.shape == two.shape == (SIZE, SIZE, 3)
    assert two.flags.c_contiguous
    assert np.abs(one.astype(int) - two).mean() < 1.0  # remap rounds places to 1/32 px


def test_a_fine_pattern_becomes_grey_when_it_shrinks():
    camera = CameraModel.from_fov(1280, 960, 1.2)
    image = np.zeros((960, 1280, 3), np.uint8)
    image[:, ::2] = 255
    view = view_of(camera, hand_px(camera), "right")
    crop = hand_crop(image, camera, view.rotation, 2 * view.half_extent, "right", 64, MARGIN)
    inside = crop[16:48, 16:48].astype(int)
    assert np.abs(inside - 128).mean() < 20


def test_where_the_image_ends_the_crop_is_black():
    image = np.full((480, 640, 3), 200, np.uint8)
    view = view_of(PLAIN, hand_px(PLAIN) + 120, "right")
    crop = hand_crop(image, PLAIN, view.rotation, 3 * view.half_extent, "right", SIZE, MARGIN)
    assert (crop == 0).all(-1).any()
    assert (crop == 200).all(-1).any()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"side": "both"}, "side must be"),
        ({"half_extent": 0.0}, "must be positive"),
        ({"half_extent": float("nan")}, "must be positive"),
        ({"margin": -1.0}, "must be positive"),
        ({"view_rotation": torch.full((3, 3), torch.nan)}, "finite"),
        ({"image_bgr": np.zeros((4, 4, 3), np.uint8)}, "480 rows by 640"),
    ],
)
def test_bad_input_is_refused(changed, message):
    values = {
        "image_bgr": np.zeros((480, 640, 3), np.uint8),
        "camera": PLAIN,
        "view_rotation": torch.eye(3),
        "half_extent": 0.2,
        "side": "right",
        "size_px": SIZE,
        "margin": MARGIN,
    }
    with pytest.raises(ValueError, match=message):
        hand_crop(**values | changed)
