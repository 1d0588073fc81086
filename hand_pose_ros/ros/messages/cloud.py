"""The module builds one PointCloud2 of all hands of a frame: a point per joint, with uncertainty and hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py.point_cloud2 import create_cloud, dtype_from_fields
from std_msgs.msg import Header

from hand_pose_ros import hand
from hand_pose_ros.pose import HandPose

NO_TRACK: Final = -1
"""The value of ``track_id`` for a hand that is not tracked."""
UNKNOWN_VISIBILITY: Final = 255


def _fields() -> list[PointField]:
    layout = [(name, PointField.FLOAT32, 4) for name in ("x", "y", "z", "sigma", "score")]
    layout += [
        ("track_id", PointField.INT32, 4),
        ("side", PointField.UINT8, 1),
        ("joint", PointField.UINT8, 1),
        ("visibility", PointField.UINT8, 1),
    ]
    fields, offset = [], 0
    for name, datatype, size in layout:
        fields.append(PointField(name=name, offset=offset, datatype=datatype, count=1))
        offset += size
    return fields


FIELDS: Final = tuple(_fields())
POINT_DTYPE: Final = dtype_from_fields(FIELDS)


def hands_cloud(poses: Sequence[HandPose], header: Header) -> PointCloud2:
    """The joints of the valid ones of ``poses``, 21 points each, in order; no points if there are none.

    Fields: x, y, z in metres and the frame of ``header``; sigma, standard deviation of the joint in metres, NaN
    if unknown; score of the hand in [0, 1]; track_id, or -1 without tracking; side, the index in ``hand.SIDES``
    (0 left, 1 right); joint, the index in ``hand.JOINT_NAMES``; visibility, the index in
    ``VISIBILITY``, or 255 if unknown.
    """
    valid = [pose for pose in poses if pose.valid]
    points = np.empty((len(valid), hand.NUM_JOINTS), POINT_DTYPE)
    for row, pose in zip(points, valid, strict=True):
        row["x"], row["y"], row["z"] = pose.joints_m.T
        row["sigma"] = pose.joint_sigma_m
        row["score"] = pose.score
        row["track_id"] = NO_TRACK if pose.track_id is None else pose.track_id
        row["side"] = hand.SIDES.index(pose.side)
        row["joint"] = np.arange(hand.NUM_JOINTS)
        row["visibility"] = UNKNOWN_VISIBILITY if pose.visibility is None else pose.visibility
    return create_cloud(header, FIELDS, points.reshape(-1))
