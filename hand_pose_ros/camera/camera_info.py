"""The camera of a CameraInfo message, of rclpy's or of any library that reads bags: only the field names count."""

from __future__ import annotations

from typing import Any

from hand_pose_ros.camera.model import CameraModel


def camera_from_message(message: Any, rectified: bool = False) -> CameraModel:
    """The camera of the image that comes with a sensor_msgs/CameraInfo; ``rectified`` for an image_rect topic.

    Raises:
        UncalibratedCameraError: K[0] is 0.
        ValueError: the calibration is not valid.
    """
    d, k, p = ([float(value) for value in values] for values in (message.d, message.k, message.p))
    roi = message.roi
    return CameraModel.from_camera_info(
        width=message.width,
        height=message.height,
        distortion_model=message.distortion_model,
        d=d,
        k=k,
        p=p,
        binning_x=message.binning_x,
        binning_y=message.binning_y,
        roi_x_offset=roi.x_offset,
        roi_y_offset=roi.y_offset,
        roi_width=roi.width,
        roi_height=roi.height,
        rectified=rectified,
    )
