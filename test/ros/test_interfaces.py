"""The interfaces that --help shows are those of the live nodes."""

from __future__ import annotations

import re

import cv2
import numpy as np
from helpers.hand_estimator_harness import FAKE, NAMESPACE, Estimator, fake_environment
from helpers.ros_harness import wait_for

from hand_pose_ros import hand
from hand_pose_ros.ros.hand_estimator.interface import INTERFACE as ESTIMATOR
from hand_pose_ros.ros.shared.interface import Endpoint
from hand_pose_ros.ros.video_player.interface import INTERFACE as PLAYER

OF_ROS = re.compile(
    r"/(rosout|parameter_events|transition_event|\w+_parameters(_atomically)?|get_parameter_types|get_type_description|"
    r"(change|get)_state|get_available_(states|transitions)|get_transition_graph)$"
)
"""Topics and services that every node has, or every lifecycle node."""


def expected(endpoints: tuple[Endpoint, ...], node: str) -> dict[str, list[str]]:
    """Full name -> types, in the namespace of the tests."""
    found = {}
    for endpoint in endpoints:
        sides = [endpoint.name.replace("{left,right}", side) for side in hand.SIDES]
        for name in sides:
            full = name.replace("~", f"/{NAMESPACE}/{node}") if "~" in name else name
            full = full if full.startswith("/") else f"/{NAMESPACE}/{full}"
            package, _, kind = endpoint.kind.partition("/")
            found[full] = [f"{package}/{'srv' if '~' in name else 'msg'}/{kind}"]
    return found


def without_those_of_ros(names_and_types: list[tuple[str, list[str]]]) -> dict[str, list[str]]:
    return {name: types for name, types in names_and_types if not OF_ROS.search(name)}


def test_the_hand_estimator_s_topics_and_services(start_node, listener, repository):
    process = start_node(FAKE, namespace=NAMESPACE, environment=fake_environment(repository))
    Estimator(process, listener).activate()
    node, name = listener.node, ESTIMATOR.name
    published = expected(ESTIMATOR.published, name)
    services = expected(ESTIMATOR.services, name)
    subscribed = expected(ESTIMATOR.subscribed, name)
    del subscribed[f"/{NAMESPACE}/image/compressed"]  # in place of the raw images
    del subscribed[f"/{NAMESPACE}/depth"]  # during ~/calibrate_scale only
    for query, wanted in (
        (node.get_publisher_names_and_types_by_node, published),
        (node.get_service_names_and_types_by_node, services),
        (node.get_subscriber_names_and_types_by_node, subscribed),
    ):
        wait_for(
            lambda query=query, wanted=wanted: (
                without_those_of_ros(query(name, f"/{NAMESPACE}")).keys() >= wanted.keys()
            ),
            f"all of {sorted(wanted)}",
        )
        assert without_those_of_ros(query(name, f"/{NAMESPACE}")) == wanted


def test_the_video_player_s_topics(start_node, listener, tmp_path):
    cv2.imwrite(str(tmp_path / "0.png"), np.zeros((48, 64, 3), np.uint8))  # the clip takes a minute to render
    start_node(
        "hand_pose_ros.ros.video_player.process",
        namespace=NAMESPACE,
        parameters={"source": str(tmp_path), "wait_for_subscriber": True},
    )
    wanted = expected(PLAYER.published, PLAYER.name)

    def published() -> dict[str, list[str]]:
        names = [name for name, _ in listener.node.get_node_names_and_namespaces()]
        if PLAYER.name not in names:
            return {}
        return without_those_of_ros(
            listener.node.get_publisher_names_and_types_by_node(PLAYER.name, f"/{NAMESPACE}")
        )

    wait_for(lambda: published().keys() >= wanted.keys(), f"all of {sorted(wanted)}")
    assert published() == wanted
