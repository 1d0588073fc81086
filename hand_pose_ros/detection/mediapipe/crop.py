"""A rotated square of the image is the input of MediaPipe's networks; the module computes it for a hand.

The rules are those of MediaPipe, because its networks were trained with them: wrist below, fingers up, the hand
in the middle with room around it. Pixel (0, 0) is the centre of the upper left pixel of the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from hand_pose_ros import hand

# Joints of the palm and the middle of the fingers: tips and outer phalanges move too much.
_STABLE_JOINTS: Final = (0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18)
_INDEX_MCP, _MIDDLE_MCP, _RING_MCP = (hand.JOINT_INDEX[f"{name}_mcp"] for name in ("index", "middle", "ring"))
_LANDMARKS_SCALE, _LANDMARKS_SHIFT = 2.0, -0.1
_PALM_SCALE, _PALM_SHIFT = 2.6, -0.5
_PALM_WRIST, _PALM_MIDDLE_MCP = 0, 2
_UNIT: Final = np.float32(1 / 255)


@dataclass(frozen=True)
class RotatedSquare:
    """A square in the image: centre (2,) and side in pixels, and the angle that turns it clockwise, radians."""

    centre_px: np.ndarray
    side_px: float
    angle_rad: float

    @classmethod
    def around_image(cls, image: np.ndarray) -> RotatedSquare:
        """The smallest upright square that holds the whole image (H, W, 3)."""
        height, width = image.shape[:2]
        return cls(np.array((width / 2, height / 2)), float(max(height, width)), 0.0)

    @classmethod
    def around_landmarks(cls, landmarks_px: np.ndarray) -> RotatedSquare:
        """The square for a hand whose landmarks (21, 2) are known, such as those of the frame before."""
        wrist = landmarks_px[hand.WRIST]
        knuckles = (landmarks_px[_INDEX_MCP] + landmarks_px[_RING_MCP]) / 2
        angle = _upright_angle((knuckles + landmarks_px[_MIDDLE_MCP]) / 2 - wrist)
        turn = _rotation(angle)
        turned = landmarks_px[_STABLE_JOINTS, :] @ turn
        low, high = turned.min(axis=0), turned.max(axis=0)
        size = high - low
        middle = (low + high) / 2 + (0.0, _LANDMARKS_SHIFT * size[1])
        return cls(turn @ middle, max(_LANDMARKS_SCALE * float(size.max()), 1.0), angle)

    @classmethod
    def around_palm(cls, box_px: np.ndarray, keypoints_px: np.ndarray) -> RotatedSquare:
        """The square for a hand whose palm was found: box (4,) x0, y0, x1, y1, and keypoints (7, 2)."""
        angle = _upright_angle(keypoints_px[_PALM_MIDDLE_MCP] - keypoints_px[_PALM_WRIST])
        size = box_px[2:] - box_px[:2]
        shift = _rotation(angle) @ (0.0, _PALM_SHIFT * size[1])
        return cls((box_px[:2] + box_px[2:]) / 2 + shift, max(_PALM_SCALE * float(size.max()), 1.0), angle)

    def cut(self, image_bgr: np.ndarray, side: int, border: int = cv2.BORDER_REPLICATE) -> np.ndarray:
        """The square's content (side, side, 3), float32 RGB in [0, 1]; ``border``: OpenCV's rule beyond it."""
        turn = self.side_px / side * _rotation(self.angle_rad)
        corner = self.centre_px - turn @ (side / 2, side / 2)
        pixels = cv2.warpAffine(
            image_bgr,
            np.column_stack((turn, corner)),
            (side, side),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=border,
        )
        return np.multiply(pixels[:, :, ::-1], _UNIT, dtype=np.float32)

    def to_image(self, shares: np.ndarray) -> np.ndarray:
        """Pixels (..., 2) of the image at points (..., 2) that are shares of the square, from its corner."""
        return self.centre_px + self.side_px * (shares - 0.5) @ _rotation(self.angle_rad).T

    def corners_px(self) -> np.ndarray:
        """Pixels (4, 2) of the corners: upper left, upper right, lower right, lower left."""
        return self.to_image(np.array(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))))

    def directions_to_image(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (..., 3) with axes along the square's sides, turned to the image's x and y; z stays."""
        return np.concatenate((vectors[..., :2] @ _rotation(self.angle_rad).T, vectors[..., 2:]), axis=-1)


def _upright_angle(direction: np.ndarray) -> float:
    """By how much a direction (2,) in the image is turned clockwise from upwards, radians."""
    return math.atan2(float(direction[0]), -float(direction[1]))


def _rotation(angle_rad: float) -> np.ndarray:
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    return np.array(((cosine, -sine), (sine, cosine)))
