"""A made-up folder of real hands: pictures of coloured spots at the joints of known hands, and their labels."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.hand_images.shards import HandImages
from helpers.hand_images import stored_hands

WIDTH, HEIGHT = 640, 480
FOCAL = 640.0  # what is assumed of pictures of that size
CROP_PX = 192
SPOT_JOINTS = (0, *hand.FINGERTIPS)
SPOT_SIGMA_PX = 2.5


def spots(points_px: np.ndarray, sides: str) -> np.ndarray:
    """A picture of the spots; red, green and blue by turns, on a dim ramp."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    picture = np.stack((20 + x / 40, 30 + y / 40, 25 + (x + y) / 80), -1)
    if sides == "left":
        picture = picture[:, ::-1].copy()
    for number, joint in enumerate(SPOT_JOINTS):
        offset = np.square(np.stack((x, y), -1) - points_px[joint]).sum(-1)
        picture[..., number % 3] += 200 * np.exp(-offset / (2 * SPOT_SIGMA_PX**2))
    return picture.clip(0, 255).astype(np.uint8)


def hands_in_picture(count: int, seed: int) -> tuple[HandImages, np.ndarray]:
    """Hands and their joints (n, 21, 2) in a picture of ``WIDTH`` x ``HEIGHT``; some may lie outside of it."""
    generator = np.random.default_rng(seed)
    hands = stored_hands(count, seed)
    wrist = generator.uniform((-1.2, -0.6, 5.0), (1.2, 1.2, 9.0), (count, 3))
    joints = hands.joints + wrist[:, None]
    points = FOCAL * joints[..., :2] / joints[..., 2:] + ((WIDTH - 1) / 2, (HEIGHT - 1) / 2)
    return hands._replace(wrist=wrist.astype(np.float32)), points


def write_real_hands(folder: Path, repositories: list[str], sides: list[str], seed: int = 0) -> np.ndarray:
    """Write labels.npz and two tar files, one hand for each repository; returns the joints in the pictures.

    Args:
        sides: 'Left' or 'Right'; a left hand is the right one in the mirrored picture.
    """
    count = len(repositories)
    hands, points = hands_in_picture(count, seed)
    world = 0.089 * (hands.joints - hands.joints.mean(1, keepdims=True))
    boxes, extents, xy, crops = [], [], [], []
    for row in range(count):
        if sides[row] == "Left":
            points[row, :, 0] = WIDTH - 1 - points[row, :, 0]
            world[row, :, 0] *= -1
        low, high = points[row].min(0) + 0.5, points[row].max(0) + 0.5
        extents.append((high - low).max())
        side = 2 * extents[-1]
        boxes.append((*((low + high) / 2 - side / 2), side))
        scale = CROP_PX / side
        xy.append((points[row] + 0.5 - boxes[-1][:2]) * scale - 0.5)
        move = np.array(((scale, 0, 0.0), (0, scale, 0.0)))
        move[:, 2] = (0.5 - np.array(boxes[-1][:2])) * scale - 0.5
        picture = spots(points[row], sides[row].lower())
        crop = cv2.warpAffine(picture, move, (CROP_PX, CROP_PX), flags=cv2.INTER_AREA)
        crops.append(cv2.imencode(".jpg", crop, (cv2.IMWRITE_JPEG_QUALITY, 98))[1].tobytes())
    for half in range(2):
        with tarfile.open(folder / f"realhands-{half:03d}.tar", "w") as archive:
            for row in range(half, count, 2):
                info = tarfile.TarInfo(f"hand_{row}.jpg")
                info.size = len(crops[row])
                archive.addfile(info, io.BytesIO(crops[row]))
    np.savez(
        folder / "labels.npz",
        id=np.array([f"hand_{row}" for row in range(count)]),
        repo=np.array(repositories),
        handedness=np.array(sides),
        box=np.array(boxes, np.float32),
        src_wh=np.tile(np.array((WIDTH, HEIGHT), np.int32), (count, 1)),
        src_ext=np.array(extents, np.float32),
        xy=np.array(xy, np.float32),
        world=world.astype(np.float32),
        weight=np.linspace(0.5, 1.0, count).astype(np.float32),
    )
    return points
