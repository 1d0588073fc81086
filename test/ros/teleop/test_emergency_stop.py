"""The emergency stop in every state of the lifecycle, from every kind of publisher."""

from __future__ import annotations

from helpers.ros_harness import BEST_EFFORT, wait_for
from helpers.teleop_harness import LATCHED, NAMESPACE
from lifecycle_msgs.msg import Transition
from std_msgs.msg import Bool

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
