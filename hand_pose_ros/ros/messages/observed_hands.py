"""The module reads the estimator's messages: the hands of an image, and a wrist with its covariance."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, PoseArray, PoseWithCovarianceStamped
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import PointCloud2, PointField
from sensor_msgs_py.point_cloud2 import read_points

from hand_pose_ros import hand
from hand_pose_ros.retargeting.teleoperation.observed_hand import HandsInView, ObservedHand
from hand_pose_ros.ros.messages.cloud import FIELDS, NO_TRACK

_OPTIONAL: Final = ("visibility",)  # not in older recordings, and not used here
_LAYOUT: Final = {
    field.name: (field.datatype, field.count) for field in FIELDS if field.name not in _OPTIONAL
}

_DATATYPES: Final = range(PointField.INT8, PointField.FLOAT64 + 1)


class WristMeasurement(NamedTuple):
    """position_m (3,), rotation (3, 3) wrist -> header frame, covariance (6, 6), NaN where not known."""

    position_m: np.ndarray
    rotation: np.ndarray
    covariance: np.ndarray


def stamp_s(stamp: Time) -> float | None:
    """Seconds; None for the zero of a message without a stamp."""
    return stamp.sec + stamp.nanosec * 1e-9 if stamp.sec or stamp.nanosec else None


def hands_from_cloud(message: PointCloud2) -> HandsInView:
    """The hands of the topic ``hands``.

    Raises:
        ValueError: the cloud has not the fields of :func:`hand_pose_ros.ros.messages.cloud.hands_cloud`, or not 21
            joints of each hand, or other fields that cannot be read.
    """
    names = [field.name for field in message.fields]
    if len(set(names)) < len(names):
        raise ValueError(f"the cloud has two fields of one name: {', '.join(names)}")
    if unreadable := [f.name for f in message.fields if f.datatype not in _DATATYPES or f.count < 1]:
        raise ValueError(f"the cloud has fields of no known type or count: {', '.join(unreadable)}")
    layout = {field.name: (field.datatype, field.count) for field in message.fields}
    if any(layout.get(name) != wanted for name, wanted in _LAYOUT.items()):
        raise ValueError(f"the cloud has the fields {', '.join(layout)}, not those of hands")
    count = message.width * message.height
    if count % hand.NUM_JOINTS or len(message.data) != count * message.point_step:
        raise ValueError(f"the cloud has {count} points in {len(message.data)} bytes: no whole hands")
    if not count:
        return HandsInView((), stamp_s(message.header.stamp))
    rows = read_points(message).reshape(-1, hand.NUM_JOINTS)
    return HandsInView(tuple(_hand(row) for row in rows), stamp_s(message.header.stamp))


def _hand(row: np.ndarray) -> ObservedHand:
    side, track_id = int(row["side"][0]), int(row["track_id"][0])
    if side >= len(hand.SIDES) or (row["side"] != side).any() or (row["track_id"] != track_id).any():
        raise ValueError("21 points of the cloud are not one hand")
    if (row["joint"] != np.arange(hand.NUM_JOINTS)).any():
        raise ValueError("the joints of the cloud are not in order")
    return ObservedHand(
        side=hand.SIDES[side],
        joints_m=np.stack([row[axis].astype(np.float64) for axis in "xyz"], axis=1),
        sigma_m=row["sigma"].astype(np.float64),
        track_id=None if track_id == NO_TRACK else track_id,
        score=float(row["score"][0]),
    )


def hand_from_poses(message: PoseArray, side: str) -> ObservedHand:
    """The hand of the topic ``{side}/joints``: positions, and the wrist frame of the first pose.

    Raises:
        ValueError: not 21 poses, or an orientation of the wrist that is none.
    """
    if len(message.poses) != hand.NUM_JOINTS:
        raise ValueError(f"a hand has {hand.NUM_JOINTS} poses, got {len(message.poses)}")
    joints = np.array([[p.position.x, p.position.y, p.position.z] for p in message.poses])
    wrist = list(message.poses)[hand.WRIST]
    return ObservedHand(side, joints, np.full(hand.NUM_JOINTS, np.nan), wrist_rotation=rotation_of(wrist))


def bone_rotations(message: PoseArray) -> np.ndarray:
    """Rotations (n, 3, 3) of all poses; NaN of a quaternion that is none."""
    quaternions = np.array(
        [[p.orientation.x, p.orientation.y, p.orientation.z, p.orientation.w] for p in message.poses]
    ).reshape(-1, 4)
    norms = np.linalg.norm(quaternions, axis=1)
    usable = np.isfinite(norms) & (norms > 1e-6)
    rotations = np.full((len(quaternions), 3, 3), np.nan)
    if usable.any():
        rotations[usable] = Rotation.from_quat(quaternions[usable]).as_matrix()
    return rotations


def wrist_measurement(message: PoseWithCovarianceStamped) -> WristMeasurement:
    """The wrist of the topic ``{side}/wrist``; a covariance of zeros means unknown.

    Raises:
        ValueError: a number is not finite, or the orientation is none.
    """
    pose = message.pose.pose
    position = np.array([pose.position.x, pose.position.y, pose.position.z])
    if not np.isfinite(position).all():
        raise ValueError("the position of the wrist is not finite")
    covariance = np.array(message.pose.covariance, np.float64).reshape(6, 6)
    if not covariance.any():
        covariance = np.full((6, 6), np.nan)
    return WristMeasurement(position, rotation_of(pose), covariance)


def rotation_of(pose: Pose) -> np.ndarray:
    """Rotation (3, 3) of a pose's orientation, normalised.

    Raises:
        ValueError: the quaternion is zero or not finite.
    """
    (rotation,) = bone_rotations(PoseArray(poses=[pose]))
    if not np.isfinite(rotation).all():
        raise ValueError("the orientation of the wrist is no rotation")
    return rotation
