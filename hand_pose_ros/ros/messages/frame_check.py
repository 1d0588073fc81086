"""The module builds the frame checker's markers: vectors of human hand and robot over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from hand_pose_ros.retargeting.frame_check import label_positions, largest_residuals
from hand_pose_ros.retargeting.retargeter import RetargetedHand
from hand_pose_ros.ros.messages.geometry import points

# Namespaces are kinds, so that RViz' tick boxes switch a kind on and off.
HUMAN, ROBOT, RESIDUALS, LABELS = "human vectors", "robot vectors", "residuals", "labels"
_WIDTH_M: Final = {HUMAN: 0.003, ROBOT: 0.0018, RESIDUALS: 0.004}
_RGB: Final = {HUMAN: (0.95, 0.55, 0.15), ROBOT: (0.20, 0.45, 0.85), RESIDUALS: (0.90, 0.10, 0.15)}
_LABEL_HEIGHT_M: Final = 0.012
_LABEL_DISTANCE_M: Final = 0.015
_LIFETIME: Final = Duration(sec=1)
"""RViz removes markers of this age: a hand that is gone leaves no vectors."""


def frame_check_markers(result: RetargetedHand, parts: Sequence[str], header: Header) -> MarkerArray:
    """Both sets of vectors over each other, lines from the robot's ends to where they should be, and numbers.

    Both begin at the robot's origin of each vector. The number of a finger is its largest residual in millimetres;
    pairs of fingers have lines, but no number.

    Args:
        parts: of the k vectors, see :func:`~hand_pose_ros.retargeting.frame_check.vector_parts`.
        header: its frame must be the robot's base frame.
    """
    starts = np.asarray(result.origins_m)
    human, robot = starts + result.human_vectors_m, starts + result.robot_vectors_m
    lines = [
        _lines(HUMAN, starts, human, header),
        _lines(ROBOT, starts, robot, header),
        _lines(RESIDUALS, robot, human, header),
    ]
    return MarkerArray(markers=[*lines, *_labels(result, parts, header)])


def _lines(kind: str, starts_m: np.ndarray, ends_m: np.ndarray, header: Header) -> Marker:
    """One marker with a line from each start to each end (k, 3)."""
    marker = _marker(header, kind, 0, Marker.LINE_LIST, _RGB[kind])
    marker.scale.x = _WIDTH_M[kind]
    marker.points = points(np.stack((starts_m, ends_m), axis=1).reshape(-1, 3))
    return marker


def _labels(result: RetargetedHand, parts: Sequence[str], header: Header) -> list[Marker]:
    residuals = largest_residuals(parts, result.residuals_m)
    places = label_positions(parts, result)
    labels = []
    for number, part in enumerate(part for part in residuals if "-" not in part):
        marker = _marker(header, LABELS, number, Marker.TEXT_VIEW_FACING, (1.0, 1.0, 1.0))
        marker.text = f"{part} {1e3 * residuals[part]:.0f} mm"
        marker.scale = Vector3(z=_LABEL_HEIGHT_M)
        end = places[part]
        outwards = end / max(float(np.linalg.norm(end)), 1e-6)
        x, y, z = (end + _LABEL_DISTANCE_M * outwards).tolist()
        marker.pose.position = Point(x=x, y=y, z=z)
        labels.append(marker)
    return labels


def _marker(
    header: Header, namespace: str, marker_id: int, kind: int, rgb: tuple[float, float, float]
) -> Marker:
    marker = Marker(
        header=header, ns=namespace, id=marker_id, type=kind, action=Marker.ADD, lifetime=_LIFETIME
    )
    marker.pose.orientation.w = 1.0
    r, g, b = rgb
    marker.color = ColorRGBA(r=r, g=g, b=b, a=1.0)
    return marker
