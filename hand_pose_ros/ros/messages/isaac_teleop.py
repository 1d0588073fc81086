"""The module builds IsaacTeleop's NamedPoseArray of both hands, where its message package is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from geometry_msgs.msg import Pose, PoseArray
from std_msgs.msg import Header

from hand_pose_ros import hand
from hand_pose_ros.common.late_import import import_named
from hand_pose_ros.retargeting import openxr

TOPIC: Final = "xr_teleop/hand"
"""The topic of IsaacTeleop's teleop_ros2."""
_MESSAGE: Final = "teleop_ros2_interfaces.msg:NamedPoseArray"
_JOINTS: Final = openxr.JOINT_NAMES[1:]
"""IsaacTeleop leaves the palm out."""


def named_pose_array_type() -> type | None:
    """The message type, or None if the package is not installed."""
    try:
        return import_named(_MESSAGE)
    except ValueError:
        return None


def named_hands(kind: type, hands: Mapping[str, PoseArray], header: Header) -> Any:
    """Both hands: 25 entries ``left_WRIST`` ... ``left_LITTLE_TIP``, then those of the right hand.

    Args:
        kind: the message type, with the fields header, name, pose and is_valid.
        hands: OpenXR poses of a side, as of :func:`hand_pose_ros.ros.messages.openxr.openxr_poses`. A missing side
            gets zero poses that are not valid, as in IsaacTeleop.
    """
    message = kind(header=header)
    for side in hand.SIDES:
        known = side in hands
        message.name += [f"{side}_{joint.upper()}" for joint in _JOINTS]
        message.pose += list(hands[side].poses)[1:] if known else [Pose() for _ in _JOINTS]
        message.is_valid += [known] * len(_JOINTS)
    return message
