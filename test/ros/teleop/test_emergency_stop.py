"""The emergency stop in every state of the lifecycle, from every kind of publisher."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from helpers.ros_harness import BEST_EFFORT, wait_for
from helpers.teleop_harness import LATCHED, NAMESPACE, RATE_HZ, Teleop, pose_of
from lifecycle_msgs.msg import Transition
from std_msgs.msg import Bool

from hand_pose_ros.ros.teleop.driver import LONGEST_BRAKING_S, LONGEST_END_S
from hand_pose_ros.ros.teleop.output import LAST_COMMAND_S

TOPIC = f"/{NAMESPACE}/e_stop"


def test_it_is_not_forgotten_by_deactivating(make, hands, listener):
    teleop = make()
    stop = listener.publisher(Bool, TOPIC)
    teleop.engage()
    wait_for(stop.get_subscription_count, "the subscription")
    stop.publish(Bool(data=True))
    teleop.wait_for_state("emergency_stop", "emergency stop switch")
    teleop.change_state(Transition.TRANSITION_DEACTIVATE)
    assert teleop.state == "emergency_stop"
    wait_for(
        lambda: teleop.status("engagement").message == "inactive; emergency_stop: emergency stop switch",
        "the diagnosis",
    )
    assert teleop.call("reset").message == "the emergency stop is still pressed"
    teleop.change_state(Transition.TRANSITION_ACTIVATE)
    assert "an emergency stop is in force" in teleop.call("engage").message
    assert teleop.state == "emergency_stop"
    stop.publish(Bool(data=False))
    wait_for(lambda: teleop.call("reset").success, "the reset")
    teleop.engage()


def test_it_is_heard_while_the_node_is_inactive(make, hands, listener):
    teleop = make(activate=False)
    stop = listener.publisher(Bool, TOPIC)
    wait_for(stop.get_subscription_count, "the subscription")
    stop.publish(Bool(data=True))
    teleop.wait_for_state("emergency_stop", "emergency stop switch")
    teleop.change_state(Transition.TRANSITION_ACTIVATE)
    assert "an emergency stop is in force" in teleop.call("engage").message
    teleop.change_state(Transition.TRANSITION_DEACTIVATE)
    stop.publish(Bool(data=False))
    wait_for(lambda: teleop.call("reset").message == "disengaged", "the reset while inactive")
    assert teleop.call("e_stop").message == "emergency_stop"
    assert (teleop.state, teleop.reason) == ("emergency_stop", "service")
    teleop.change_state(Transition.TRANSITION_ACTIVATE)
    assert "an emergency stop is in force" in teleop.call("engage").message
    assert teleop.call("reset").success
    teleop.engage()


def test_it_is_heard_while_the_robot_is_not_known(make, listener):
    teleop = make({"robot": "leap"}, simulator=None)
    assert teleop.call("engage").message == "the robot's description is not known"
    assert teleop.call("e_stop").success
    teleop.wait_for_state("emergency_stop", "service")


def test_one_that_was_sent_before_the_node_started_is_received(make, listener):
    stop = listener.publisher(Bool, TOPIC, LATCHED)
    stop.publish(Bool(data=True))
    teleop = make()
    teleop.wait_for_state("emergency_stop", "emergency stop switch")


def moving_slowly(make, hands) -> Teleop:
    """A robot that takes longer to brake than the node waits."""
    teleop = make({"motion.max_acceleration_rad_s2": 0.1})
    teleop.engage()
    hands.poses = [pose_of("fist")]
    wait_for(lambda: np.abs(np.diff(teleop.positions()[-2:], axis=0)).max() * RATE_HZ > 0.25, "some speed")
    return teleop


def test_braking_that_takes_too_long_ends_with_a_hold(make, hands):
    teleop = moving_slowly(make, hands)
    teleop.change_state(Transition.TRANSITION_DEACTIVATE)
    time.sleep(0.2)
    last = teleop.positions()[-3:]
    assert np.abs(last[1] - last[0]).max() > 1e-4
    np.testing.assert_array_equal(last[2], last[1])


@pytest.mark.parametrize("by_service", [False, True])
def test_it_does_not_wait_for_the_braking(make, hands, listener, by_service):
    stop = listener.publisher(Bool, TOPIC)
    teleop = moving_slowly(make, hands)
    wait_for(stop.get_subscription_count, "the subscription")
    began_s = time.monotonic()
    deactivation = threading.Thread(target=teleop.change_state, args=(Transition.TRANSITION_DEACTIVATE,))
    deactivation.start()
    teleop.wait_for_state("disengaged", "the node was deactivated")
    if by_service:
        assert teleop.call("e_stop").success
    else:
        stop.publish(Bool(data=True))
    teleop.wait_for_state("emergency_stop")
    assert teleop.commands.times_s[-1] - began_s < LONGEST_BRAKING_S
    deactivation.join()
    last = teleop.positions()[-2:]
    np.testing.assert_array_equal(last[1], last[0])


def test_the_process_outlives_the_braking_and_ends_before_it_is_killed():
    assert LONGEST_BRAKING_S + LAST_COMMAND_S < LONGEST_END_S < 5.0


def test_publishers_of_best_effort_are_heard(make, hands, listener):
    teleop = make({"dead_man.used": True})
    dead_man, stop = (
        listener.publisher(Bool, f"/{NAMESPACE}/{one}", BEST_EFFORT) for one in ("dead_man", "e_stop")
    )

    def sent(publisher, state: str) -> bool:
        publisher.publish(Bool(data=True))
        return teleop.state == state

    wait_for(lambda: "dead-man switch is not pressed" in teleop.call("engage").message, "all but the switch")
    wait_for(lambda: sent(dead_man, "engaged"), "the dead-man switch")
    wait_for(lambda: sent(stop, "emergency_stop"), "the emergency stop")
