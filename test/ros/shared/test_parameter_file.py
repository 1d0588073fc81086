"""What a parameter file gives to a node, by the package's reader as by ROS's own."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node

from hand_pose_ros.ros.shared.parameter_file import node_parameters

NODE = "/lab/left/hand_teleop"
ROBOT = "{ros__parameters: {robot: leap, hand: {side: left}}}"
FILES = {
    "every node": f"/**: {ROBOT}",
    "full name": f"{NODE}: {ROBOT}",
    "without the first slash": f"{NODE[1:]}: {ROBOT}",
    "bare name": f"hand_teleop: {ROBOT}",
    "another node": f"/lab/left/hand_estimator: {ROBOT}",
    "namespaces as sections": f"lab: {{left: {{hand_teleop: {ROBOT}}}}}",
    "any namespace": f"/**/hand_teleop: {ROBOT}",
    "any namespace as a section": f"/**: {{hand_teleop: {ROBOT}}}",
    "one namespace": f"/*/hand_teleop: {ROBOT}",
    "two namespaces": f"/*/*/hand_teleop: {ROBOT}",
    "all of a namespace": f"/lab/**: {ROBOT}",
    "a name with a dot": "/**: {ros__parameters: {hand.side: left}}",
    "the last one counts": f"{NODE}: {ROBOT}\n/**: {{ros__parameters: {{robot: shadow}}}}",
    "numbers, lists, true": "/**: {ros__parameters: {a: {b: 0.5, c: 2}, d: [1, 2], e: true}}",
}


@pytest.mark.parametrize("name", FILES)
def test_it_reads_what_ros_reads(name, tmp_path):
    file = tmp_path / "teleop.yaml"
    file.write_text(FILES[name])
    assert node_parameters(file, NODE) == by_ros(file)


def by_ros(file: Path) -> dict[str, object]:
    context = Context()
    rclpy.init(args=["--ros-args", "--params-file", str(file)], context=context)
    namespace, _, name = NODE.rpartition("/")
    node = Node(name, namespace=namespace, context=context, start_parameter_services=False)
    try:
        found = {key: given.value for key, given in node._parameter_overrides.items()}
        return {key: value.tolist() if isinstance(value, array) else value for key, value in found.items()}
    finally:
        node.destroy_node()
        context.shutdown()


@pytest.mark.parametrize(
    ("text", "reason"),
    [("- 1", "must hold"), ("/**: {ros__parameters: 3}", "must hold"), ("/**: [", "not a usable YAML file")],
)
def test_what_is_no_parameter_file_is_refused(text, reason, tmp_path):
    file = tmp_path / "teleop.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=rf"teleop\.yaml .*{reason}"):
        node_parameters(file, NODE)


def test_an_empty_file_gives_nothing(tmp_path):
    file = tmp_path / "teleop.yaml"
    file.write_text("")
    assert node_parameters(file, NODE) == {}
