"""One hand as PoseArray (joints, bone frames), JointState (named angles) and PoseWithCovarianceStamped (wrist)."""

from __future__ import annotations

import array
from typing import Final

import numpy as np
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from hand_pose_ros import hand
from hand_pose_ros.ros.messages.geometry import poses
from hand_pose_ros.ros.messages.selection import PublishedHand

UNKNOWN_COVARIANCE: Final = (0.0,) * 36
"""What stands for "not known" in the message. geometry_msgs says nothing; sensor_msgs/Imu does, and drivers and
filters follow it: all zeros mean that the covariance is unknown. RViz refuses NaN."""


def joint_poses(published: PublishedHand, header: Header) -> PoseArray:
    """The 21 joints in ``hand.JOINT_NAMES`` order: position, and orientation of the bone that ends there."""
    return PoseArray(header=header, poses=poses(published.pose.joints_m, published.quaternions))


def joint_state(published: PublishedHand, header: Header) -> JointState:
    """The 38 bounded angles by name, radians, as the URDF of the hand has them."""
    pose = published.pose
    message = JointState(header=header, name=list(hand.joint_state_names(pose.side)))
    message.position = array.array("d", np.asarray(pose.angles_rad, np.float64).tobytes())
    return message


def wrist_pose(published: PublishedHand, header: Header) -> PoseWithCovarianceStamped:
    """The wrist frame, with the covariance of its position and of a small rotation about the header frame's axes.

    A covariance with anything unknown in it is published as :data:`UNKNOWN_COVARIANCE`.
    """
    message = PoseWithCovarianceStamped(header=header)
    wrist = slice(hand.WRIST, hand.WRIST + 1)
    (message.pose.pose,) = poses(published.pose.joints_m[wrist], published.quaternions[wrist])
    covariance = np.asarray(published.pose.wrist_covariance, np.float64)
    message.pose.covariance = (
        covariance.flatten() if np.isfinite(covariance).all() else np.array(UNKNOWN_COVARIANCE)
    )
    return message
