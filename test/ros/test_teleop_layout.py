"""The Foxglove layout of the teleoperation shows topics, joints and frames that the demo's bag has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from hand_pose_ros.ros.demo.node import NAMESPACE
from hand_pose_ros.ros.demo.robot.demo_robot import FRAME_PREFIX, read_demo_robot
from hand_pose_ros.ros.demo.robot.node import STATE_TOPIC, VIEW_FRAME
from hand_pose_ros.ros.messages import frame_check


@pytest.fixture
def layout(repository: Path) -> dict[str, Any]:
    return json.loads((repository / "config/teleop.foxglove.json").read_text())


@pytest.fixture
def panels(layout: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return layout["configById"]


def leaves(part: object) -> Iterator[str]:
    """The panels of a layout, in its splits."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        yield from leaves(part["first"])
        yield from leaves(part["second"])


def test_every_panel_is_placed(layout, panels):
    assert sorted(leaves(layout["layout"])) == sorted(panels)


def test_the_scene_has_the_robot_and_the_frame_checker(panels):
    scene = panels["3D!hands"]
    checker = scene["topics"][f"{NAMESPACE}/frame_checker"]["namespaces"]
    assert set(checker) == {
        frame_check.HUMAN,
        frame_check.ROBOT,
        frame_check.RESIDUALS,
        frame_check.LABELS,
    }
    assert scene["layers"]["robot"]["topic"] == f"{NAMESPACE}/robot_description"
    assert scene["layers"]["robot"]["framePrefix"] == FRAME_PREFIX
    assert scene["followTf"] == scene["layers"]["floor"]["frameId"] == VIEW_FRAME


def test_the_plots_pair_each_command_with_the_robot_s_joint(panels):
    robot = read_demo_robot("demo_hand", "", "right")
    command = f"{NAMESPACE}/{robot.command_topic}.points[0].positions"
    state = f"{NAMESPACE}/{robot.state_topic}.position"
    for panel, finger in (("Plot!fingers", ""), ("Plot!thumb", "thumb ")):
        paths = panels[panel]["paths"]
        for commanded, reported in zip(paths[::2], paths[1::2], strict=True):
            (topic, index), (of_state, same) = (
                re.fullmatch(r"(\S+)\[(\d+)\]", path["value"]).groups() for path in (commanded, reported)
            )
            assert (topic, of_state, index) == (command, state, same)
            label = f"{finger}{commanded['label'].removesuffix(', command')}".lower().replace(" ", "_")
            assert robot.robot.value_names[int(index)] == f"right_demo_{label}"
            assert reported["label"] == commanded["label"].replace("command", "robot")


def test_images_states_and_diagnostics_are_those_of_the_bag(panels):
    assert panels["Image!overlay"]["imageMode"]["imageTopic"] == f"{NAMESPACE}/image_overlay/compressed"
    (state,) = panels["StateTransitions!teleop"]["paths"]
    assert state["value"] == f"{STATE_TOPIC}.data"
    assert panels["DiagnosticSummary!nodes"]["topicToRender"] == "/diagnostics"
