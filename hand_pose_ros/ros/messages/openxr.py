"""The module builds OpenXR's 26 hand joints as a PoseArray, and the latched description of its order."""

from __future__ import annotations

import json

import numpy as np
from geometry_msgs.msg import PoseArray
from std_msgs.msg import Header, String

from hand_pose_ros.retargeting import openxr
from hand_pose_ros.ros.messages.geometry import poses, quaternions


def openxr_poses(joints_m: np.ndarray, rotations: np.ndarray, header: Header) -> PoseArray:
    """The 26 poses in the order of ``openxr.JOINT_NAMES``, in the frame of ``header``.

    Args:
        joints_m: (21, 3). rotations: (21, 3, 3) bone frames, as of ``{side}/joints``.

    Raises:
        ValueError: a number is not finite: there is no message about a hand that is not known.
    """
    converted = openxr.openxr_hand(joints_m, rotations)
    if not (np.isfinite(converted.positions_m).all() and np.isfinite(converted.rotations).all()):
        raise ValueError("the hand has joints that are not finite")
    return PoseArray(header=header, poses=poses(converted.positions_m, quaternions(converted.rotations)))


def openxr_names() -> String:
    """JSON: ``names`` of the 26 joints in order, ``tracked``: false for joints that are derived."""
    return String(data=json.dumps({"names": list(openxr.JOINT_NAMES), "tracked": list(openxr.TRACKED)}))
