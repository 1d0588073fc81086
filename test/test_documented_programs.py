"""Documented command lines of nodes, Python programs, pip, make and ros2 name only what the package has."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest
import yaml
from helpers.documented_commands import (
    CHECKED,
    PACKAGE,
    UNCHECKED,
    commands_in,
    documented_commands,
    of_program,
    parsed_only,
)
from helpers.executables import executables, interface_of, nodes
from torch.distributed import run as torch_run

from hand_pose_ros.common.late_import import import_named
from hand_pose_ros.common.options import leaves
from hand_pose_ros.ros.recorder import interface as recorder

REPOSITORY: Final = Path(__file__).resolve().parent.parent
DOCUMENTED: Final = documented_commands(REPOSITORY)
OF_ROS: Final = {("tf2_ros", "static_transform_publisher")}
"""Packages and executables of ROS 2 that documents run."""


@pytest.mark.parametrize("documented", of_program(DOCUMENTED, *nodes()), ids=str)
def test_command_line_of_a_node(documented):
    pytest.importorskip("rclpy", reason="test/ros is about the nodes")
    node, *arguments = documented.words
    check_node_arguments(interface_of(node).parameters, arguments)


@pytest.mark.parametrize(
    "documented", [one for one in DOCUMENTED if {"torchrun", "srun"} & set(one.words)], ids=str
)
def test_torchrun_starts_the_package(documented):
    words = documented.words[1:] if documented.words[0] == "srun" else documented.words
    assert words[0] == "torchrun"
    options = torch_run.get_args_parser().parse_args(list(words[1:]))
    assert options.module
    assert options.training_script == PACKAGE  # test_documented_commands.py reads what follows
    wanted = next(one for one in words if one.startswith("micro_batches="))
    processes = int(options.nproc_per_node) * int(str(options.nnodes).split(":")[-1])
    assert int(wanted.partition("=")[2]) % processes == 0


@pytest.mark.parametrize("documented", of_program(DOCUMENTED, "python"), ids=str)
def test_python_command(documented, monkeypatch):
    words = list(documented.words[1:])
    monkeypatch.chdir(REPOSITORY)
    if words[:2] == ["-m", "colcon"]:
        check_colcon(words[2:])
    elif words[:2] == ["-m", "pytest"]:
        files = [word for word in words[2:] if not word.startswith("-")]
        assert files
        assert all(Path(file).is_file() for file in files)
    elif words[0] == "-m":
        package, _, name = words[1].partition(".")
        assert package == "benchmarks"
        check_program(REPOSITORY / package / f"{name}.py", words[2:], monkeypatch)
    elif words[0] == "quickstart.py":
        assert "quickstart" in (REPOSITORY / "test" / "test_documents.py").read_text()  # which runs it
    else:
        check_program(REPOSITORY / words[0], words[1:], monkeypatch)


def check_colcon(arguments: Sequence[str]) -> None:
    verbs = [word for word in arguments if not word.startswith("--")]
    assert set(verbs) <= {"build", "test", PACKAGE}
    assert all(word == "--packages-select" for word in arguments if word.startswith("--"))


def check_program(path: Path, arguments: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The program's own parser reads the arguments; one without a parser takes as many as given."""
    source = path.read_text()
    if not arguments:
        assert '__name__ == "__main__"' in source
    elif "argparse" in source:
        monkeypatch.setattr(sys, "argv", [str(path), *arguments])
        monkeypatch.syspath_prepend(str(REPOSITORY))
        parsed_only(lambda: runpy.run_path(str(path), run_name="__main__"))
    else:
        taken = {int(index) for index in re.findall(r"sys\.argv\[(\d)\]", source)}
        assert max(taken, default=0) >= len(arguments) or "sys.argv[1:]" in source, (
            f"{path.name} takes {taken}"
        )


@pytest.mark.parametrize("documented", of_program(DOCUMENTED, "pip"), ids=str)
def test_pip_command(documented):
    assert documented.words[1] == "install"
    words = iter(documented.words[2:])
    for word in words:
        if word in ("-r", "-c"):
            assert (REPOSITORY / "requirements" / next(words)).is_file()
        elif word.startswith("."):
            extra = re.fullmatch(r"\.(?:\[(\w+)\])?", word).group(1)
            assert extra is None or f'"{extra}":' in (REPOSITORY / "setup.py").read_text()
        elif not word.startswith("-"):
            name = re.split(r"[<=>\[]", word)[0]
            assert f'"{name}' in (REPOSITORY / "setup.py").read_text(), f"setup.py does not know {name}"


def test_make_targets_and_variables_exist():
    text = (REPOSITORY / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    variables = set(
        re.findall(r"\$[({](\w+)[)}]|^(?:\w+: export )?(\w+) \?=|^export (\w+) (\w+)", text, re.M)
    )
    variables = {name for names in variables for name in names if name}
    variables |= set(re.search(r"^VARIABLES := (.*)$", text, re.MULTILINE)[1].split())
    commands = of_program(DOCUMENTED, "make")
    assert len(commands) > 10
    for one in commands:
        for word in one.words[1:]:
            name, equals, value = word.partition("=")
            assert name in (variables if equals else targets), f"{one}: make knows no {name}"
            if name == "BENCHMARKS":
                assert (REPOSITORY / "benchmarks" / f"{value}.py").is_file()


@pytest.mark.parametrize("documented", [one for one in DOCUMENTED if one.words[0] == "ros2"], ids=str)
def test_ros2_command(documented):
    check_ros2(documented.words)


@pytest.mark.parametrize(
    "line",
    [
        "run hand_pose_ros hand_estimator --ros-args -p tracker.max_hands:=1",
        "launch hand_pose_ros demo.launch.py source:=0 rviz:=false image:=/camera/image",
        "topic echo /hand_pose/left/wrist",
        "topic hz /diagnostics",
        "topic pub -r 10 /hand_pose/dead_man std_msgs/msg/Bool yes",
        "lifecycle set /hand_pose/hand_estimator configure",
        "run tf2_ros static_transform_publisher --frame-id base_link --child-frame-id camera",
        "param set /hand_pose/hand_estimator publish_tf wrist",
        "service call /hand_pose/hand_estimator/reset std_srvs/srv/Trigger",
    ],
)
def test_a_right_ros2_command_passes(line):
    check_ros2(("ros2", *line.split()))


@pytest.mark.parametrize(
    "line",
    [
        "run hand_pose_ros hand_estimater",
        "run hand_pose_ros hand_estimator --ros-args -p max_hands:=1",
        "run other_package hand_estimator",
        "launch hand_pose_ros demo.launch.py sorce:=0",
        "launch hand_pose_ros demo.launch.py source=0",
        "launch hand_pose_ros player.launch.py",
        "topic echo /hand_pose/wrist",
        "topic read /hand_pose/hands",
        "topic pub /hand_pose/dead_man std_msgs/msg/String yes",
        "topic pub /hand_pose/markers visualization_msgs/msg/MarkerArray yes",
        "run tf2_ros static_transforms",
        "param set /hand_pose/hand_estimator publish_tf sometimes",
        "param set /hand_pose/hand_estimator device cpu",
        "param set /hand_pose/other publish_tf wrist",
        "service call /hand_pose/hand_estimator/restart std_srvs/srv/Trigger",
        "service call /hand_pose/hand_estimator/reset std_srvs/srv/Empty",
        "lifecycle set hand_estimator sleep",
    ],
)
def test_a_wrong_ros2_command_is_noticed(line):
    with pytest.raises((AssertionError, KeyError, ValueError, FileNotFoundError)):
        check_ros2(("ros2", *line.split()))


def check_ros2(words: Sequence[str]) -> None:
    """The package has what the command names."""
    verb, *arguments = words[1:]
    if verb == "launch" and arguments:
        check_launch(arguments)
    elif verb == "run" and arguments:
        package, executable, *rest = arguments
        if (package, executable) in OF_ROS:
            return
        assert package == PACKAGE
        assert executable in executables()
        if executable in nodes() and rest:
            check_node_arguments(interface_of(executable).parameters, rest)
    elif verb == "topic":
        assert arguments[0] in ("echo", "hz", "info", "list", "pub")
        if arguments[0] == "pub":
            check_published(arguments[1:])
        else:
            check_topics([word for word in arguments[1:] if not word.startswith("-")])
    elif verb == "param":
        check_parameter(arguments)
    elif verb == "service":
        check_service(arguments)
    elif verb == "lifecycle":
        check_lifecycle(arguments)
    elif verb == "bag":
        assert arguments[0] in ("play", "record")
    else:
        assert verb in ("run", "launch"), "add a check of it here"  # these are names in a sentence


def check_launch(arguments: Sequence[str]) -> None:
    """The launch file is in the package, and it or one that it includes declares the arguments."""
    package, file, *rest = arguments
    assert package == PACKAGE
    declared = launch_arguments(REPOSITORY / "launch" / file)
    for word in rest:
        if word != "--show-args":
            name, assigned, _ = word.partition(":=")
            assert assigned
            assert name in declared, f"{file} declares no argument {name}"


def launch_arguments(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    declared = {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "DeclareLaunchArgument"
    }
    included = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and str(node.value).endswith(".launch.py")
    }
    for name in included - {path.name}:
        declared |= launch_arguments(path.parent / name)
    assert declared
    return declared


def check_topics(names: Sequence[str]) -> None:
    known = set()
    for interface in map(interface_of, nodes()):
        for endpoint in (*interface.subscribed, *interface.published):
            known |= {endpoint.name.replace("{left,right}", side) for side in ("left", "right")}
    for name in names:
        assert name.removeprefix("/hand_pose/") in known, f"no node has the topic {name}"


def check_published(arguments: Sequence[str]) -> None:
    """``[-r RATE] TOPIC TYPE VALUES``: a topic that a node subscribes to, with its type."""
    name, kind, _ = arguments[2:] if arguments[0] == "-r" else arguments
    kinds = {one.name: one.kind for node in nodes() for one in interface_of(node).subscribed}
    assert kinds[name.removeprefix("/hand_pose/")] == kind.replace("/msg/", "/")


def check_lifecycle(arguments: Sequence[str]) -> None:
    """``set NODE TRANSITION``, or ``get NODE``."""
    action, node, *transition = arguments
    assert action in ("get", "set")
    assert node.rpartition("/")[2] in nodes()
    assert set(transition) <= {"configure", "activate", "deactivate", "cleanup", "shutdown"}


def check_service(arguments: Sequence[str]) -> None:
    """``call NAME TYPE [VALUES]``; without arguments it is a name in a sentence."""
    action, *rest = arguments
    assert action == "call", "add a check of it here"
    if rest:
        *_, node, service = rest[0].split("/")
        services = recorder.SERVICES if node == recorder.NAME else interface_of(node).services
        kinds = {one.name: one.kind.replace("/", "/srv/") for one in services}
        assert kinds[f"~/{service}"] == rest[1]


def check_parameter(arguments: Sequence[str]) -> None:
    """``set NODE NAME VALUE``; without arguments it is a name in a sentence."""
    action, *rest = arguments
    assert action == "set", "add a check of it here"
    if rest:
        node, name, value = rest
        parameters = interface_of(node.rpartition("/")[2]).parameters
        assert not {leaf.name: leaf.spec for leaf in leaves(import_named(parameters))}[name].read_only
        check_node_arguments(parameters, ["--ros-args", "-p", f"{name}:={value}"])


def check_node_arguments(parameters: str, arguments: Sequence[str]) -> None:
    """The parameters given by ``-p`` exist, and their values are allowed."""
    options = import_named(parameters)
    if arguments == ["--help"]:
        return
    assert arguments[0] == "--ros-args"
    given = dict(value.split(":=", 1) for option, value in pairwise(arguments) if option in ("-p", "--param"))
    options.from_flat({name: yaml.safe_load(value) for name, value in given.items()})


def test_every_program_is_checked_by_a_test():
    seen = {one.words[0] for one in DOCUMENTED}
    assert seen <= {*CHECKED, *UNCHECKED}
    tested = {"hand_pose", *nodes(), "python", "pip", "make", "ros2", "tools/run", "torchrun", "srun"}
    assert seen & set(CHECKED) <= tested
    for one in DOCUMENTED:
        if one.words[0] == "tools/run":
            assert one.words[1] in tested, one


DOCUMENT = """
Run `hand_pose urdf --side left` or `make demo INPUT=0`; `CALIBRATION=camera.yaml` is for metres, `hand.py` a file,
`python -m
benchmarks.skinning` broken over two lines.

    DATA="--set a=[b] --set c=1"
    for name in one two; do  # a loop
        hand_pose train --config $name.yaml $DATA \\
            --set d=2
    done
    cd here && make test    # a comment
    hand_pose ablation runs/{one,two} ...

    R = Ry(flexion) Rz(abduction)

```python
hand_pose = "not a command"
```

```
ros2 topic list
```
"""


def test_documents_are_read_as_a_shell_reads_them():
    data = ("--set", "a=[b]", "--set", "c=1", "--set", "d=2")
    assert set(commands_in(DOCUMENT)) == {
        ("hand_pose", "urdf", "--side", "left"),
        ("make", "demo", "INPUT=0"),
        ("make", "CALIBRATION=camera.yaml"),
        ("python", "-m", "benchmarks.skinning"),
        ("hand_pose", "train", "--config", "one.yaml", *data),
        ("hand_pose", "train", "--config", "two.yaml", *data),
        ("cd", "here"),
        ("make", "test"),
        ("hand_pose", "ablation", "runs/one", "runs/two"),
        ("ros2", "topic", "list"),
    }


def test_an_unknown_program_among_commands_is_noticed():
    with pytest.raises(ValueError, match="'docker' of 'docker run image' is neither checked nor left alone"):
        list(commands_in("    make test\n    docker run image\n"))
