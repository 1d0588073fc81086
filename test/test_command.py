"""The ``hand_pose`` command: it lists its tools without their libraries, and documents name only those."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from helpers.executables import executables

import hand_pose_ros
from hand_pose_ros.command import COMMANDS, main

NEED_ROS = ("demo", "parameters")


def test_the_list_names_every_command_and_imports_no_heavy_library():
    code = (
        "import sys; from hand_pose_ros.command import main; assert main([]) == 0; "
        "print({'torch', 'cv2', 'numpy', 'rclpy'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert answer.splitlines()[-1] == "set()"
    for verb, (_, what) in COMMANDS.items():
        assert re.search(rf"^  {verb} +{re.escape(what)}$", answer, re.MULTILINE)


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_explains_itself(verb, capsys):
    if verb in NEED_ROS:
        pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")
    with pytest.raises(SystemExit) as ended:
        main([verb, "--help"])
    assert ended.value.code == 0
    assert " ".join(capsys.readouterr().out.split()).startswith(f"usage: hand_pose {verb} [-h]")


def test_the_version_is_that_of_the_package(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"hand_pose_ros {hand_pose_ros.__version__}\n"


def test_an_unknown_command_is_refused(capsys):
    assert main(["evalute"]) == 2
    assert capsys.readouterr().err == "hand_pose: there is no command 'evalute'; did you mean 'evaluate'?\n"
    assert main(["xyz"]) == 2
    assert "hand_pose --help lists them" in capsys.readouterr().err


def test_a_missing_library_is_named(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "hand_pose_ros.urdf", None)
    with pytest.raises(ModuleNotFoundError):
        main(["urdf"])
    monkeypatch.delitem(sys.modules, "hand_pose_ros.urdf")
    monkeypatch.setitem(sys.modules, "xml.etree", None)
    monkeypatch.setitem(sys.modules, "xml.etree.ElementTree", None)
    assert main(["urdf"]) == 1
    assert "hand_pose urdf: the library 'xml.etree" in capsys.readouterr().err


def test_texts_name_only_commands_that_there_are(repository):
    names = subprocess.check_output(
        ["git", "ls-files", "*.md", "*.py", "*.yaml", "Makefile"], cwd=repository, text=True
    )
    for name in names.split():
        text = (repository / name).read_text() if name != "test/test_command.py" else ""
        for verb in re.findall(r"\b(?:hand_pose|-m hand_pose_ros) ([a-z][a-z0-9-]*)", text):
            assert verb in COMMANDS, f"{name} names hand_pose {verb}"


def test_launch_files_start_installed_executables(repository):
    installed = executables().keys()
    for path in (repository / "launch").glob("*.launch.py"):
        text = path.read_text()
        started = set(re.findall(r'package=PACKAGE,\s+executable="(\w+)"', text))
        started |= set(re.findall(r'ExecutableInPackage\("(\w+)", PACKAGE\)', text))
        assert started
        assert started <= installed
        for verb in re.findall(r'PACKAGE\), " ([\w-]+) ', text):
            assert verb in COMMANDS
