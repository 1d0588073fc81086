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

# p2, the thin prism's s1 and s2, and the sensor's tilt about the vertical axis: their terms in x are even in x.
_EVEN_IN_X = (3, 8, 9, 13)


def mirrored_image(image: Array) -> Array:
    """The image (H, W, ...) flipped left to right, contiguous."""
    return cv2.flip(image, 1)


def mirrored_camera(camera: CameraModel) -> CameraModel:
    """The camera of the flipped image: it projects (-x, y, z) to where ``camera`` projects (x, y, z), flipped."""
    distortion = camera.distortion
    if camera.distortion_model in (PLUMB_BOB, RATIONAL_POLYNOMIAL):
        distortion = tuple(-value if at in _EVEN_IN_X else value for at, value in enumerate(distortion))
    return replace(camera, cx=camera.width - 1 - camera.cx, distortion=distortion)
