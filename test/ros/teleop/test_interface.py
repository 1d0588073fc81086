"""The topics and services that ``--help`` shows are those of the live node."""

from __future__ import annotations

import re
from collections.abc import Iterable

from helpers.ros_harness import wait_for
from helpers.teleop_harness import COMMANDS, NAMESPACE, NODE, STATES

from hand_pose_ros import hand
from hand_pose_ros.ros.shared.interface import Endpoint
from hand_pose_ros.ros.teleop.interface import INTERFACE

OF_ROS = re.compile(
    r"/(rosout|parameter_events|transition_event|\w+_parameters(_atomically)?|get_parameter_types|get_type_description|"
    r"(change|get)_state|get_available_(states|transitions)|get_transition_graph|tf|tf_static)$"
)
"""Topics and services that every node has, or every lifecycle node, or that read TF."""


def expected(endpoints: Iterable[Endpoint], kind: str) -> dict[str, list[str]]:
    """Full name -> types, of the demonstration hand."""
    found = {}
    for endpoint in endpoints:
        package, _, name = endpoint.kind.partition("/")
        for side in hand.SIDES:
            full = endpoint.name.replace("{left,right}", side).replace("~", NODE)
            full = {"(the profile's)": COMMANDS, "/joint_states": STATES}.get(full, full)
            found[full if full.startswith("/") else f"/{NAMESPACE}/{full}"] = [f"{package}/{kind}/{name}"]
    return found


def test_the_interface_is_that_of_the_node(make):
    node = make({"wrist.enabled": True, "wrist.robot_frame": "base", "openxr": True}).node
    namespace = f"/{NAMESPACE}"
    subscribed = expected(INTERFACE.subscribed, "msg")
    del subscribed[f"{namespace}/left/wrist"]  # of the hand that is followed only
    del subscribed[f"{namespace}/robot_description"]  # the hand is generated
    for query, wanted in (
        (node.get_publisher_names_and_types_by_node, expected(INTERFACE.published, "msg")),
        (node.get_service_names_and_types_by_node, expected(INTERFACE.services, "srv")),
        (node.get_subscriber_names_and_types_by_node, subscribed),
    ):

        def found(query=query) -> dict[str, list[str]]:
            return {name: types for name, types in query("hand_teleop", namespace) if not OF_ROS.search(name)}

        wait_for(
            lambda found=found, wanted=wanted: found().keys() >= wanted.keys(), f"all of {sorted(wanted)}"
        )
        assert found() == wanted
