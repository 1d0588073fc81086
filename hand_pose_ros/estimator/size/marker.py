"""Reads the scale from an ArUco or AprilTag marker of known size that is held in the plane of the hand."""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.size.known_depth import SizeRatio
from hand_pose_ros.pose import HandPose

DICTIONARIES: Final = ("4x4_50", "4x4_250", "5x5_100", "5x5_250", "6x6_250", "7x7_250", "apriltag_36h11")
_CORNER_NOISE_PX: Final = 0.4
_OFF_PLANE_M: Final = (
    0.010  # the joints lie this far in front of or behind the marker, in the middle of the hand
)
_LARGEST_TILT: Final = 0.64  # cosine of 50 degrees, between marker and palm: the palm's own tilt is uncertain
_FARTHEST: Final = 4.0  # hand sizes between palm and marker
_AMBIGUOUS: Final = 2.0  # ratio of the reprojection errors of the two poses of a marker
_STEP: Final = 1e-3
_PALM: Final = (hand.WRIST, *hand.KNUCKLES)


class MarkerPlane(NamedTuple):
    """The plane of a marker, camera frame.

    centre: (3,) metres. normal: (3,) towards the camera. covariance: (6, 6) of its rotation vector (rad) and
    position (m). rotation: (3,) its rotation vector. error_px: root mean square of the corners' reprojection.
    """

    centre: np.ndarray
    normal: np.ndarray
    covariance: np.ndarray
    rotation: np.ndarray
    error_px: float


class MarkerScale:
    """Finds markers of one dictionary and one size."""

    def __init__(self, size_m: float, dictionary: str = DICTIONARIES[0]) -> None:
        """``size_m``: side of the black square, metres; ``dictionary``: one of ``DICTIONARIES``.

        Raises:
            ValueError: another dictionary, or a size that is not positive.
        """
        if dictionary not in DICTIONARIES:
            raise ValueError(f"the dictionary must be one of {', '.join(DICTIONARIES)}, got {dictionary!r}")
        if not 0 < size_m < np.inf:
            raise ValueError(f"the marker's size must be positive, got {size_m}")
        half = size_m / 2
        self._corners = np.array(((-half, half, 0), (half, half, 0), (half, -half, 0), (-half, -half, 0)))
        parameters = cv2.aruco.DetectorParameters()
        parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
        self._detector = cv2.aruco.ArucoDetector(marker_dictionary(dictionary), parameters)

    def planes(self, image_bgr: np.ndarray, camera: CameraModel) -> list[MarkerPlane]:
        """The planes of all markers in an image (H, W, 3) uint8; both where a marker can be tilted either way."""
        corners, _, _ = self._detector.detectMarkers(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY))
        return [plane for one in corners for plane in self._planes(one.reshape(4, 2).astype(float), camera)]

    def ratio(self, image_bgr: np.ndarray, camera: CameraModel, pose: HandPose) -> SizeRatio | None:
        """By which factor a hand must grow to lie in the plane of a marker; None without a marker in its plane.

        Of several planes, that is taken whose normal is nearest to the palm's.
        """
        normal = palm_normal(pose)
        planes = [one for one in self.planes(image_bgr, camera) if abs(one.normal @ normal) > _LARGEST_TILT]
        palm = pose.joints_m[list(_PALM)]
        reach = _FARTHEST * pose.anchor_length_m / np.linalg.norm(palm.mean(0))
        planes = [one for one in planes if _angle(one.centre, palm.mean(0)) < reach]
        if not planes:
            return None
        plane = max(planes, key=lambda one: abs(one.normal @ normal))
        state = np.concatenate((plane.rotation, plane.centre))
        value = _depth_ratio(state, palm)
        if not 0 < value < np.inf:
            return None
        slope = [_depth_ratio(state + step, palm) - value for step in _STEP * np.eye(6)]
        slope = np.array(slope) / _STEP
        variance = float(slope @ plane.covariance @ slope) / value**2
        off_plane = _OFF_PLANE_M / (value * np.linalg.norm(palm.mean(0)))
        return SizeRatio(value, float(np.hypot(np.sqrt(variance), off_plane)))

    def _planes(self, corners_px: np.ndarray, camera: CameraModel) -> list[MarkerPlane]:
        points = camera.undistort_points(torch.from_numpy(corners_px)).numpy()
        if not np.isfinite(points).all():
            return []
        matrix = camera.K.numpy()
        found, turns, shifts, errors = cv2.solvePnPGeneric(
            self._corners, points, matrix, np.zeros(4), flags=cv2.SOLVEPNP_IPPE_SQUARE
        )
        if not found:
            return []
        planes = []
        best = max(float(np.min(errors)), _CORNER_NOISE_PX / 2)
        for turn, shift, error in zip(turns, shifts, np.ravel(errors), strict=True):
            if float(error) > _AMBIGUOUS * best:
                continue
            _, jacobian = cv2.projectPoints(self._corners, turn, shift, matrix, np.zeros(4))
            information = jacobian[:, :6].T @ jacobian[:, :6] / _CORNER_NOISE_PX**2
            rotation, centre = turn.ravel(), shift.ravel()
            normal = _normal(rotation)
            planes.append(
                MarkerPlane(
                    centre,
                    -np.sign(normal @ centre) * normal,
                    np.linalg.pinv(information),
                    rotation,
                    float(error),
                )
            )
        return planes


def marker_dictionary(name: str) -> cv2.aruco.Dictionary:
    """OpenCV's dictionary of a name in ``DICTIONARIES``."""
    constant = f"DICT_{name.upper()}"
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, constant))


def palm_normal(pose: HandPose) -> np.ndarray:
    """Normal (3,) of the palm's plane, of least squares over wrist and MCPs; its sign has no meaning."""
    palm = pose.joints_m[list(_PALM)]
    return np.linalg.svd(palm - palm.mean(0))[2][2]


def _normal(rotation: np.ndarray) -> np.ndarray:
    return cv2.Rodrigues(rotation)[0][:, 2]


def _depth_ratio(state: np.ndarray, palm: np.ndarray) -> float:
    """Mean over the palm's joints (n, 3) of the plane's depth on their rays, divided by theirs.

    Args:
        state: (6,) rotation vector and position of the marker.
    """
    normal, centre = _normal(state[:3]), state[3:]
    return float(np.mean((normal @ centre) / (palm @ normal)))


def _angle(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.arccos(np.clip(first @ second / np.linalg.norm(first) / np.linalg.norm(second), -1, 1)))
