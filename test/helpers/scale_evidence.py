"""Images with evidence of the scale: a rendered hand with its depth, and a marker in the plane of the palm."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.size.marker import marker_dictionary
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.pose import HandPose
from hand_pose_ros.rendering.geometry import HandInView
from hand_pose_ros.rendering.renderer import Rendering, render
from hand_pose_ros.rendering.views import upright_rotation

MARKER_M = 0.05
_PAPER = 245
_PIXELS = 200


def open_pose(size_m: float, wrist_m: tuple[float, float, float], side: str = "right") -> HandPose:
    """An open right or left hand, palm to the camera, fingers up."""
    angles, proportions = (one(torch.float64).neutral for one in (angle_bounds, proportion_bounds))
    wrist = torch.tensor(wrist_m, dtype=torch.float64)
    rotation = upright_rotation("palm").double()
    frames = forward_kinematics(angles, proportions, rotation, wrist, size_m, side)
    return HandPose(
        side=side,
        score=0.9,
        joints_m=frames.joints.numpy(),
        rotations=frames.rotations.numpy(),
        angles_rad=angles.numpy(),
        proportions=proportions.numpy(),
        anchor_length_m=size_m,
        covariance_m2=np.full((hand.NUM_JOINTS, 3, 3), np.nan),
        wrist_covariance=np.full((6, 6), np.nan),
    )


def larger(pose: HandPose, factor: float) -> HandPose:
    """The hand that gives the same image, ``factor`` times as large and as far away."""
    values = {
        **vars(pose),
        "joints_m": factor * pose.joints_m,
        "anchor_length_m": factor * pose.anchor_length_m,
    }
    return HandPose(**values)


@lru_cache(maxsize=16)
def rendered(
    camera: CameraModel,
    size_m: float,
    wrist_m: tuple[float, float, float],
    side: str = "right",
    grey: int = 110,
) -> Rendering:
    """That hand before a grey wall, with its depth."""
    pose = open_pose(size_m, wrist_m, side)
    frames = HandFrames(*(torch.from_numpy(part).float() for part in (pose.joints_m, pose.rotations)))
    background = np.full((camera.height, camera.width, 3), grey, np.uint8)
    return render([HandInView(frames, side)], camera, background)


def with_marker(
    image_bgr: np.ndarray,
    camera: CameraModel,
    pose: HandPose,
    dictionary: str = "4x4_50",
    offset_m: tuple[float, float] = (0.11, -0.02),
    tilt_rad: float = 0.0,
) -> np.ndarray:
    """A copy of the image with a marker beside the palm, on white paper, in the plane of wrist and knuckles.

    Args:
        offset_m: from the middle of the palm, along the image's x and towards the wrist.
        tilt_rad: by which it is turned out of that plane.
    """
    palm = pose.joints_m[[hand.WRIST, *hand.KNUCKLES]]
    middle = palm.mean(0)
    normal = np.linalg.svd(palm - middle)[2][2]
    normal = -np.sign(normal @ middle) * normal  # to the camera
    across = np.cross((0.0, 1.0, 0.0), -normal)
    across /= np.linalg.norm(across)
    down = np.cross(-normal, across)
    centre = middle + offset_m[0] * across + offset_m[1] * down
    turned = np.cos(tilt_rad) * across + np.sin(tilt_rad) * normal
    pattern = cv2.aruco.generateImageMarker(marker_dictionary(dictionary), 7, _PIXELS)
    border = _PIXELS // 5
    pattern = np.pad(pattern, border, constant_values=_PAPER)
    side_m = MARKER_M * len(pattern) / _PIXELS
    corners = [centre + side_m / 2 * (x * turned + y * down) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    target = camera.project(torch.from_numpy(np.array(corners))).numpy().astype(np.float32)
    last = len(pattern) - 0.5
    source = np.array(((-0.5, -0.5), (last, -0.5), (last, last), (-0.5, last)), np.float32)
    warp = cv2.getPerspectiveTransform(source, target)
    size = (camera.width, camera.height)
    paper = cv2.warpPerspective(pattern, warp, size, flags=cv2.INTER_AREA)
    covered = cv2.warpPerspective(np.full_like(pattern, 255), warp, size) > 127
    drawn = image_bgr.copy()
    drawn[covered] = paper[covered][:, None]
    return drawn
