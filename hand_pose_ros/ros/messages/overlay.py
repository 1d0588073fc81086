"""The module draws every estimated hand onto the camera's image."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.mesh.skinning import hand_mesh
from hand_pose_ros.pose import Detection, HandMesh, HandPose
from hand_pose_ros.rendering.silhouette import silhouette
from hand_pose_ros.rendering.text import draw_text
from hand_pose_ros.ros.messages.markers import joint_rgb

_SHIFT = 3  # cv2 draws at fractions of 2^-3 pixel
_FAR_PX = 1e5  # cv2's coordinates are 32 bit integers; points that far out are not visible
_OUTLINE_BGR = (255, 255, 255)
_FILL = 0.2  # opacity of the white over the hand
_REFUSED_BGR = (60, 60, 255)
_JOINT_BGR = [
    tuple(round(255 * value) for value in reversed(joint_rgb(joint))) for joint in range(hand.NUM_JOINTS)
]


def draw_overlay(
    image_bgr: np.ndarray,
    camera: CameraModel,
    poses: Sequence[HandPose],
    detections: Sequence[Detection],
    mesh: bool = True,
) -> np.ndarray:
    """A copy of the image with the skeleton, side, score and size of every hand, and the outline of its mesh.

    A hand that was detected but could not be estimated gets its box and the reason.

    Args:
        image_bgr: (H, W, 3) uint8.
        poses, detections: one each per hand, in the same order.
    """
    canvas = image_bgr.copy()
    scale = max(0.4, min(image_bgr.shape[:2]) / 900)
    for pose, detection in zip(poses, detections, strict=True):
        if not pose.valid:
            _draw_refused(canvas, detection, pose.reason, scale)
            continue
        if mesh:
            _draw_outline(canvas, camera, hand_mesh(pose), scale)
        joints_px = _project(camera, torch.from_numpy(np.asarray(pose.joints_m, np.float64)))
        _draw_skeleton(canvas, joints_px, scale)
        label = f"{pose.side} {pose.score:.2f}  {pose.anchor_length_m * 1e3:.0f} mm"
        if pose.track_id is not None:
            label = f"#{pose.track_id} {label}"
        seen = joints_px[np.isfinite(joints_px).all(axis=1)]
        if len(seen):
            at_px = (seen[:, 0].min(), seen[:, 1].min() - 12 * scale)
            draw_text(canvas, label, at_px, (255, 255, 255), 0.6 * scale, _thickness(scale))
    return canvas


def _project(camera: CameraModel, points_m: torch.Tensor) -> np.ndarray:
    pixels = camera.project(points_m).numpy()
    return np.where(np.abs(pixels) < _FAR_PX, pixels, np.nan)


def _fixed_point(pixels: np.ndarray) -> np.ndarray:
    return np.round(pixels * (1 << _SHIFT)).astype(np.int32)


def _draw_skeleton(canvas: np.ndarray, joints_px: np.ndarray, scale: float) -> None:
    seen = np.isfinite(joints_px).all(axis=1)
    fixed = _fixed_point(np.nan_to_num(joints_px))
    thickness = max(1, round(2 * scale))
    for parent, child in hand.BONES:
        if seen[parent] and seen[child]:
            ends = (fixed[parent].tolist(), fixed[child].tolist())
            cv2.line(canvas, *ends, _JOINT_BGR[child], thickness, cv2.LINE_AA, _SHIFT)
    radius = round(3.5 * scale * (1 << _SHIFT))
    for joint in np.flatnonzero(seen):
        cv2.circle(canvas, fixed[joint].tolist(), radius, _JOINT_BGR[joint], cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _draw_outline(canvas: np.ndarray, camera: CameraModel, mesh: HandMesh, scale: float) -> None:
    """The silhouette of the mesh: lightly filled, with its contour."""
    triangles = _project(camera, torch.from_numpy(mesh.vertices_m))[mesh.faces]
    edges = triangles[:, 1:] - triangles[:, :1]
    towards_camera = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0] < 0
    triangles = triangles[
        towards_camera
    ]  # not those with NaN; the other half of a closed surface adds nothing
    if not len(triangles):
        return
    height, width = canvas.shape[:2]
    corners = triangles.reshape(-1, 2)
    x0, y0 = np.floor(corners.min(axis=0)).astype(int).clip(0, (width, height))
    x1, y1 = np.ceil(corners.max(axis=0)).astype(int).clip(-1, (width - 1, height - 1)) + 1
    if x1 <= x0 or y1 <= y0:
        return
    part = canvas[y0:y1, x0:x1]
    covered = silhouette(triangles - (x0, y0), x1 - x0, y1 - y0)
    lighter = cv2.convertScaleAbs(part, alpha=1 - _FILL, beta=255 * _FILL)
    cv2.copyTo(lighter, covered, part)
    contours, _ = cv2.findContours(covered, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(part, contours, -1, _OUTLINE_BGR, max(1, round(1.5 * scale)), cv2.LINE_AA)


def _draw_refused(canvas: np.ndarray, detection: Detection, reason: str, scale: float) -> None:
    if not np.isfinite(detection.box_px).all():
        return
    x0, y0, x1, y1 = np.round(detection.box_px.clip(-_FAR_PX, _FAR_PX)).astype(int).tolist()
    cv2.rectangle(canvas, (x0, y0), (x1, y1), _REFUSED_BGR, max(1, round(1.5 * scale)))
    text = f"{detection.side} {detection.score:.2f}: {reason}"
    draw_text(canvas, text, (x0, y0), _REFUSED_BGR, 0.6 * scale, _thickness(scale))


def _thickness(scale: float) -> int:
    return max(1, round(1.2 * scale))
