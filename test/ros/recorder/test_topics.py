"""Which topics are recorded, as which types and in which quality of service; and how the command names them."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import String

from hand_pose_ros.recordings.description import EpisodeDescription
from hand_pose_ros.ros.recorder import command
from hand_pose_ros.ros.recorder.topics import message_class, subscription_qos, wanted_topics


def publisher(reliability: ReliabilityPolicy, durability: DurabilityPolicy) -> SimpleNamespace:
    return SimpleNamespace(qos_profile=QoSProfile(depth=1, reliability=reliability, durability=durability))


RELIABLE, BEST_EFFORT = ReliabilityPolicy.RELIABLE, ReliabilityPolicy.BEST_EFFORT
LATCHED, VOLATILE = DurabilityPolicy.TRANSIENT_LOCAL, DurabilityPolicy.VOLATILE


@pytest.mark.parametrize(
    ("publishers", "expected"),
    [
        ([], (BEST_EFFORT, VOLATILE)),
        ([(RELIABLE, VOLATILE)], (RELIABLE, VOLATILE)),
        ([(RELIABLE, LATCHED)], (RELIABLE, LATCHED)),
        ([(RELIABLE, LATCHED), (BEST_EFFORT, VOLATILE)], (BEST_EFFORT, VOLATILE)),
        ([(RELIABLE, LATCHED), (RELIABLE, VOLATILE)], (RELIABLE, VOLATILE)),
    ],
)
def test_the_quality_of_service_suits_every_publisher(publishers, expected):
    found = subscription_qos([publisher(*one) for one in publishers])
    assert (found.reliability, found.durability) == expected


def test_message_classes():
    assert message_class("std_msgs/msg/String") is String
    for name in ("no_such_msgs/msg/Thing", "std_msgs/msg/Nothing", "strange"):
        with pytest.raises(ValueError, match="is not installed"):
            message_class(name)


def test_topics_of_a_description_are_there_once():
    described = EpisodeDescription(image="/cam/image_raw/compressed", joint_states="/joint_states")
    topics = wanted_topics(described, ["/tf", "/force"])
    names = [topic.name for topic in topics]
    assert len(names) == len(set(names))
    assert {topic.name for topic in topics if topic.needed} == {
        "/cam/image_raw/compressed",
        "/hand_pose/hands",
        "/joint_states",
    }
    assert {"/cam/camera_info", "/hand_pose/left/joints", "/tf_static", "/force"} <= set(names)
    assert "" not in names


def described(*arguments: str) -> EpisodeDescription:
    return command.describe(command._parser().parse_args(["out", *arguments]))


def test_names_come_from_the_robot_s_profile():
    found = described("--robot", "demo_hand", "--robot-side", "left", "--task", "wave")
    assert found == EpisodeDescription(
        task="wave",
        image="/hand_pose/image",
        robot="demo_hand",
        joint_states="/hand_pose/left_demo/joint_states",
        command="/hand_pose/left_demo_controller/joint_trajectory",
    )
    ability = described("--robot", "ability", "--command", "/mine", "--namespace", "left_cell")
    assert ability.command == "/mine"
    assert ability.joint_states == "/joint_states_ah"
    assert ability.command_names[:2] == ("index_q1", "middle_q1")
    assert ability.image == "/left_cell/image"
    assert ability.teleop_state == "/left_cell/hand_teleop/state"


def test_without_a_robot_there_are_no_topics_of_one():
    found = described("--image", "/cam/image")
    assert (found.joint_states, found.command, found.robot, found.image) == ("", "", "", "/cam/image")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--robot", "no_such_hand"], "there is no robot 'no_such_hand'"),
        (["--robot", "none.yaml"], "none.yaml"),
    ],
)
def test_a_robot_that_is_not_there(tmp_path, capsys, arguments, message):
    assert command.main([str(tmp_path / "out"), *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--episodes", "0"],
        ["--episode-seconds", "0"],
        ["--reset-seconds", "-1"],
        ["--timeout-seconds", "inf"],
    ],
)
def test_options_are_checked(arguments):
    with pytest.raises(SystemExit):
        command.main(["out", *arguments])


def test_without_ros_it_says_what_is_missing(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "hand_pose_ros.ros.recorder.node", None)
    assert command.main([str(tmp_path / "out")]) == 1
    assert "it needs ROS 2, by a sourced installation or `make setup`" in capsys.readouterr().err
