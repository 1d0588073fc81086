"""The Foxglove layout: what it shows exists, under the names that the nodes use."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from hand_pose_ros import hand
from hand_pose_ros.ros.hand_estimator.interface import INTERFACE
from hand_pose_ros.ros.messages import markers


@pytest.fixture
def panels(repository: Path) -> dict[str, dict[str, Any]]:
    return json.loads((repository / "config/hand_pose.foxglove.json").read_text())["configById"]


def published() -> set[str]:
    """Absolute names of the estimator's topics."""
    names = {
        re.sub(r"\{left,right\}", side, one.name) for one in INTERFACE.published for side in ("left", "right")
    }
    return {name if name.startswith("/") else f"/hand_pose/{name}" for name in names}


def leaves(layout: object) -> Iterator[str]:
    """The panels of a layout, in its splits."""
    if isinstance(layout, str):
        yield layout
    elif isinstance(layout, dict):
        yield from leaves(layout["first"])
        yield from leaves(layout["second"])


def test_every_panel_is_placed(repository, panels):
    layout = json.loads((repository / "config/hand_pose.foxglove.json").read_text())
    assert sorted(leaves(layout["layout"])) == sorted(panels)


def test_its_topics_are_the_estimator_s(panels):
    scene = panels["3D!hands"]
    shown = {*scene["topics"], panels["Image!overlay"]["imageMode"]["imageTopic"]}
    shown |= {panels["DiagnosticSummary!nodes"]["topicToRender"]}
    assert shown <= published()
    assert set(scene["topics"]["/hand_pose/markers"]["namespaces"]) == {
        markers.MESH,
        markers.SKELETON,
        markers.JOINTS,
        markers.LABEL,
        markers.UNCERTAINTY,
        markers.JOINT_UNCERTAINTY,
    }
    assert scene["followTf"] == "hand_pose_view"


@pytest.mark.parametrize("side", hand.SIDES)
def test_its_plots_show_the_joints_that_they_name(panels, side):
    paths = panels[f"Plot!{side}"]["paths"]
    assert len(paths) == len(hand.FINGERS)
    for path in paths:
        topic, index = re.fullmatch(r"(\S+)\.position\[(\d+)\]", path["value"]).groups()
        assert topic == f"/hand_pose/{side}/joint_states"
        finger, joint = path["label"].lower().split()
        assert hand.ANGLE_NAMES[int(index)] == f"{finger}_{joint}_flexion"
