"""The name and the services of the recorder's node, for its ``--help`` and the node. Imports no ROS."""

from __future__ import annotations

from typing import Final

from hand_pose_ros.ros.shared.interface import Endpoint

NAME: Final = "hand_recorder"
SERVICES: Final = (
    Endpoint("~/start", "std_srvs/Trigger", "begin an episode; the answer says why not"),
    Endpoint("~/stop", "std_srvs/Trigger", "end the episode"),
    Endpoint("~/discard", "std_srvs/Trigger", "end the episode and remove it"),
)
