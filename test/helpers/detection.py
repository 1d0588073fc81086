"""Made-up detections, and pictures of hands with known truth, for the detection tests."""

from __future__ import annotations

import numpy as np
import torch

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.pose import Detection
from hand_pose_ros.rendering.background import room_background
from hand_pose_ros.rendering.renderer import Rendering, render
from hand_pose_ros.rendering.views import random_hand

CAMERA = CameraModel.from_fov(640, 480, float(np.deg2rad(60)))


def hand_shape(side: str = "right") -> np.ndarray:
    """(21, 2) joints of an upright open hand seen from the back, about 1 high, around (0, 0)."""
    to_image = torch.tensor(
        [[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]]
    )  # fingers up, back of the hand to the camera
    frames = forward_kinematics(
        angle_bounds().neutral, proportion_bounds().neutral, to_image, None, 0.09, side
    )
    shape = frames.joints[:, :2].double().numpy()
    return (shape - shape.mean(axis=0)) / np.ptp(shape[:, 1])


def detection(
    centre: tuple[float, float] = (300.0, 200.0),
    size: float = 200.0,
    side: str = "right",
    score: float = 0.9,
    with_landmarks: bool = True,
) -> Detection:
    """An open hand of ``size`` pixels around ``centre``."""
    landmarks = hand_shape(side) * size + centre
    return Detection(side, score, box_around(landmarks, 0.1), landmarks if with_landmarks else None)


def random_pictures(count: int, seed: int = 0) -> list[Rendering]:
    """Pictures of one random hand each, seen by CAMERA."""
    generator = torch.Generator().manual_seed(seed)
    return [
        render([random_hand(CAMERA, generator)], CAMERA, room_background(CAMERA.width, CAMERA.height, number))
        for number in range(count)
    ]
