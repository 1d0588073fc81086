"""The module builds PoseArray (joints), JointState (angles) and PoseWithCovarianceStamped (wrist) of one hand."""

from __future__ import annotations

import array
from typing import Final

import numpy as np
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from hand_pose_ros import hand
from hand_pose_ros.ros.messages.cdr import STAMP, CdrWriter
from hand_pose_ros.ros.messages.geometry import poses
from hand_pose_ros.ros.messages.selection import PublishedHand

UNKNOWN_COVARIANCE: Final = (0.0,) * 36
"""An unknown covariance in the message. geometry_msgs defines none; drivers and filters follow sensor_msgs/Imu:
all zeros mean that the covariance is unknown. RViz refuses NaN."""


def joint_poses(published: PublishedHand, header: Header) -> PoseArray:
    """The 21 joints in ``hand.JOINT_NAMES`` order: position, and orientation of the bone that ends there."""
    return PoseArray(header=header, poses=poses(published.pose.joints_m, published.quaternions))


def serialised_joint_poses(published: PublishedHand, header: Header, padding: int = 0) -> bytes:
    """The serialised message of :func:`joint_poses`, in a fraction of the time; ``padding`` fills gaps."""
    writer = CdrWriter(padding)
    writer.pack(STAMP, header.stamp.sec, header.stamp.nanosec)
    writer.text(header.frame_id)
    writer.count(hand.NUM_JOINTS)
    writer.array(
        np.concatenate((published.pose.joints_m, published.quaternions), axis=1, dtype=np.float64), 8
    )
    return writer.finish()


def joint_state(published: PublishedHand, header: Header) -> JointState:
    """The 38 bounded angles by name, radians, named like in the URDF of the hand."""
    pose = published.pose
    message = JointState(header=header, name=list(hand.joint_state_names(pose.side)))
    message.position = array.array("d", np.asarray(pose.angles_rad, np.float64).tobytes())
    return message


def wrist_pose(published: PublishedHand, header: Header) -> PoseWithCovarianceStamped:
    """The wrist frame, with the covariance of its position and of a small rotation about the header frame's axes.

    A covariance with an unknown element is published as :data:`UNKNOWN_COVARIANCE`.
    """
    message = PoseWithCovarianceStamped(header=header)
    wrist = slice(hand.WRIST, hand.WRIST + 1)
    (message.pose.pose,) = poses(published.pose.joints_m[wrist], published.quaternions[wrist])
    covariance = np.asarray(published.pose.wrist_covariance, np.float64)
    message.pose.covariance = (
        covariance.flatten() if np.isfinite(covariance).all() else np.array(UNKNOWN_COVARIANCE)
    )
    return message
