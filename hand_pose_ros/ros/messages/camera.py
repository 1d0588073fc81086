"""The module builds Image and CameraInfo messages from pixels and cameras."""

from __future__ import annotations

import array
import struct
from typing import Final

import numpy as np
from builtin_interfaces.msg import Time
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.ros.messages.cdr import CdrWriter

_STAMP: Final = struct.Struct("<iI")
_SIZE: Final = struct.Struct("<II")
_IS_BIG_ENDIAN: Final = struct.Struct("<?")


def time_message(time_ns: int) -> Time:
    """A message stamp from nanoseconds."""
    seconds, nanoseconds = divmod(time_ns, 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


def image_message(image: np.ndarray, header: Header) -> Image:
    """A bgr8 image from pixels (H, W, 3) uint8, BGR.

    Raises:
        ValueError: the pixels have another shape or type.
    """
    height, width = _size(image)
    message = Image(header=header, height=height, width=width, encoding="bgr8", step=3 * width)
    message.data = array.array("B", image.tobytes())  # any other type is copied element by element
    return message


def serialised_image(image: np.ndarray, header: Header, padding: int = 0) -> bytes:
    """The serialised message of :func:`image_message`, with one copy of the pixels.

    Args:
        padding: the byte that fills gaps.

    Raises:
        ValueError: the pixels have another shape or type.
    """
    height, width = _size(image)
    writer = CdrWriter(padding)
    writer.pack(_STAMP, header.stamp.sec, header.stamp.nanosec)
    writer.text(header.frame_id)
    writer.pack(_SIZE, height, width)
    writer.text("bgr8")
    writer.pack(_IS_BIG_ENDIAN, False, alignment=1)
    writer.pack(_SIZE, 3 * width, image.size)  # step, length of the data
    return b"".join((writer.finish(), np.ascontiguousarray(image).data))


def _size(image: np.ndarray) -> tuple[int, int]:
    """Height and width of an image, which must be one.

    Raises:
        ValueError: the pixels have another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"image must have shape (H, W, 3) and type uint8, got {image.shape} and {image.dtype}"
        )
    return image.shape[0], image.shape[1]


def camera_info_message(camera: CameraModel | None, width: int, height: int, header: Header) -> CameraInfo:
    """The calibration of an image of ``width`` x ``height``; without a camera K is zero, by ROS convention.

    Raises:
        ValueError: the camera is for images of another size.
    """
    message = CameraInfo(header=header, width=width, height=height)
    if camera is None:
        return message
    if (camera.width, camera.height) != (width, height):
        raise ValueError(
            f"the calibration is for {camera.width}x{camera.height}, but the images are {width}x{height}"
        )
    message.distortion_model = camera.distortion_model or "plumb_bob"
    message.d = list(camera.distortion or (0.0,) * 5)
    message.k = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    message.r = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    message.p = [camera.fx, 0.0, camera.cx, 0.0, 0.0, camera.fy, camera.cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return message
