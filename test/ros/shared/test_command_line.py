"""The command line of the nodes: each answers --help without ROS and refuses what ROS would silently ignore."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from helpers.executables import interface_of, nodes

from hand_pose_ros.common.late_import import import_named
from hand_pose_ros.common.options import leaves
from hand_pose_ros.ros.hand_estimator.interface import INTERFACE as ESTIMATOR
from hand_pose_ros.ros.shared.command_line import answer, plain_arguments
from hand_pose_ros.ros.shared.interface import NodeInterface
from hand_pose_ros.ros.video_player.interface import INTERFACE as PLAYER


def run_without_ros(repository, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a node's main function in a process in which rclpy cannot be imported."""
    code = (
        "import importlib, sys; sys.modules['rclpy'] = None; "
        f"sys.exit(importlib.import_module({module!r}).main())"
    )
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("arguments", "plain"),
    [
        ([], []),
        (["--ros-args", "-r", "__ns:=/a", "-p", "x:=1"], []),
        (["a", "--ros-args", "-p", "x:=1", "--", "b", "--ros-args", "-p", "y:=2"], ["a", "b"]),
        (["x:=1"], ["x:=1"]),
    ],
)
def test_ros_reads_what_stands_behind_ros_args(arguments, plain):
    assert plain_arguments(arguments) == plain


def test_every_node_explains_itself_without_ros(repository):
    for name, module in nodes().items():
        result = run_without_ros(repository, module, "--help")
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith(f"usage: {name} [--ros-args [-p NAME:=VALUE ...]")
        interface = interface_of(name)
        for endpoint in (*interface.subscribed, *interface.published, *interface.services):
            assert re.search(
                rf"^  {re.escape(endpoint.name)} +{endpoint.kind} +{re.escape(endpoint.description)}$",
                result.stdout,
                re.MULTILINE,
            )
        declared = leaves(import_named(interface.parameters))
        essential = [leaf for leaf in declared if leaf.spec.essential] or declared
        listed = re.findall(r"^  ([\w.]+) \(default ", result.stdout, re.MULTILINE)
        assert listed == [leaf.name for leaf in essential]
        if len(essential) < len(declared):  # then it says where the others are
            assert interface.parameter_file in result.stdout
        assert (repository / interface.page).is_file()
        assert interface.page in result.stdout


def test_every_node_refuses_plain_arguments_without_ros_and_without_pytorch(repository):
    for name, module in nodes().items():
        result = run_without_ros(repository, module, "--max-hands", "1", "--ros-args", "-p", "x:=1")
        assert result.returncode == 2
        assert result.stderr == (
            f"{name}: unknown argument '--max-hands'; {name} --help tells how to pass parameters and "
            "remappings\n"
        )


def test_a_remapping_outside_of_ros_args_is_told_its_place(capsys):
    assert answer(PLAYER, ["image:=/camera/image"]) == 2
    assert "stand behind --ros-args: video_player --ros-args -p name:=value" in capsys.readouterr().err


def test_arguments_for_ros_start_the_node():
    assert answer(PLAYER, []) is None
    assert answer(PLAYER, ["--ros-args", "-p", "source:=0", "--"]) is None


def test_help_is_found_among_arguments_for_ros_and_imports_no_pytorch(repository):
    code = (
        "import sys; from hand_pose_ros.ros.video_player.process import main; "
        "assert main(['--ros-args', '-p', 'source:=0', '-h']) == 0; "
        "sys.exit(bool({'torch', 'cv2', 'rclpy'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, check=True)


def test_the_pages_name_every_topic_and_service(repository):
    for name, page in ((ESTIMATOR, "docs/use/node.md"), (ESTIMATOR, "README.md")):
        rows = [row for row in (repository / page).read_text().splitlines() if row.startswith("|")]
        for endpoint in (*name.subscribed, *name.published, *name.services):
            base = endpoint.name.rpartition("}/")[2].partition("/compressed")[0]
            kind = endpoint.kind.rpartition("/")[2]
            found = [row for row in rows if re.search(rf"[`/]{re.escape(base)}`", row)]
            assert found, f"{page} does not name {endpoint.name}"
            if not base.startswith("/"):
                assert any(kind in row for row in found), f"{page} does not say that {base} is a {kind}"


def test_a_node_without_essential_parameters_lists_all(capsys):
    interface = NodeInterface("example", "An example.", PLAYER.parameters)
    assert answer(interface, ["--help"]) == 0
    text = capsys.readouterr().out
    assert "publishes" not in text
    for leaf in leaves(import_named(PLAYER.parameters)):
        assert f"\n  {leaf.name} (default " in text
