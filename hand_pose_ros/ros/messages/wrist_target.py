"""The module builds the wrist target for the arm and reads transforms."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped, TransformStamped, TwistStamped, Vector3
from std_msgs.msg import Header

from hand_pose_ros.retargeting.wrist.poses import RigidPose
from hand_pose_ros.ros.messages.geometry import fill


def target_pose(pose: RigidPose, header: Header) -> PoseStamped:
    """The target in the frame of ``header``."""
    message = PoseStamped(header=header)
    fill(message.pose.position, message.pose.orientation, pose.position_m.tolist(), pose.quaternion.tolist())
    return message


def target_twist(linear_m_s: np.ndarray, angular_rad_s: np.ndarray, header: Header) -> TwistStamped:
    """The velocity (3,), (3,) of the target, along the axes of the frame of ``header``."""
    message = TwistStamped(header=header)
    message.twist.linear = Vector3(**dict(zip("xyz", linear_m_s.tolist(), strict=True)))
    message.twist.angular = Vector3(**dict(zip("xyz", angular_rad_s.tolist(), strict=True)))
    return message


def pose_of_transform(message: TransformStamped) -> RigidPose:
    """``T_parent_child`` of a transform.

    Raises:
        ValueError: a number is not finite, or the quaternion is zero.
    """
    translation, rotation = message.transform.translation, message.transform.rotation
    return RigidPose.from_quaternion(
        np.array([translation.x, translation.y, translation.z]),
        np.array([rotation.x, rotation.y, rotation.z, rotation.w]),
    )
