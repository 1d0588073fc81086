"""The module builds RViz markers of hands: mesh, skeleton, uncertainty and a label; it deletes outdated ones."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

import numpy as np
from std_msgs.msg import Header
from visualization_msgs.msg import Marker, MarkerArray

from hand_pose_ros import hand
from hand_pose_ros.mesh.display import DisplayMesh, display_mesh, fingertip_weights
from hand_pose_ros.pose import HandPose
from hand_pose_ros.ros.messages.cdr import marker_array
from hand_pose_ros.ros.messages.selection import PublishedHand
from hand_pose_ros.ros.messages.shown_marker import MarkerKey, ShownMarker, marker_message

# Namespaces are kinds, so that RViz' tick boxes switch a kind on and off for all hands.
MESH, SKELETON, JOINTS, LABEL = "mesh", "skeleton", "joints", "label"
UNCERTAINTY, JOINT_UNCERTAINTY = "uncertainty", "uncertainty_of_joints"
"""Ellipsoids of the wrist and the fingertips, and of all other joints: all at once hide the hand."""

ELLIPSOID_SIGMAS: Final = 2.0
"""Half-axes of an uncertainty ellipsoid, in standard deviations."""

_BONE_WIDTH_M, _JOINT_DIAMETER_M, _TEXT_HEIGHT_M = 0.004, 0.009, 0.016
_LABEL_DISTANCE_M: Final = 0.11  # behind the wrist, where the forearm's stump ends
_SMALLEST_AXIS_M = 1e-4  # RViz refuses a scale of zero
_FINGER_RGB: Final = (
    (0.90, 0.35, 0.25), (0.95, 0.70, 0.20), (0.35, 0.75, 0.35), (0.25, 0.60, 0.90), (0.65, 0.45, 0.85)
)  # fmt: skip
_WRIST_RGB: Final = (0.85, 0.85, 0.85)
_SKIN_RGB: Final = {"left": (0.62, 0.74, 0.88), "right": (0.95, 0.78, 0.66)}
_TIP_TINT: Final = 0.75
"""How far the colour of a fingertip goes from that of the skin to that of the finger."""
_LABEL_RGBA: Final = (0.95, 0.95, 0.95, 1.0)
_UNCERTAINTY_ALPHA: Final = 0.5
# From the colour of a standard deviation that serves a grasp to that of one that does not.
_SMALL_SIGMA_M, _LARGE_SIGMA_M = 0.004, 0.020
_SMALL_SIGMA_RGB, _LARGE_SIGMA_RGB = np.array((0.35, 0.85, 0.60)), np.array((1.00, 0.66, 0.38))


def joint_rgb(joint: int) -> tuple[float, float, float]:
    """The colour of a joint and of the bone that ends in it: one per finger, (r, g, b) in [0, 1]."""
    return _WRIST_RGB if joint == hand.WRIST else _FINGER_RGB[(joint - 1) // 4]


_JOINT_RGBA: Final = np.array([(*joint_rgb(joint), 1.0) for joint in range(hand.NUM_JOINTS)], np.float32)
_BONE_ENDS: Final = np.array(hand.BONES).ravel()
_BONE_RGBA: Final = np.repeat(_JOINT_RGBA[[child for _, child in hand.BONES]], 2, axis=0)


def hand_markers(published: PublishedHand) -> list[ShownMarker]:
    """The markers of one hand: ellipsoids only where the covariance is known."""
    pose, number = published.pose, published.hand_id
    joints_m = np.asarray(pose.joints_m, np.float64)
    return [
        _mesh(display_mesh(pose), pose.side, number),
        ShownMarker(
            SKELETON,
            number,
            Marker.LINE_LIST,
            scale=(_BONE_WIDTH_M, 0.0, 0.0),
            points=joints_m[_BONE_ENDS],
            colours=_BONE_RGBA,
        ),
        ShownMarker(
            JOINTS,
            number,
            Marker.SPHERE_LIST,
            scale=(_JOINT_DIAMETER_M,) * 3,
            points=joints_m,
            colours=_JOINT_RGBA,
        ),
        ShownMarker(
            LABEL,
            number,
            Marker.TEXT_VIEW_FACING,
            position=tuple(_behind_the_wrist(joints_m, _LABEL_DISTANCE_M).tolist()),
            scale=(0.0, 0.0, _TEXT_HEIGHT_M),
            rgba=_LABEL_RGBA,
            text=_label(pose),
        ),
        *_ellipsoids(pose, number),
    ]


def markers(
    hands: Iterable[PublishedHand], header: Header, lifetime_s: float, shown: Iterable[MarkerKey] = ()
) -> MarkerArray:
    """Return the markers of a frame; deletes those of ``shown``, the frame before, that are gone.

    Args:
        lifetime_s: RViz removes the markers after this time without another message.
    """
    return MarkerArray(
        markers=[marker_message(one, header, lifetime_s) for one in _with_deletions(hands, shown)]
    )


def serialised_markers(
    hands: Iterable[PublishedHand], header: Header, lifetime_s: float, shown: Iterable[MarkerKey] = ()
) -> tuple[bytes, list[MarkerKey]]:
    """The serialised message of :func:`markers`, in a fraction of the time, and the keys of its markers."""
    listed = _with_deletions(hands, shown)
    present = [one.key for one in listed if one.action == Marker.ADD]
    return marker_array(listed, header, lifetime_s), present


def keys(shown: Iterable[Marker]) -> list[MarkerKey]:
    """Return the keys of markers, without deletions."""
    return [(marker.ns, marker.id) for marker in shown if marker.action == Marker.ADD]


def delete_all(header: Header) -> MarkerArray:
    """The message that clears the display."""
    return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])


def _with_deletions(hands: Iterable[PublishedHand], shown: Iterable[MarkerKey]) -> list[ShownMarker]:
    result = [marker for published in hands for marker in hand_markers(published)]
    gone = set(shown) - {marker.key for marker in result}
    return [*result, *(ShownMarker(*key, action=Marker.DELETE) for key in sorted(gone))]


def _mesh(mesh: DisplayMesh, side: str, number: int) -> ShownMarker:
    """The surface, with a smooth surface's light in the colours of its corners and tinted fingertips."""
    rgba = np.ones((len(mesh.vertices_m), 4), np.float32)
    rgb = _tinted_rgb(side) if mesh.shipped else np.array(_SKIN_RGB[side], np.float32)
    rgba[:, :3] = (rgb * mesh.light[:, None]).clip(0.0, 1.0)
    corners = mesh.faces.ravel()
    return ShownMarker(
        MESH,
        number,
        Marker.TRIANGLE_LIST,
        scale=(1.0, 1.0, 1.0),
        rgba=(*_SKIN_RGB[side], 1.0),
        points=np.asarray(mesh.vertices_m, np.float64)[corners],
        colours=rgba[corners],
    )


@lru_cache(maxsize=2)
def _tinted_rgb(side: str) -> np.ndarray:
    """Colours (V, 3) of the shipped display mesh in full light: skin, and tips in the fingers' colours."""
    weights = _TIP_TINT * fingertip_weights()
    skin = (1 - weights.sum(axis=1, keepdims=True)) * np.array(_SKIN_RGB[side])
    return (skin + weights @ np.array(_FINGER_RGB)).astype(np.float32)


def _behind_the_wrist(joints_m: np.ndarray, distance_m: float) -> np.ndarray:
    """A point (3,) on the line from the middle finger's knuckle through the wrist."""
    wrist, knuckle = joints_m[hand.WRIST], joints_m[hand.JOINT_NAMES.index("middle_mcp")]
    return wrist + distance_m * (wrist - knuckle) / np.linalg.norm(wrist - knuckle)


def _label(pose: HandPose) -> str:
    """Side and distance, and the standard deviation of the distance if it is known.

    Without spaces: RViz draws each a metre wide, whatever the height of the text.
    """
    wrist = np.asarray(pose.joints_m[hand.WRIST], np.float64)
    distance = float(np.linalg.norm(wrist))
    text = f"{pose.side}\n{distance:.2f}m"
    covariance = np.asarray(pose.covariance_m2[hand.WRIST], np.float64)
    if not np.isfinite(covariance).all() or distance == 0:
        return text
    ray = wrist / distance
    return f"{text}\n+/-{1e2 * max(ray @ covariance @ ray, 0.0) ** 0.5:.1f}cm"


def _ellipsoids(pose: HandPose, hand_id: int) -> list[ShownMarker]:
    from scipy.spatial.transform import Rotation  # late: a node that nobody looks at does without

    known = np.flatnonzero(np.isfinite(pose.covariance_m2).all(axis=(1, 2)))
    if not known.size:
        return []
    variances, axes = np.linalg.eigh(np.asarray(pose.covariance_m2, np.float64)[known])
    axes[:, :, 0] *= np.sign(np.linalg.det(axes))[:, None]  # a rotation, not a reflection
    sigmas = np.sqrt(variances.clip(min=0))
    diameters = (2 * ELLIPSOID_SIGMAS * sigmas).clip(min=_SMALLEST_AXIS_M)
    large = ((sigmas.max(axis=1) - _SMALL_SIGMA_M) / (_LARGE_SIGMA_M - _SMALL_SIGMA_M)).clip(0.0, 1.0)
    rgb = _SMALL_SIGMA_RGB + large[:, None] * (_LARGE_SIGMA_RGB - _SMALL_SIGMA_RGB)
    columns = (
        known,
        np.asarray(pose.joints_m, np.float64)[known],
        Rotation.from_matrix(axes).as_quat(),
        diameters,
        rgb,
    )
    return [
        ShownMarker(
            UNCERTAINTY if joint == hand.WRIST or joint in hand.FINGERTIPS else JOINT_UNCERTAINTY,
            hand_id * hand.NUM_JOINTS + joint,
            Marker.SPHERE,
            position,
            orientation,
            scale,
            (*colour, _UNCERTAINTY_ALPHA),
        )
        for joint, position, orientation, scale, colour in zip(
            *(one.tolist() for one in columns), strict=True
        )
    ]
