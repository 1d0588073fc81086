"""The launch files: their arguments, and what they start for which of them."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")
pytest.importorskip(
    "launch_ros", reason="needs launch and launch_ros, which come with ROS 2 and not from PyPI"
)

from launch.actions import (
    DeclareLaunchArgument,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.events.process import ProcessExited
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions
from launch_ros.actions import Node

from launch import LaunchContext, LaunchDescription

FASTDDS_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")


@pytest.fixture(autouse=True)
def package_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, repository: Path) -> None:
    """The checkout as an installed package, whatever else the environment holds."""
    resource = tmp_path / "share/ament_index/resource_index/packages/hand_pose_ros"
    resource.parent.mkdir(parents=True)
    resource.touch()
    (tmp_path / "share/hand_pose_ros").symlink_to(repository)
    paths = [str(tmp_path), *filter(None, [os.environ.get("AMENT_PREFIX_PATH")])]
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(paths))
    for name in FASTDDS_VARIABLES:
        monkeypatch.delenv(name, raising=False)


def description(repository: Path, name: str) -> LaunchDescription:
    return get_launch_description_from_python_launch_file(str(repository / "launch" / name))


def module(repository: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("launch_file", repository / "launch" / name)
    result = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(result)
    return result


def launched(repository: Path, name: str, **arguments: str) -> tuple[list[Any], LaunchContext]:
    """What a launch file does for these arguments, without doing it."""
    context = LaunchContext()
    context.launch_configurations.update(arguments)
    entities: list[Any] = []
    for entity in description(repository, name).entities:
        if isinstance(entity, DeclareLaunchArgument):
            entity.execute(context)
        elif isinstance(entity, OpaqueFunction):
            entities += entity.execute(context) or []
        else:
            entities.append(entity)
    return entities, context


def node(entities: list[Any], executable: str, context: LaunchContext) -> Node:
    """The node of an executable, with its substitutions done."""
    found = next(e for e in entities if isinstance(e, Node) and e.node_executable == executable)
    found._perform_substitutions(context)
    return found


def parameters(started: Node) -> list[Any]:
    """Parameters given to a node: names of files, and contents of dictionaries."""
    result = []
    for path, is_file in started._Node__expanded_parameter_arguments:
        assert is_file
        is_dictionary = Path(path).name.startswith("launch_params")
        if is_dictionary:
            text = Path(path).read_text().replace("!!python/tuple", "")  # which rcl does not mind
            (of_node,) = yaml.safe_load(text).values()
        result.append(of_node["ros__parameters"] if is_dictionary else path)
    return result


@pytest.mark.parametrize("name", ["estimator.launch.py", "demo.launch.py", "teleop.launch.py"])
def test_every_argument_is_described(repository, name):
    arguments = [e for e in description(repository, name).entities if isinstance(e, DeclareLaunchArgument)]
    assert arguments
    for argument in arguments:
        assert "." in argument.description, argument.name
        assert argument.default_value is not None, f"{argument.name} must not be required"


@pytest.mark.parametrize("name", ["demo.launch.py", "teleop.launch.py"])
def test_the_estimator_s_launch_file_takes_what_an_including_one_sets(repository, name):
    entities, context = launched(repository, name, max_hands="1")
    (include,) = (entity for entity in entities if isinstance(entity, IncludeLaunchDescription))
    started = [entity for one in include.execute(context) for entity in taken(one, context)]
    assert parameters(node(started, "hand_estimator", context))[1]["tracker.max_hands"] == 1


def taken(entity: Any, context: LaunchContext) -> list[Any]:
    """The nodes of an included file; each of its arguments is checked."""
    if isinstance(entity, Node | SetEnvironmentVariable):
        return [entity]
    is_file = isinstance(entity, LaunchDescription)
    parts = entity.entities if is_file else entity.execute(context) or []
    return [found for one in parts for found in taken(one, context)]


def test_only_what_the_user_set_is_forwarded(repository):
    entities, context = launched(repository, "estimator.launch.py")
    estimator = node(entities, "hand_estimator", context)
    assert estimator.expanded_node_namespace == "/hand_pose"
    assert estimator.expanded_remapping_rules == [("image", "image")]
    file, overrides = parameters(estimator)
    assert overrides == {"autostart": True, "view_frame": "hand_pose_view"}
    assert Path(file).resolve() == repository / "config" / "estimator.yaml"
    assert not [e for e in entities if isinstance(e, Node) and e is not estimator]


def test_the_user_s_arguments_arrive(repository, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("/**: {ros__parameters: {tracker: {max_hands: 1}}}\n")
    entities, context = launched(
        repository,
        "estimator.launch.py",
        image="/camera/image_raw",
        camera_info="/calibration",
        namespace="robot/hands",
        device="cpu",
        hand_size_m="0.08",
        image_transport="compressed",
        use_sim_time="true",
        detector="own",
        estimator="heatmap",
        heatmap_weights="/data/heatmap.safetensors",
        mesh_weights="/data/mesh.safetensors",
        condition="keypoints",
        samples="4",
        max_hands="1",
        mirrored="true",
        publish_tf="wrist",
        frame_prefix="left_",
        autostart="false",
        view_frame="none",
        params_file=str(file),
    )
    estimator = node(entities, "hand_estimator", context)
    assert estimator.expanded_node_namespace == "/robot/hands"
    assert estimator.expanded_remapping_rules == [
        ("image", "/camera/image_raw"),
        ("camera_info", "/calibration"),
    ]
    path, overrides = parameters(estimator)
    assert Path(path) == file
    assert overrides == {
        "device": "cpu",
        "hand_size_m": 0.08,
        "image_transport": "compressed",
        "use_sim_time": True,
        "detector": "own",
        "estimator": "heatmap",
        "heatmap.weights": "/data/heatmap.safetensors",
        "mesh_diffusion.weights": "/data/mesh.safetensors",
        "diffusion.condition": "keypoints",
        "diffusion.samples": 4,
        "tracker.max_hands": 1,
        "mirrored": True,
        "publish_tf": "wrist",
        "frame_prefix": "left_",
        "autostart": False,
        "view_frame": "",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"max_hands": "two"}, "the launch argument max_hands must be a whole number, got 'two'"),
        ({"hand_size_m": "8cm"}, "the launch argument hand_size_m must be a number, got '8cm'"),
    ],
)
def test_a_bad_value_is_refused_by_the_argument_s_name(repository, arguments, message):
    with pytest.raises(ValueError, match=message):
        launched(repository, "estimator.launch.py", **arguments)


@pytest.mark.parametrize("name", ["estimator.launch.py", "demo.launch.py", "teleop.launch.py"])
def test_unknown_arguments_are_named(repository, name, monkeypatch):
    logged = []
    logger = SimpleNamespace(warning=logged.append)
    monkeypatch.setattr("hand_pose_ros.ros.shared.launching.get_logger", lambda name: logger)

    def messages(program: str) -> list[str]:
        logged.clear()
        monkeypatch.setattr("sys.argv", ["ros2", "launch", "hand_pose_ros", program])
        context = LaunchContext(argv=["max_hand:=1", "image:=/camera", "max_hands:=2"])
        _, check, *_ = (e for e in description(repository, name).entities if isinstance(e, OpaqueFunction))
        check.execute(context)
        return list(logged)

    assert messages(name) == [
        "there is no launch argument 'max_hand': it is not used; did you mean max_hands?"
    ]
    assert messages("lab.launch.py") == []  # a file that includes ours may have it


@pytest.mark.parametrize(("code", "ends"), [(1, True), (-9, True), (0, False)])
def test_a_node_that_fails_ends_the_launch(repository, code, ends):
    entities, context = launched(repository, "estimator.launch.py")
    estimator = node(entities, "hand_estimator", context)
    event = ProcessExited(
        action=estimator, name="hand_estimator", cmd=[], cwd=None, env=None, pid=1, returncode=code
    )
    actions = estimator._ExecuteLocal__on_exit(event, context) or []
    assert [type(action) for action in actions] == [Shutdown] * ends


def test_ctrl_c_waits_for_the_interpreter(repository):
    entities, context = launched(repository, "estimator.launch.py")
    estimator = node(entities, "hand_estimator", context)
    prefix = perform_substitutions(context, estimator.process_description.prefix)
    assert prefix == "env --block-signal=INT setpriv --pdeathsig TERM"
    assert perform_substitutions(context, estimator.process_description.name) == "hand_estimator"
    entities, context = launched(repository, "estimator.launch.py", **{"launch-prefix": "gdb --args"})
    estimator = node(entities, "hand_estimator", context)
    assert perform_substitutions(context, estimator.process_description.prefix) == "gdb --args"


@pytest.mark.parametrize("name", ["estimator.launch.py", "demo.launch.py", "teleop.launch.py"])
def test_ctrl_c_does_not_interrupt_the_start_of_a_process(repository, name):
    """The loop of launch sees SIGINT by a file descriptor; KeyboardInterrupt in a start would lose the process."""
    before = signal.getsignal(signal.SIGINT)
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        launched(repository, name)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # launch does not run
        context = LaunchContext()
        context._set_asyncio_loop(asyncio.new_event_loop())
        next(e for e in description(repository, name).entities if isinstance(e, OpaqueFunction)).execute(
            context
        )
        signal.raise_signal(signal.SIGINT)  # raises nothing
    finally:
        context.asyncio_loop.close()
        signal.signal(signal.SIGINT, before)


def displays(layout: Path) -> list[dict[str, Any]]:
    return yaml.safe_load(layout.read_text())["Visualization Manager"]["Displays"]


def own_words(started: Node, context: LaunchContext) -> list[str]:
    """The words of a node's command that are its own, not ROS's."""
    words: list[str] = []
    for part in started.cmd[1:]:
        words.append(perform_substitutions(context, part))
        if words[-1] == "--ros-args":
            break
    return words


def static_frames(entities: list[Any], context: LaunchContext) -> dict[str, str]:
    """Child -> parent of the frames that are broadcast."""
    result = {}
    for one in entities:
        if isinstance(one, Node) and one.node_executable == "static_transform_publisher":
            words = own_words(one, context)
            result[words[words.index("--child-frame-id") + 1]] = words[words.index("--frame-id") + 1]
    return result


def test_rviz_has_an_upright_frame_before_the_first_image(repository):
    entities, context = launched(repository, "estimator.launch.py", rviz="true", namespace="lab/left")
    view = parameters(node(entities, "hand_estimator", context))[1]["view_frame"]
    assert view == "lab_left_view"
    command = own_words(node(entities, "rviz2", context), context)
    assert command[command.index("--fixed-frame") + 1] == view
    assert static_frames(entities, context) == {}  # the estimator broadcasts it


def test_robot_models_stand_beside_the_hands(repository):
    entities, context = launched(repository, "estimator.launch.py", rviz="true", robot_models="true")
    publishers = [e for e in entities if isinstance(e, Node) and e.node_executable == "robot_state_publisher"]
    assert len(publishers) == 2
    frames = static_frames(entities, context)
    assert {frames[f"model/{side}_hand_wrist"] for side in ("left", "right")} == {"hand_pose_view"}
    command = own_words(node(entities, "rviz2", context), context)
    layout = Path(command[command.index("-d") + 1])
    models = [display for display in displays(layout) if display["Class"].endswith("RobotModel")]
    assert [model["Enabled"] for model in models] == [True, True]


def test_the_display_follows_the_namespace(repository):
    entities, context = launched(
        repository, "estimator.launch.py", rviz="true", namespace="robot", fixed_frame="lens"
    )
    assert static_frames(entities, context) == {}
    rviz = node(entities, "rviz2", context)
    assert ("/hand_pose/markers", "/robot/markers") in rviz.expanded_remapping_rules
    command = [perform_substitutions(context, part) for part in rviz.cmd[1:]]
    assert command[command.index("--fixed-frame") + 1] == "lens"
    assert Path(command[command.index("-d") + 1]).resolve() == repository / "config/hand_pose.rviz"
    shown = {
        value
        for layout in ("hand_pose.rviz", "teleop.rviz")
        for display in displays(repository / "config" / layout)
        for key, topic in display.items()
        if key.endswith("Topic") and (value := topic["Value"])
    }
    expected = module(repository, "estimator.launch.py").SHOWN_TOPICS
    assert shown == {f"/hand_pose/{topic}" for topic in expected}


def test_the_fast_dds_profile_is_set_unless_the_user_has_one(repository, monkeypatch):
    def variables() -> dict[str, str]:
        entities, context = launched(repository, "estimator.launch.py")
        return {
            perform_substitutions(context, e.name): perform_substitutions(context, e.value)
            for e in entities
            if isinstance(e, SetEnvironmentVariable)
        }

    found = variables()
    assert set(found) == set(FASTDDS_VARIABLES)
    assert {Path(value).resolve() for value in found.values()} == {repository / "config" / "fastdds.xml"}
    monkeypatch.setenv(FASTDDS_VARIABLES[0], "/home/me/profile.xml")
    assert variables() == {}


def test_robot_models_that_nothing_shows_are_said(repository):
    entities, context = launched(repository, "estimator.launch.py", robot_models="true")
    (said,) = (entity for entity in entities if isinstance(entity, LogInfo))
    assert "rviz:=true" in perform_substitutions(context, said.msg)
    entities, _ = launched(repository, "estimator.launch.py", robot_models="false")
    assert not [entity for entity in entities if isinstance(entity, LogInfo)]


def test_the_demo_plays_into_the_estimator(repository):
    entities, context = launched(
        repository,
        "demo.launch.py",
        source="rig.mcap",
        source_topic="/left/image",
        rate_hz="10",
        horizontal_fov_deg="60",
        namespace="demo",
    )
    player = node(entities, "video_player", context)
    assert player.expanded_node_namespace == "/demo"
    assert parameters(player) == [
        {
            "loop": True,
            "wait_for_subscriber": True,
            "source": "rig.mcap",
            "image_topic": "/left/image",
            "rate_hz": 10.0,
            "horizontal_fov_deg": 60.0,
        }
    ]
    (include,) = (entity for entity in entities if isinstance(entity, IncludeLaunchDescription))
    include.execute(context)
    assert context.launch_configurations["rviz"] == "true"
    assert "loop" not in [name for name, _ in include.launch_arguments]


def test_teleop_starts_a_teleop_that_stays_with_its_parameter_file(repository):
    entities, context = launched(repository, "teleop.launch.py")
    teleop = node(entities, "hand_teleop", context)
    assert teleop.expanded_node_namespace == "/hand_pose"
    file, overrides = parameters(teleop)
    assert Path(file).resolve() == repository / "config" / "teleop.yaml"
    assert overrides == {"autostart": True}
    assert [e.node_executable for e in entities if isinstance(e, Node)] == ["hand_teleop"]
    (include,) = (entity for entity in entities if isinstance(entity, IncludeLaunchDescription))
    assert include.condition.evaluate(context)
    _, context = launched(repository, "teleop.launch.py", start_estimator="false")
    assert not include.condition.evaluate(context)


def test_teleop_passes_on_what_the_user_set(repository):
    entities, context = launched(
        repository,
        "teleop.launch.py",
        robot="leap",
        robot_description_file="/leap.urdf",
        robot_description="/robot/description",
        side="left",
        command_kind="joint_state",
        command_topic="/cmd_leap",
        joint_states_topic="/leap/state",
        gesture="thumbs_up",
        dead_man="true",
        autostart="false",
    )
    teleop = node(entities, "hand_teleop", context)
    assert parameters(teleop)[1] == {
        "robot": "leap",
        "robot_description_file": "/leap.urdf",
        "hand.side": "left",
        "command.kind": "joint_state",
        "command.topic": "/cmd_leap",
        "joint_states_topic": "/leap/state",
        "gesture.name": "thumbs_up",
        "dead_man.used": True,
        "autostart": False,
    }
    assert teleop.expanded_remapping_rules == [("robot_description", "/robot/description")]


def test_teleop_with_a_simulated_robot_shares_its_topics(repository):
    entities, context = launched(
        repository, "teleop.launch.py", simulated_robot="true", side="left", namespace="lab"
    )
    # Nodes of other packages would end with errors when Ctrl-C comes while they start.
    assert {e.node_package for e in entities if isinstance(e, Node)} == {"hand_pose_ros"}
    simulator = node(entities, "robot_simulator", context)
    assert simulator.expanded_node_namespace == "/lab"
    assert simulator.expanded_remapping_rules == [("robot_description", "robot/robot_description")]
    model = {
        "robot": "demo_hand",
        "command_kind": "profile",
        "command_topic": "robot/command",
        "joint_states_topic": "robot/joint_states",
        "side": "left",
        "publish_description": True,
        "publish_frames": True,
        "frame_prefix": "robot/",
    }
    (given,) = parameters(simulator)
    position, orientation = given.pop("root_position_m"), given.pop("root_orientation")
    assert given == model | {"root_parent_frame": "lab_view"}
    assert len(position) == 3
    assert np.linalg.norm(orientation) == pytest.approx(1)
    assert parameters(node(entities, "hand_teleop", context))[1] == {
        "hand.side": "left",
        "command.topic": "robot/command",
        "joint_states_topic": "robot/joint_states",
        "robot_frame_prefix": "robot/",
        "autostart": True,
    }
    entities, context = launched(repository, "teleop.launch.py", simulated_robot="true", robot="leap")
    (given,) = parameters(node(entities, "robot_simulator", context))
    assert given == model | {"side": "right", "robot": "leap"}
    assert parameters(node(entities, "hand_teleop", context))[1]["command.topic"] == "robot/command"


def test_a_simulated_robot_is_the_one_of_teleop_s_parameter_file(repository, tmp_path):
    file = tmp_path / "teleop.yaml"
    in_file = "robot: leap, robot_description_file: /leap.urdf, hand: {side: left}"
    driver = "command: {kind: trajectory, topic: /cmd_leap}, joint_states_topic: /leap_state"
    file.write_text(f"/lab/hand_teleop: {{ros__parameters: {{{in_file}, {driver}}}}}")

    def simulated(**arguments: str) -> dict[str, Any]:
        arguments |= {"simulated_robot": "true", "teleop_params_file": str(file)}
        entities, context = launched(repository, "teleop.launch.py", **arguments)
        of_teleop = parameters(node(entities, "hand_teleop", context))[1]
        assert of_teleop["command.topic"] == "robot/command", "a driver's topic is never used"
        assert of_teleop["joint_states_topic"] == "robot/joint_states"
        return parameters(node(entities, "robot_simulator", context))[0]

    names = ("robot", "robot_description_file", "side", "command_kind", "command_topic", "joint_states_topic")
    given = simulated(namespace="lab")
    assert [given[name] for name in names[:4]] == ["leap", "/leap.urdf", "left", "trajectory"]
    assert [given[name] for name in names[4:]] == ["robot/command", "robot/joint_states"]
    assert "root_parent_frame" not in given
    given = simulated(namespace="lab", robot="shadow", robot_side="right", command_kind="multi_array")
    assert [given[name] for name in names[:4]] == ["shadow", "/leap.urdf", "right", "multi_array"]
    assert "robot" not in simulated(), "the file names a node of another namespace"
    file.unlink()
    with pytest.raises(ValueError, match=r"cannot follow teleop_params_file: .*teleop\.yaml"):
        simulated()


def test_teleop_shows_a_layout_of_its_own(repository):
    entities, context = launched(repository, "teleop.launch.py")
    (include,) = (entity for entity in entities if isinstance(entity, IncludeLaunchDescription))
    given = {
        perform_substitutions(context, normalize_to_list_of_substitutions(name)): perform_substitutions(
            context, normalize_to_list_of_substitutions(value)
        )
        for name, value in include.launch_arguments
    }
    assert Path(given["rviz_layout"]).resolve() == repository / "config/teleop.rviz"
