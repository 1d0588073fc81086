"""Each hazard of teleoperation on the live node. Every command of every test is checked for safety."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from helpers.ros_harness import wait_for
from helpers.teleop_harness import COMMANDS, NAMESPACE, STATES, Teleop, joint_states, pose_of
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool
from trajectory_msgs.msg import JointTrajectory

from hand_pose_ros.pose import HandPose


def at_rest(teleop: Teleop) -> bool:
    """Whether the last commands are alike."""
    last = teleop.positions()[-5:]
    return len(last) == 5 and bool((np.abs(np.diff(last, axis=0)) < 1e-6).all())


def test_it_follows_holds_when_the_hand_is_lost_and_latches(make, hands):
    teleop = make()
    time.sleep(0.3)
    assert not len(teleop.commands), "nothing is sent before it is engaged"
    teleop.engage()
    hands.poses = [pose_of("fist")]
    bent = teleop.robot.limits(4.0, 40.0).upper_rad * 0.5
    wait_for(lambda: teleop.positions()[-1][5] > bent[5], "the index finger to bend")
    hands.poses = []
    teleop.wait_for_state("holding", "the right hand (track 3) is not in view")
    wait_for(lambda: at_rest(teleop), "the robot to hold")
    hands.poses = [pose_of("open")]
    teleop.wait_for_state("engaged")
    hands.poses = None
    teleop.wait_for_state("holding", "no valid right hand")
    teleop.wait_for_state("disengaged_latched", "held for 1.5 s")
    time.sleep(0.3)  # the last hold may still be under way
    count = len(teleop.commands)
    hands.poses = [pose_of()]
    time.sleep(0.5)
    assert teleop.state == "disengaged_latched"
    assert len(teleop.commands) == count
    teleop.engage()


@pytest.mark.parametrize(
    ("poses", "reason"),
    [(None, "no hand yet"), ([], "no right hand in view"), ([pose_of(side="left")], "no right hand in view")],
    ids=["no images", "no hand", "the other hand"],
)
def test_without_its_hand_it_does_not_engage(make, hands, poses, reason):
    hands.poses = poses
    teleop = make()
    wait_for(lambda: teleop.call("engage").message == reason, "the refusal")
    wait_for(lambda: teleop.status("robot") is not None, "diagnostics")
    assert not len(teleop.commands)
    assert teleop.state == "disengaged"
    hands.poses = [pose_of()]
    teleop.engage()


def with_joints(change: Callable[[np.ndarray], np.ndarray]) -> HandPose:
    """The hand that is followed, with changed joints (21, 3), as a sender that does not check them may send it."""
    pose = pose_of()
    object.__setattr__(pose, "joints_m", change(pose.joints_m.copy()))
    return pose


def without_a_fingertip(joints: np.ndarray) -> np.ndarray:
    joints[8] = np.nan
    return joints


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (without_a_fingertip, "has joints that are not finite"),
        (lambda joints: (joints - joints[0]) * 1000 + joints[0], "m long"),
        (lambda joints: np.broadcast_to(joints[0], joints.shape).copy(), "m long"),
    ],
    ids=["NaN", "millimetres", "a point"],
)
def test_what_is_no_hand_is_not_followed(make, hands, change, reason):
    teleop = make()
    teleop.engage()
    hands.poses = [with_joints(change)]
    teleop.wait_for_state("holding", reason)
    wait_for(lambda: at_rest(teleop), "the robot to hold")
    hands.poses = [pose_of()]
    teleop.wait_for_state("engaged")


@pytest.mark.parametrize(
    ("poses", "reason"),
    [
        ([pose_of(track_id=9)], "the right hand (track 3) is gone; in view is the right hand (track 9)"),
        ([pose_of(side="left")], "the right hand (track 3) is now a left hand"),
        ([pose_of(wrist_m=(1.2, 0.0, 0.5))], "jumped by 1.20 m"),
    ],
    ids=["second person", "side flip", "jump"],
)
def test_another_hand_is_not_followed(make, hands, poses, reason):
    teleop = make()
    teleop.engage()
    hands.poses = poses
    teleop.wait_for_state("holding", reason)
    wait_for(lambda: at_rest(teleop), "the robot to hold")


@pytest.mark.parametrize(
    ("stamp_s", "reason"),
    [
        (lambda passed_s: passed_s - 60.0, "s old"),
        (lambda passed_s: passed_s + 60.0, "in the future"),
        (lambda passed_s: 0.0, "repeats the stamp before"),
        (lambda passed_s: -passed_s, "stamps went back by"),
    ],
    ids=["stale", "clock jumps ahead", "frozen clock", "clock goes back"],
)
def test_doubtful_stamps_hold(make, hands, stamp_s, reason):
    teleop = make()
    teleop.engage()
    began_ns = time.time_ns()
    hands.stamp_ns = lambda: began_ns + int(stamp_s((time.time_ns() - began_ns) * 1e-9) * 1e9)
    teleop.wait_for_state("holding", reason)
    wait_for(lambda: at_rest(teleop), "the robot to hold")
    hands.stamp_ns = time.time_ns
    teleop.wait_for_state("engaged")


def test_without_a_joint_state_nothing_is_sent(make, hands, listener):
    teleop = make(simulator=None)
    commands = listener.subscribe(JointTrajectory, COMMANDS)
    wait_for(lambda: (s := teleop.status("robot")) and "not known" in s.message, "the diagnosis")
    assert "the robot's joint state is not known" in teleop.call("engage").message
    publisher = joint_states(listener)
    names = list(teleop.robot.value_names)
    publisher.publish(JointState(name=names[:-1], position=[0.0] * (len(names) - 1)))
    wait_for(lambda: f"lacks {names[-1]}" in teleop.call("engage").message, "the missing joint to be named")
    publisher.publish(JointState(name=names, position=[float("nan")] + [0.0] * (len(names) - 1)))
    wait_for(lambda: f"{names[0]} is not finite" in teleop.call("engage").message, "NaN to be named")
    assert not len(commands)


def test_two_publishers_of_joint_states_do_not_displace_each_other(make, hands, listener):
    teleop = make(simulator=None)
    publisher = joint_states(listener)
    names = list(teleop.robot.value_names)
    wait_for(lambda: "not known" in teleop.call("engage").message, "a hand and no robot")
    teleop._executor.create_task(time.sleep, 0.5)
    time.sleep(0.1)
    for part in (names[:8], names[8:]):
        publisher.publish(JointState(name=part, position=[0.0] * len(part)))
    time.sleep(0.5)
    assert "joint state" not in teleop.call("engage").message


def test_a_robot_that_falls_silent_is_held(make, hands):
    teleop = make({"robot_state.timeout_s": 1.0})
    teleop.engage()
    teleop.stop_robot()
    teleop.wait_for_state("holding", "the robot's joint state is")
    teleop.wait_for_state("disengaged_latched")


def test_a_robot_whose_driver_restarts_gets_no_commands_until_it_has_settled(make, hands):
    teleop = make()
    teleop.engage()
    hands.poses = [pose_of("fist")]
    wait_for(lambda: at_rest(teleop) and np.abs(teleop.positions()[-1]).max() > 1.0, "the robot to bend")
    time.sleep(1.0)  # a robot may be late
    teleop.restart_robot()
    teleop.wait_for_state("holding", "the robot jumped away from its commands: right_demo_")
    wait_for(lambda: (s := teleop.status("robot")) and "jumped away" in s.message, "the diagnosis")
    teleop.wait_for_state("engaged")
    assert np.diff(teleop.commands.times_s).max() > 0.9


def test_a_robot_far_away_is_approached_from_where_it_is(make, hands, listener):
    states = listener.subscribe(JointState, STATES)
    teleop = make({"motion.ramp_speed": 0.2}, {"start_rad": 1.4})
    start = np.array(states.wait_for(1)[0].position)
    assert (start > 1.0).any()
    wait_for(lambda: teleop.call("engage").success, "engaging")
    teleop.commands.wait_for(10)
    np.testing.assert_allclose(teleop.positions()[0], start, atol=1e-9)
    slow = np.abs(np.diff(teleop.positions()[:10], axis=0))
    assert (slow <= 0.2 * teleop.robot.limits(4.0, 40.0).velocity_rad_s / 50 + 1e-9).all()
    teleop.wait_for_state("engaged")


def test_without_a_subscriber_it_does_not_engage_and_holds_when_it_goes(make, hands, listener):
    teleop = make({"command.topic": "elsewhere"})
    wait_for(
        lambda: teleop.call("engage").message == f"nobody listens on /{NAMESPACE}/elsewhere", "the refusal"
    )
    subscription = listener.node.create_subscription(
        JointTrajectory, f"/{NAMESPACE}/elsewhere", teleop.commands.add, 10
    )
    teleop.engage()
    listener.node.destroy_subscription(subscription)
    teleop.wait_for_state("holding", "nobody listens")


def test_another_publisher_is_named_and_keeps_it_from_engaging(make, hands, listener):
    teleop = make()
    other = listener.publisher(JointTrajectory, COMMANDS)
    wait_for(
        lambda: teleop.call("engage").message == f"/listener also publishes on {COMMANDS}", "the refusal"
    )
    wait_for(lambda: (s := teleop.status("robot")) and "/listener also" in s.message, "the diagnosis")
    listener.node.destroy_publisher(other)
    teleop.engage()


def test_the_operator_s_switches(make, listener, hands):
    teleop = make({"dead_man.used": True, "dead_man.timeout_s": 1.0})
    dead_man, stop = (listener.publisher(Bool, f"/{NAMESPACE}/{name}") for name in ("dead_man", "e_stop"))

    def pressed(until: str) -> None:
        def press() -> bool:
            dead_man.publish(Bool(data=True))
            time.sleep(0.05)
            return teleop.state == until

        wait_for(press, until)

    wait_for(lambda: "dead-man switch is not pressed" in teleop.call("engage").message, "the refusal")
    pressed("engaged")
    teleop.wait_for_state("disengaged", "the dead-man switch is silent")
    pressed("engaged")
    stop.publish(Bool(data=True))
    teleop.wait_for_state("emergency_stop", "emergency stop switch")
    assert teleop.call("reset").message == "the emergency stop is still pressed"
    stop.publish(Bool(data=False))
    wait_for(lambda: teleop.call("reset").success, "the reset")
    assert teleop.state == "disengaged"
    dead_man.publish(Bool(data=False))
    pressed("engaged")
    assert teleop.call("e_stop").message == "emergency_stop"


def test_disengaging_while_it_moves_ends_with_a_hold(make, hands):
    teleop = make()
    teleop.engage()
    hands.poses = [pose_of("fist")]
    count = len(teleop.commands)
    teleop.commands.wait_for(count + 10)
    assert teleop.call("disengage").success
    teleop.wait_for_state("disengaged", "service")
    wait_for(lambda: at_rest_at_end(teleop), "the robot to come to rest")


def at_rest_at_end(teleop: Teleop) -> bool:
    """Whether commands have ended, and the last two are alike."""
    count = len(teleop.commands)
    time.sleep(0.2)
    last = teleop.positions()[-2:]
    return count == len(teleop.commands) and bool((np.abs(last[1] - last[0]) < 1e-4).all())
