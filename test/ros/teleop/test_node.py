"""The other inputs and outputs of the live hand_teleop: joints, wrist, clutch, OpenXR, gesture, parameters."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from geometry_msgs.msg import (
    PoseArray,
    PoseStamped,
    PoseWithCovarianceStamped,
    TransformStamped,
    TwistStamped,
)
from helpers.ros_harness import Listener, wait_for
from helpers.teleop_harness import COMMANDS, LATCHED, NAMESPACE, NODE, TOLERANT, Stream, pose_of
from lifecycle_msgs.msg import Transition
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_msgs.msg import Bool, Header, String
from std_srvs.srv import SetBool
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from hand_pose_ros.retargeting.openxr import JOINT_NAMES
from hand_pose_ros.ros.messages.camera import time_message
from hand_pose_ros.ros.messages.joints import joint_poses, wrist_pose
from hand_pose_ros.ros.messages.selection import PublishedHand


class SideStream(Stream):
    """Publishes ``right/joints`` and ``right/wrist`` of ``pose``."""

    def __init__(self, listener: Listener) -> None:
        self._joints = listener.publisher(PoseArray, f"/{NAMESPACE}/right/joints")
        self._wrist = listener.publisher(PoseWithCovarianceStamped, f"/{NAMESPACE}/right/wrist")
        self.pose = pose_of()
        self.begin()

    def send(self) -> None:
        published = PublishedHand(self.pose, 0, True)
        header = Header(stamp=time_message(time.time_ns()), frame_id="camera")
        self._wrist.publish(wrist_pose(published, header))
        self._joints.publish(joint_poses(published, header))


@pytest.fixture
def side(listener: Listener) -> Iterator[SideStream]:
    stream = SideStream(listener)
    yield stream
    stream.close()


@pytest.fixture
def frames(listener: Listener) -> Callable[..., None]:
    """Publish a lasting transform: ``frames(parent, child, (x, y, z))``, without rotation."""
    publisher = listener.publisher(TFMessage, "/tf_static", LATCHED)
    sent: list[TransformStamped] = []

    def send(parent: str, child: str, xyz: tuple[float, float, float]) -> None:
        transform = TransformStamped(child_frame_id=child)
        transform.header.frame_id = parent
        translation = transform.transform.translation
        translation.x, translation.y, translation.z = xyz
        sent.append(transform)
        publisher.publish(TFMessage(transforms=sent))

    return send


def test_hands_from_the_topics_of_a_side(make, side):
    teleop = make({"input": "joints"})
    teleop.engage()
    side.pose = pose_of("fist")
    first = teleop.positions()[0]
    wait_for(lambda: np.abs(teleop.positions()[-1] - first).max() > 0.5, "the robot to move")
    side.pose = pose_of("fist", wrist_m=(1.5, 0.0, 0.5))
    teleop.wait_for_state("holding", "the right hand jumped")


def position(message: PoseStamped) -> np.ndarray:
    return np.array([message.pose.position.x, message.pose.position.y, message.pose.position.z])


def test_the_wrist_target_follows_relative_to_the_tool_and_the_clutch_re_indexes(
    make, side, listener, frames
):
    targets = listener.subscribe(PoseStamped, f"/{NAMESPACE}/wrist_target")
    twists = listener.subscribe(TwistStamped, f"/{NAMESPACE}/wrist_twist")
    wrist = {"enabled": True, "robot_frame": "base", "tool_frame": "tool", "scale": 2.0, "max_speed_m_s": 5.0}
    teleop = make({"input": "joints", **{f"wrist.{name}": value for name, value in wrist.items()}})
    teleop.engage()
    wait_for(
        lambda: "no usable transform from 'camera' to 'base'" in teleop.status("engagement").message,
        "the diagnosis",
    )
    assert not len(targets)
    frames("base", "camera", (0.0, 0.0, 1.0))
    frames("base", "tool", (0.4, 0.1, 0.3))
    np.testing.assert_allclose(position(targets.wait_for(1)[0]), [0.4, 0.1, 0.3], atol=1e-9)
    assert targets.messages[0].header.frame_id == "base"
    side.pose = pose_of(wrist_m=(0.05, 0.0, 0.5))
    wait_for(lambda: abs(position(targets.messages[-1])[0] - 0.5) < 0.005, "the scaled motion")
    np.testing.assert_allclose(position(targets.messages[-1])[1:], [0.1, 0.3], atol=0.01)

    clutch = f"{NODE}/clutch"
    assert listener.call_again(SetBool, clutch, SetBool.Request(data=True)).success
    frozen = position(targets.messages[-1])
    wait_for(
        lambda: twists.messages[-1].twist.linear.x == 0 and twists.messages[-1].twist.angular.x == 0, "rest"
    )
    side.pose = pose_of(wrist_m=(-0.1, 0.0, 0.5))
    count = len(teleop.commands)
    teleop.commands.wait_for(count + 30)
    np.testing.assert_allclose(position(targets.messages[-1]), frozen, atol=0.02)
    assert listener.call_again(SetBool, clutch, SetBool.Request(data=False)).success
    count = len(targets)
    targets.wait_for(count + 10)
    np.testing.assert_allclose(position(targets.messages[-1]), frozen, atol=0.03)
    assert teleop.call("disengage").success
    wait_for(lambda: twists.messages[-1].twist.linear.x == 0, "rest")


def test_transforms_that_are_not_static_must_be_fresh(make, side, listener, frames):
    targets = listener.subscribe(PoseStamped, f"/{NAMESPACE}/wrist_target")
    twists = listener.subscribe(TwistStamped, f"/{NAMESPACE}/wrist_twist")
    wrist = {"enabled": True, "robot_frame": "base", "tool_frame": "tool"}
    teleop = make({"input": "joints", **{f"wrist.{name}": value for name, value in wrist.items()}})
    frames("base", "tool", (0.4, 0.1, 0.3))
    moving = listener.publisher(TFMessage, "/tf")

    def send() -> None:
        transform = TransformStamped(child_frame_id="camera")
        transform.header.frame_id = "base"
        transform.header.stamp = time_message(time.time_ns())
        moving.publish(TFMessage(transforms=[transform]))

    teleop.engage()

    def comes(more_than: int) -> bool:
        send()
        return len(targets) > more_than

    wait_for(lambda: comes(5), "targets")
    time.sleep(0.8)
    count = len(targets)
    time.sleep(0.3)
    assert len(targets) == count, "a frozen transform is not followed"
    assert twists.messages[-1].twist.linear.x == 0
    wait_for(lambda: "s old" in teleop.status("engagement").message, "the diagnosis")
    wait_for(lambda: comes(count), "targets with the transform")
    np.testing.assert_allclose(position(targets.messages[count]), [0.4, 0.1, 0.3], atol=1e-9)


def test_openxr_joints_come_with_their_names(make, side, listener):
    make({"openxr": True, "input": "joints"})
    joints = listener.subscribe(PoseArray, f"/{NAMESPACE}/right/openxr_joints")
    names = listener.subscribe(String, f"/{NAMESPACE}/openxr_joint_names", LATCHED)
    message = joints.wait_for(1)[0]
    assert json.loads(names.wait_for(1)[0].data)["names"] == list(JOINT_NAMES)
    assert len(message.poses) == 26
    assert message.header.frame_id == "camera"
    wrist = message.poses[JOINT_NAMES.index("wrist")].position
    np.testing.assert_allclose([wrist.x, wrist.y, wrist.z], [0, 0, 0.5], atol=1e-6)


def test_a_gesture_of_the_other_hand_engages(make, hands):
    teleop = make({"gesture.name": "thumbs_up", "gesture.hold_s": 0.3})
    hands.poses = [pose_of(), pose_of("thumbs_up", "left", 4, (0.3, 0.0, 0.5))]
    teleop.wait_for_state("engaged")
    assert "ramping: engaged by gesture 'thumbs_up'" in [m.data for m in teleop.states.messages]


def test_parameters_that_may_change_take_effect_and_others_are_refused(make, hands, listener):
    teleop = make()
    results = listener.set_parameters(NODE, {"watchdog.timeout_s": 0.5, "watchdog.disengage_after_s": 60.0})
    assert results == [(True, ""), (True, "")]
    ((refused, reason),) = listener.set_parameters(NODE, {"robot": "other"})
    assert (refused, reason) == (
        False,
        "robot can only be set when the node starts or while it is unconfigured",
    )
    ((refused, _),) = listener.set_parameters(NODE, {"watchdog.timeout_s": -1.0})
    assert not refused
    teleop.engage()
    hands.poses = []
    teleop.wait_for_state("holding")
    time.sleep(2 * TOLERANT["watchdog.disengage_after_s"])
    assert teleop.state == "holding"


def test_diagnostics_say_what_is_commanded_and_how_late(make, hands):
    teleop = make()
    teleop.engage()
    hands.poses = [pose_of("fist")]
    teleop.commands.wait_for(len(teleop.commands) + 30)
    wait_for(
        lambda: any("stamp to command median" in v.key for v in teleop.status("latency").values), "latency"
    )
    engagement, robot = teleop.status("engagement"), teleop.status("robot")
    assert engagement.message.startswith("engaged: ")
    values = {v.key: v.value for v in (*engagement.values, *robot.values)}
    assert values["hand"] == "right hand (track 3)"
    assert values["command subscribers"] == "2"
    assert int(values["commands sent"]) > 30
    assert values["joint state"] == "known"


def test_the_frame_checker_shows_the_vectors_to_those_who_look(make, hands, listener):
    teleop = make({"robot_frame_prefix": "robot/"})
    wait_for(
        lambda: (s := teleop.status("retargeting")) and s.message.startswith("thumb "),
        "the largest residuals",
    )
    values = {v.key: float(v.value) for v in teleop.status("retargeting").values}
    assert set(values) >= {f"{f} residual median (mm)" for f in ("thumb", "index", "middle", "ring")}
    assert 0 <= values["index residual median (mm)"] <= values["index residual largest (mm)"] < 100

    shown = listener.subscribe(MarkerArray, f"/{NAMESPACE}/frame_checker")
    markers = shown.wait_for(1)[0].markers
    assert {m.header.frame_id for m in markers} == {"robot/right_demo_base"}
    assert {m.ns for m in markers} == {"human vectors", "robot vectors", "residuals", "labels"}
    assert teleop.state == "disengaged", "the vectors are there before the robot moves"
    hands.poses = []
    time.sleep(0.3)
    count = len(shown)
    time.sleep(0.3)
    assert len(shown) == count, "a hand that is gone has no vectors"


def test_malformed_hands_are_reported_and_hold(make, hands, listener):
    teleop = make()
    teleop.engage()
    hands.poses = None
    broken = listener.publisher(hands._publisher.msg_type, f"/{NAMESPACE}/hands")

    def held() -> bool:
        broken.publish(hands._publisher.msg_type(width=5))
        return teleop.state == "holding"

    wait_for(held, "a hold")
    wait_for(lambda: "cannot be used" in teleop.status("engagement").message, "the diagnosis")


def test_at_camera_rate_each_image_gives_a_command(make, hands):
    teleop = make({"motion.output_rate_hz": 0})
    teleop.rate_hz = 15.0
    teleop.engage()
    hands.poses = [pose_of("fist")]
    count = len(teleop.commands)
    teleop.commands.wait_for(count + 20)
    hands.poses = None
    teleop.wait_for_state("holding")
    count = len(teleop.commands)
    teleop.wait_for_state("disengaged_latched")
    held_s = np.diff(teleop.commands.times_s[count:])
    assert np.median(held_s) < 0.045, "30 commands per second without images"


@pytest.mark.parametrize("name", ["joint_states_topic", "command.topic"])
def test_an_impossible_topic_is_refused_by_configure(make, name):
    teleop = make(activate=False)
    teleop.node.trigger_cleanup()
    teleop.node.set_parameters([Parameter(name, value="bad topic!")])
    assert teleop.node.trigger_configure() == TransitionCallbackReturn.FAILURE
    wait_for(
        lambda: (s := teleop.status("robot")) and "'bad topic!' is not the name" in s.message, "the diagnosis"
    )
    teleop.node.set_parameters([Parameter(name, value="")])
    assert teleop.node.trigger_configure() == TransitionCallbackReturn.SUCCESS


def test_an_activation_that_fails_leaves_nothing_behind(make, hands, listener, monkeypatch):
    teleop = make(activate=False)

    def fails(*_: object) -> None:
        raise RuntimeError("no input")

    with monkeypatch.context() as patched:
        patched.setattr("hand_pose_ros.ros.teleop.driver.HandInput", fails)
        assert teleop.node.trigger_activate() == TransitionCallbackReturn.ERROR
    wait_for(lambda: not listener.node.get_publishers_info_by_topic(COMMANDS), "no publisher of commands")
    assert teleop.node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert teleop.node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    teleop.engage()


def test_the_clutch_topic_and_the_lifecycle(make, hands, listener):
    teleop = make()
    teleop.engage()
    listener.publisher(Bool, f"/{NAMESPACE}/clutch").publish(Bool(data=True))
    teleop.change_state(Transition.TRANSITION_DEACTIVATE)
    teleop.wait_for_state("disengaged", "the node was deactivated")
    assert teleop.call("engage").message == "the node is inactive"
    teleop.change_state(Transition.TRANSITION_ACTIVATE)
    teleop.engage()
