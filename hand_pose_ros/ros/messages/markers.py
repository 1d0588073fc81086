"""The module builds RViz markers of hands: skeleton, joints, mesh and uncertainty; it deletes outdated ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, Vector3
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

from hand_pose_ros import hand
from hand_pose_ros.mesh.skinning import hand_mesh
from hand_pose_ros.pose import HandPose
from hand_pose_ros.ros.messages.cdr import marker_array
from hand_pose_ros.ros.messages.geometry import fill, points, quaternions
from hand_pose_ros.ros.messages.selection import PublishedHand

MarkerKey = tuple[str, int]
"""(namespace, id) of a marker, its key in RViz."""

# Namespaces are kinds, so that RViz' tick boxes switch a kind on and off for all hands.
SKELETON, JOINTS, MESH, UNCERTAINTY = "skeleton", "joints", "mesh", "uncertainty"

ELLIPSOID_SIGMAS: Final = 2.0
"""Half-axes of an uncertainty ellipsoid, in standard deviations."""

_BONE_WIDTH_M, _JOINT_DIAMETER_M = 0.004, 0.009
_SMALLEST_AXIS_M = 1e-4  # RViz refuses a scale of zero
_FINGER_RGB: Final = (
    (0.90, 0.35, 0.25), (0.95, 0.70, 0.20), (0.35, 0.75, 0.35), (0.25, 0.60, 0.90), (0.65, 0.45, 0.85)
)  # fmt: skip
_WRIST_RGB: Final = (0.85, 0.85, 0.85)
_MESH_RGBA: Final = {"left": (0.55, 0.70, 0.90, 0.55), "right": (0.90, 0.70, 0.58, 0.55)}
_UNCERTAINTY_RGBA: Final = (1.0, 0.85, 0.30, 0.35)


def joint_rgb(joint: int) -> tuple[float, float, float]:
    """The colour of a joint and of the bone that ends in it: one per finger, (r, g, b) in [0, 1]."""
    return _WRIST_RGB if joint == hand.WRIST else _FINGER_RGB[(joint - 1) // 4]


def hand_markers(
    published: PublishedHand, header: Header, lifetime_s: float, with_mesh: bool = True
) -> list[Marker]:
    """The markers of one hand: ellipsoids only where the covariance is known.

    Args:
        lifetime_s: RViz removes the markers after this time without another message.
        with_mesh: fill the mesh with points; else it is there, but empty.
    """
    pose, hand_id = published.pose, published.hand_id
    lifetime = Duration(sec=int(lifetime_s), nanosec=round(lifetime_s % 1 * 1e9) % 1_000_000_000)
    corners = points(pose.joints_m)
    colours = [ColorRGBA(r=r, g=g, b=b, a=1.0) for r, g, b in map(joint_rgb, range(hand.NUM_JOINTS))]

    skeleton = _marker(header, SKELETON, hand_id, Marker.LINE_LIST, lifetime)
    skeleton.scale.x = _BONE_WIDTH_M
    skeleton.points = [corners[end] for bone in hand.BONES for end in bone]
    skeleton.colors = [colours[child] for _, child in hand.BONES for _ in range(2)]

    joints = _marker(header, JOINTS, hand_id, Marker.SPHERE_LIST, lifetime)
    joints.scale = Vector3(x=_JOINT_DIAMETER_M, y=_JOINT_DIAMETER_M, z=_JOINT_DIAMETER_M)
    joints.points, joints.colors = corners, colours

    mesh = _marker(header, MESH, hand_id, Marker.TRIANGLE_LIST, lifetime)
    mesh.scale = Vector3(x=1.0, y=1.0, z=1.0)
    mesh.color = _colour(_MESH_RGBA[pose.side])
    if with_mesh:
        mesh.points = _triangles(pose)
    return [skeleton, joints, mesh, *_ellipsoids(pose, hand_id, header, lifetime)]


def markers(
    hands: Iterable[PublishedHand], header: Header, lifetime_s: float, shown: Iterable[MarkerKey] = ()
) -> MarkerArray:
    """Return the markers of a frame; deletes those of ``shown``, the frame before, that are gone."""
    result = [marker for published in hands for marker in hand_markers(published, header, lifetime_s)]
    for namespace, marker_id in sorted(set(shown) - set(keys(result))):
        result.append(Marker(header=header, ns=namespace, id=marker_id, action=Marker.DELETE))
    return MarkerArray(markers=result)


def serialised_markers(
    hands: Iterable[PublishedHand], header: Header, lifetime_s: float, shown: Iterable[MarkerKey] = ()
) -> tuple[bytes, list[MarkerKey]]:
    """The serialised message of :func:`markers`, in a fraction of the time, and the keys of its markers."""
    result: list[Marker] = []
    corners: dict[int, np.ndarray] = {}
    for published in hands:
        listed = hand_markers(published, header, lifetime_s, with_mesh=False)
        place = next(index for index, one in enumerate(listed) if one.ns == MESH)
        mesh = hand_mesh(published.pose)
        corners[len(result) + place] = np.asarray(mesh.vertices_m, np.float64)[mesh.faces.ravel()]
        result += listed
    present = keys(result)
    for namespace, marker_id in sorted(set(shown) - set(present)):
        result.append(Marker(header=header, ns=namespace, id=marker_id, action=Marker.DELETE))
    return marker_array(result, corners), present


def keys(shown: Iterable[Marker]) -> list[MarkerKey]:
    """Return the keys of markers, without deletions."""
    return [(marker.ns, marker.id) for marker in shown if marker.action == Marker.ADD]


def delete_all(header: Header) -> MarkerArray:
    """The message that clears the display."""
    return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])


def _marker(header: Header, namespace: str, marker_id: int, kind: int, lifetime: Duration) -> Marker:
    marker = Marker(
        header=header, ns=namespace, id=marker_id, type=kind, action=Marker.ADD, lifetime=lifetime
    )
    marker.pose.orientation.w = 1.0
    return marker


def _colour(rgba: Sequence[float]) -> ColorRGBA:
    r, g, b, a = rgba
    return ColorRGBA(r=r, g=g, b=b, a=a)


def _triangles(pose: HandPose) -> list[Point]:
    """The corners of the mesh's triangles, three by three."""
    # One message object per vertex, not per corner: the objects take most of the time.
    mesh = hand_mesh(pose)
    corners = points(mesh.vertices_m)
    return [corners[corner] for corner in mesh.faces.ravel().tolist()]


def _ellipsoids(pose: HandPose, hand_id: int, header: Header, lifetime: Duration) -> list[Marker]:
    known = np.flatnonzero(np.isfinite(pose.covariance_m2).all(axis=(1, 2)))
    variances, axes = np.linalg.eigh(np.asarray(pose.covariance_m2, np.float64)[known])
    axes[:, :, 0] *= np.sign(np.linalg.det(axes))[:, None]  # a rotation, not a reflection
    diameters = 2 * ELLIPSOID_SIGMAS * np.sqrt(variances.clip(min=0))
    result = []
    for joint, diameter, orientation in zip(known, diameters, quaternions(axes), strict=True):
        marker = _marker(header, UNCERTAINTY, hand_id * hand.NUM_JOINTS + int(joint), Marker.SPHERE, lifetime)
        fill(
            marker.pose.position, marker.pose.orientation, pose.joints_m[joint].tolist(), orientation.tolist()
        )
        x, y, z = diameter.clip(min=_SMALLEST_AXIS_M).tolist()
        marker.scale = Vector3(x=x, y=y, z=z)
        marker.color = _colour(_UNCERTAINTY_RGBA)
        result.append(marker)
    return result
