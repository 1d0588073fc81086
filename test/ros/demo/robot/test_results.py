"""Figures, panel and words of a recorded robot, from a small bag whose content is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")

from hand_pose_ros import hand
from hand_pose_ros.recordings.bag_writer import RecordingWriter
from hand_pose_ros.ros.demo.recording import Recording
from hand_pose_ros.ros.demo.robot.demo_robot import DemoRobot, read_demo_robot
from hand_pose_ros.ros.demo.robot.figures import SETTLED_S, robot_figures
from hand_pose_ros.ros.demo.robot.recording import RobotRecording, read_robot_recording
from hand_pose_ros.ros.demo.robot.summary import RobotResult, robot_result, robot_topics

TYPES = get_typestore(Stores.ROS2_JAZZY)
NAMESPACE = "/hand_pose"
FRAMES, PERIOD_NS, BEGAN_NS = 30, 33_333_333, 1_700_000_000_000_000_000
ENGAGED_FROM = 5
INDEX_MCP = 5  # of the demonstration hand's joints
SPEED_RAD_S = 1.5
COMMAND_DELAY_NS, SHOWN_DELAY_NS = 20_000_000, 30_000_000


def stamp_ns(frame: int) -> int:
    return BEGAN_NS + frame * PERIOD_NS


def angle(frame: int) -> float:
    return SPEED_RAD_S * frame * PERIOD_NS * 1e-9


def make(msgtype: str, *fields):
    return TYPES.types[msgtype](*fields)


def header(time_ns: int):
    return make("std_msgs/msg/Header", make("builtin_interfaces/msg/Time", *divmod(time_ns, 10**9)), "camera")


def joint_state(time_ns: int, names: list[str], positions: np.ndarray):
    empty = np.empty(0)
    return make("sensor_msgs/msg/JointState", header(time_ns), names, positions, empty, empty)


def trajectory(names: list[str], positions: np.ndarray):
    empty = np.empty(0)
    duration = make("builtin_interfaces/msg/Duration", 0, PERIOD_NS)
    point = make("trajectory_msgs/msg/JointTrajectoryPoint", positions, empty, empty, empty, duration)
    return make("trajectory_msgs/msg/JointTrajectory", header(0), names, [point])


def cloud(time_ns: int):
    return make(
        "sensor_msgs/msg/PointCloud2",
        header(time_ns), 1, 0, [], False, 16, 0, np.empty(0, np.uint8), True,
    )  # fmt: skip


def overlay(time_ns: int):
    return make("sensor_msgs/msg/CompressedImage", header(time_ns), "jpeg", np.zeros(1, np.uint8))


def human(gap_m: float) -> np.ndarray:
    """Joints (21, 3) whose thumb and index fingertip are ``gap_m`` apart from skin to skin; the others are far."""
    joints = np.zeros((hand.NUM_JOINTS, 3))
    joints[:, 2] = 0.5
    joints[hand.ANCHOR_JOINT, 1] = -hand.MEAN_ANCHOR_LENGTH_M
    joints[hand.JOINT_INDEX["index_tip"], 0] = 0.0088 + 0.0074 + gap_m
    joints[hand.JOINT_INDEX["middle_tip"], 0] = joints[hand.JOINT_INDEX["ring_tip"], 0] = 0.2
    return joints


@pytest.fixture(scope="module")
def robot() -> DemoRobot:
    return read_demo_robot("demo_hand", "", "right")


@pytest.fixture(scope="module")
def bag(robot: DemoRobot, tmp_path_factory) -> Path:
    """The index finger bends at a constant speed from the sixth frame on; the human pinches in the second half."""
    folder = tmp_path_factory.mktemp("robot") / "bag"
    topics = robot_topics(robot, NAMESPACE)
    names = list(robot.robot.joint_names)
    with RecordingWriter(folder) as writer:

        def write(topic: str, message, received_ns: int) -> None:
            kind = message.__msgtype__
            writer.write(topic, kind, bytes(TYPES.serialize_cdr(message, kind)), received_ns)

        write(topics.teleop_state, make("std_msgs/msg/String", "disengaged: not yet"), stamp_ns(0))
        for frame in range(FRAMES):
            if frame == ENGAGED_FROM:
                text = make("std_msgs/msg/String", "engaged: service")
                write(topics.teleop_state, text, stamp_ns(frame))
            positions = np.zeros(16)
            positions[INDEX_MCP] = angle(max(0, frame - ENGAGED_FROM))
            write(topics.joint_states, joint_state(stamp_ns(frame), names, positions), stamp_ns(frame))
            write(topics.hands, cloud(stamp_ns(frame)), stamp_ns(frame) + COMMAND_DELAY_NS - 1000)
            if frame >= ENGAGED_FROM:
                write(topics.commands, trajectory(names, positions), stamp_ns(frame) + COMMAND_DELAY_NS)
            write(topics.overlay, overlay(stamp_ns(frame)), stamp_ns(frame) + SHOWN_DELAY_NS)
    return folder


@pytest.fixture(scope="module")
def recording(bag: Path) -> Recording:
    stamps = [stamp_ns(frame) for frame in range(FRAMES)]
    joints = {stamp: human(0.06 if frame < FRAMES // 2 else 0.004) for frame, stamp in enumerate(stamps)}
    return Recording(bag, stamps, stamps, stamps, {"right": joints, "left": {}}, NAMESPACE)


@pytest.fixture(scope="module")
def done(bag: Path, robot: DemoRobot) -> RobotRecording:
    return read_robot_recording(bag, robot, robot_topics(robot, NAMESPACE))


@pytest.fixture(scope="module")
def result(bag: Path, recording: Recording, robot: DemoRobot) -> RobotResult:
    return robot_result(bag, recording, robot, robot_topics(robot, NAMESPACE))


def test_the_bag_is_read_back(done):
    assert done.commands_rad.shape == (FRAMES - ENGAGED_FROM, 16)
    assert done.states_rad.shape == (FRAMES, 16)
    assert done.positions_at(stamp_ns(0) - 1) is None
    assert done.positions_at(stamp_ns(10) + 5)[INDEX_MCP] == pytest.approx(angle(5))
    assert done.teleop_state_at(stamp_ns(0) - 1) == ""
    assert done.teleop_state_at(stamp_ns(ENGAGED_FROM) - 1) == "disengaged"
    assert done.teleop_state_at(stamp_ns(FRAMES)) == "engaged"
    assert done.shown_ns[stamp_ns(3)] == stamp_ns(3) + SHOWN_DELAY_NS


def test_steps_and_speeds_are_shares_of_the_limits(result, robot):
    figures = result.figures
    assert figures.commands == FRAMES - ENGAGED_FROM
    assert figures.step_share == pytest.approx(angle(1) / (4.0 / 15), rel=1e-6)
    assert figures.step_joint == robot.robot.joint_names[INDEX_MCP] == "right_demo_index_mcp"
    assert figures.speed_share == pytest.approx(SPEED_RAD_S / 6.0, rel=1e-3)


def test_the_robot_follows_from_its_engagement_on(result):
    figures = result.figures
    assert figures.engaged.sum() == FRAMES - ENGAGED_FROM
    assert figures.engaged_after_s == pytest.approx(ENGAGED_FROM * PERIOD_NS * 1e-9)
    assert figures.holds == 0


def test_pinches_are_distances_of_skin_and_of_the_robot_s_tips(result, robot, done):
    thumb_index = {pinch.finger: pinch for pinch in result.figures.pinches}["index"]
    assert {pinch.finger for pinch in result.figures.pinches} == {"index", "middle", "ring"}
    np.testing.assert_allclose(thumb_index.human_m[:15], 0.06, atol=1e-9)
    np.testing.assert_allclose(thumb_index.human_m[15:], 0.004, atol=1e-9)
    closed = (np.arange(FRAMES) - 15) * PERIOD_NS * 1e-9
    np.testing.assert_array_equal(thumb_index.settled, closed >= SETTLED_S)
    kinematics = robot.robot.retargeter.robot
    tips = kinematics.link_indices(["right_demo_thumb_tip", "right_demo_index_tip"])
    thumb, index = kinematics.link_positions(done.states_rad[20], tips)
    assert thumb_index.robot_m[20] == pytest.approx(np.linalg.norm(index - thumb))
    np.testing.assert_allclose(result.figures.closed_m(), thumb_index.robot_m[thumb_index.settled])


def test_latencies_end_with_the_command_and_the_next_joint_state(result):
    to_command, to_state = result.figures.latencies_s.T
    np.testing.assert_allclose(to_command, COMMAND_DELAY_NS * 1e-9, rtol=1e-6)
    np.testing.assert_allclose(to_state, PERIOD_NS * 1e-9, rtol=1e-6)


def test_the_report_says_what_was_measured(result):
    text = result.report()
    for part in (
        "followed      25 of 30 frames, engaged 0.2 s after the first, without a hold",
        "commands      25 sent",
        "(right_demo_index_mcp)",
        "frames with human fingertips within 10 mm for 0.33 s; the robot's were",
        "thumb-index   closest: human 4.0 mm",
        "median from the image to the command 20 ms (p99 20), to the robot's next joint state 33 ms (p99 33)",
    ):
        assert part in text


def test_a_robot_that_never_followed_is_told(result):
    figures = replace(
        result.figures,
        commands=0,
        step_share=float("nan"),
        step_joint="",
        engaged=np.zeros(FRAMES, dtype=bool),
    )
    text = replace(result, figures=figures).report()
    assert "0 of 30 frames; it was never engaged" in text
    assert "none: no two human fingertips stayed within 10 mm" in text
    assert "largest step" not in text


def test_the_robot_is_drawn_beside_the_image_as_it_was_then(result):
    image = np.full((96, 128, 3), 70, np.uint8)
    frames = [result.panel.beside(stamp_ns(frame), image) for frame in (2, 3, FRAMES - 1)]
    for frame in frames:
        assert frame.shape == (96, 128 + 96, 3)
        np.testing.assert_array_equal(frame[:, :128], image)
    assert (frames[0] == frames[1]).all()
    assert (np.abs(frames[1].astype(int) - frames[2]).max(axis=2) > 40).mean() > 0.01


def test_in_slow_motion_limits_and_times_are_those_of_the_video(recording, robot, done, result):
    slow = robot_figures(robot, recording, done, slow_motion=0.5)
    assert slow.step_share == pytest.approx(2 * result.figures.step_share)
    assert slow.speed_share == pytest.approx(2 * result.figures.speed_share, rel=1e-3)
    assert slow.engaged_after_s == pytest.approx(0.5 * result.figures.engaged_after_s)
    settled, slowly = (
        {p.finger: p.settled.sum() for p in f.pinches}["index"] for f in (result.figures, slow)
    )
    assert slowly < settled
    assert "slow motion   the robot's limits are those of 0.50" in replace(result, figures=slow).report()
