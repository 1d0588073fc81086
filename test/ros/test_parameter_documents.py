"""Parameter file, code and documentation say the same; the RViz layout shows what there is."""

from __future__ import annotations

import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from hand_pose_ros import hand
from hand_pose_ros.common.option_documents import table
from hand_pose_ros.common.options import leaves
from hand_pose_ros.ros.messages import markers as messages_markers
from hand_pose_ros.ros.parameter_documents import NODES, PARAMETER_FILES, parameter_file, with_tables

DOCUMENTS = ("docs/use/node.md", "docs/use/teleoperation.md")


@pytest.mark.parametrize("name", PARAMETER_FILES)
def test_the_parameter_file_is_up_to_date(repository, name):
    text = (repository / "config" / name).read_text()
    assert text == parameter_file(name), f"run `hand_pose parameters config/{name}`"


@pytest.mark.parametrize("name", PARAMETER_FILES)
def test_ros_reads_the_parameter_file_as_the_defaults(repository, name):
    document = yaml.safe_load((repository / "config" / name).read_text())
    assert list(document) == ["/**"], "another key does not match a node in a namespace"
    kind = NODES[PARAMETER_FILES[name]]
    given = dict(flattened(document["/**"]["ros__parameters"]))
    assert given == {leaf.name: leaf.default for leaf in leaves(kind)}
    assert kind.from_flat(given) == kind()


def test_another_parameter_file_is_refused():
    with pytest.raises(ValueError, match="there is no parameter file"):
        parameter_file("mine.yaml")


def flattened(values, prefix=""):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flattened(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_tables_of_the_documents_are_up_to_date(repository, name):
    path = repository / name
    if not path.exists():
        pytest.skip(f"there is no {name}")
    text = path.read_text()
    assert with_tables(text) == text, f"run `hand_pose parameters {name}`"


def test_the_pages_have_a_table_of_each_node(repository):
    text = "".join((repository / name).read_text() for name in DOCUMENTS)
    for node, parameters in NODES.items():
        assert f"<!-- parameters of {node} -->\n{table(parameters)}<!-- end" in text


def test_tables_are_written_between_their_marks():
    text = "before\n<!-- parameters of video_player -->\noutdated\n<!-- end of parameters -->\nafter\n"
    result = with_tables(text)
    assert result.startswith("before\n<!-- parameters of video_player -->\n| parameter |")
    assert result.endswith("<!-- end of parameters -->\nafter\n")
    assert "outdated" not in result
    assert with_tables(result) == result
    with pytest.raises(ValueError, match="there is no node 'other'"):
        with_tables(text.replace("video_player", "other"))


def test_the_layout_shows_topics_and_namespaces_that_exist(repository):
    manager = yaml.safe_load((repository / "config" / "hand_pose.rviz").read_text())["Visualization Manager"]
    displays = {display["Name"]: display for display in manager["Displays"]}
    kinds = {display["Class"] for display in displays.values()}
    assert kinds >= {f"rviz_default_plugins/{kind}" for kind in ("MarkerArray", "TF", "Image", "RobotModel")}
    topics = {
        value["Value"]
        for display in displays.values()
        for key, value in display.items()
        if key.endswith("Topic")
    }
    described = {f"{side}/robot_description" for side in hand.SIDES}
    assert topics == {f"/hand_pose/{t}" for t in ("hands", "markers", "image_overlay", *described)}
    assert set(displays["Hands"]["Namespaces"]) == {
        messages_markers.SKELETON,
        messages_markers.JOINTS,
        messages_markers.MESH,
        messages_markers.LABEL,
        messages_markers.UNCERTAINTY,
        messages_markers.JOINT_UNCERTAINTY,
    }
