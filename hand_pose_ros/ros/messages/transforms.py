"""The module builds transforms: a hand's tree, camera -> wrist -> joints of each finger, and a robot's links."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import numpy as np
from geometry_msgs.msg import TransformStamped
from std_msgs.msg import Header

from hand_pose_ros import hand
from hand_pose_ros.ros.messages.cdr import STAMP, CdrWriter
from hand_pose_ros.ros.messages.geometry import fill, quaternions
from hand_pose_ros.ros.messages.selection import PublishedHand

_PARENTS = list(hand.PARENTS[1:])
_PLACE: Final = struct.Struct("<7d")


def hand_transforms(published: PublishedHand, header: Header, joints: bool = True) -> list[TransformStamped]:
    """The wrist in the frame of ``header`` and, with ``joints``, every other joint in the frame of its parent."""
    return [
        transform(header, parent, child, place[:3], place[3:])
        for parent, child, place in _placed_frames(published, header, joints)
    ]


def serialised_hand_transforms(
    published: Iterable[PublishedHand], header: Header, joints: bool = True, padding: int = 0
) -> bytes:
    """The serialised TFMessage of :func:`hand_transforms` of all hands, in a fraction of the time.

    padding: the byte that fills gaps.
    """
    frames = [frame for one in published for frame in _placed_frames(one, header, joints)]
    writer = CdrWriter(padding)
    writer.count(len(frames))
    for parent, child, place in frames:
        writer.pack(STAMP, header.stamp.sec, header.stamp.nanosec)
        writer.text(parent)
        writer.text(child)
        writer.pack(_PLACE, *place, alignment=8)
    return writer.finish()


def _placed_frames(
    published: PublishedHand, header: Header, joints: bool
) -> Iterator[tuple[str, str, list[float]]]:
    """Parent, child, and the child's position and quaternion in the parent's frame, of the frames of a hand."""
    pose = published.pose
    wrist = published.frame_name("wrist")
    yield header.frame_id, wrist, [*pose.joints_m[0].tolist(), *published.quaternions[0].tolist()]
    if not joints:
        return
    # T_parent_child = T_camera_parent^-1 T_camera_child
    to_parent = np.asarray(pose.rotations, np.float64)[_PARENTS].transpose(0, 2, 1)
    offsets = pose.joints_m[1:] - pose.joints_m[_PARENTS]
    positions = (to_parent @ offsets[..., None])[..., 0]
    places = np.concatenate((positions, quaternions(to_parent @ pose.rotations[1:])), axis=1).tolist()
    names = [published.frame_name(name) for name in hand.JOINT_NAMES]
    for (parent, child), place in zip(hand.BONES, places, strict=True):
        yield names[parent], names[child], place


def link_transforms(links: Sequence[str], poses: np.ndarray, header: Header) -> list[TransformStamped]:
    """The links of a robot in the frame of ``header``.

    Args:
        links: names of the k frames. poses: (k, 4, 4) T_frame_link, metres.
    """
    orientations = quaternions(poses[:, :3, :3]).tolist()
    return [
        transform(header, header.frame_id, link, xyz, xyzw)
        for link, xyz, xyzw in zip(links, poses[:, :3, 3].tolist(), orientations, strict=True)
    ]


def transform(
    header: Header, parent: str, child: str, xyz: Sequence[float], xyzw: Sequence[float]
) -> TransformStamped:
    """The frame ``child`` at ``xyz`` metres in ``parent``, at the time of ``header``."""
    result = TransformStamped()
    result.header.stamp, result.header.frame_id = header.stamp, parent
    result.child_frame_id = child
    fill(result.transform.translation, result.transform.rotation, xyz, xyzw)
    return result
