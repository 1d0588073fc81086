"""Mirrored cameras: flipping the image and the camera model back to the unmirrored ones.

Some drivers and most video call software flip the image left to right, as a mirror would show it. A right hand
then looks like a left one, and no rotation of the camera explains the image. This package works on unmirrored
images, so a mirrored image is flipped back first, together with the calibration that was made from it.
"""

from __future__ import annotations

from dataclasses import replace

import cv2

from hand_pose_ros.camera.distortion import PLUMB_BOB, RATIONAL_POLYNOMIAL
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.shapes import Array

_HORIZONTAL_TANGENTIAL = 3  # p2, whose term in x is even in x; all others are odd in x or symmetric


def mirrored_image(image: Array) -> Array:
    """The image (H, W, ...) flipped left to right, contiguous."""
    return cv2.flip(image, 1)


def mirrored_camera(camera: CameraModel) -> CameraModel:
    """The camera of the flipped image: it projects (-x, y, z) to where ``camera`` projects (x, y, z), flipped."""
    distortion = list(camera.distortion)
    if camera.distortion_model in (PLUMB_BOB, RATIONAL_POLYNOMIAL):
        distortion[_HORIZONTAL_TANGENTIAL] *= -1
    return replace(camera, cx=camera.width - 1 - camera.cx, distortion=tuple(distortion))
