"""hand_teleop as a process: how it ends, what a killed estimator does, and two of them on one robot."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from helpers.hand_estimator_harness import FAKE, Camera, Estimator, fake_environment
from helpers.ros_harness import Listener, wait_for
from helpers.teleop_harness import (
    COMMANDS,
    NAMESPACE,
    NODE,
    RATE_HZ,
    TOLERANT,
    demo_robot,
    joint_states,
    pose_of,
)
from helpers.teleoperation import assert_safe
from lifecycle_msgs.msg import Transition
from sensor_msgs.msg import JointState
from std_srvs.srv import Trigger
from trajectory_msgs.msg import JointTrajectory

MODULE = "hand_pose_ros.ros.teleop.process"


@pytest.fixture
def still_robot(listener: Listener) -> Iterator[None]:
    """Joint states of a robot that does not move."""
    publisher, end = joint_states(listener), threading.Event()
    names = list(demo_robot().value_names)

    def run() -> None:
        while not end.wait(0.05):
            publisher.publish(JointState(name=names, position=[0.1] * len(names)))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield
    end.set()
    thread.join()


def activate(listener: Listener, node: str) -> None:
    listener.change_state(node, Transition.TRANSITION_CONFIGURE, "inactive")
    listener.change_state(node, Transition.TRANSITION_ACTIVATE, "active")


def call(listener: Listener, node: str, service: str) -> Trigger.Response:
    return listener.call_again(Trigger, f"{node}/{service}", Trigger.Request())


def test_an_interrupt_while_it_moves_ends_with_a_hold(start_node, listener, hands, still_robot):
    process = start_node(MODULE, namespace=NAMESPACE, parameters=TOLERANT)
    commands = listener.subscribe(JointTrajectory, COMMANDS)
    activate(listener, NODE)
    wait_for(lambda: call(listener, NODE, "engage").success, "engaging")
    commands.wait_for(5)
    hands.poses = [pose_of("fist")]
    commands.wait_for(len(commands) + 10)
    assert process.interrupt() == 0
    assert "engaged -> disengaged: the process ends" in process.log.replace("ramping", "engaged")
    assert "Traceback" not in process.log
    time.sleep(0.2)
    positions = np.array([message.points[0].positions for message in commands.messages])
    np.testing.assert_allclose(positions[-1], positions[-2], atol=1e-4)
    robot = demo_robot()
    assert_safe(positions, robot.limits(4.0, 40.0), 1 / RATE_HZ, np.full(16, 0.1))


def test_a_killed_estimator_is_noticed(start_node, listener: Listener, repository, make: Callable):
    process = start_node(FAKE, namespace=NAMESPACE, environment=fake_environment(repository))
    estimator = Estimator(process, listener)
    estimator.activate()
    camera = Camera(listener)
    teleop = make()
    teleop.engage()
    process.signal(signal.SIGKILL)
    teleop.wait_for_state("holding", "no images")
    teleop.wait_for_state("disengaged_latched")
    camera.close()


def test_of_two_on_one_robot_neither_engages_and_each_names_the_other(start_node, listener, make, hands):
    teleop = make()
    teleop.engage()
    second = f"/{NAMESPACE}/second_teleop"
    process = start_node(
        MODULE, namespace=NAMESPACE, parameters=TOLERANT, remappings={"__node": "second_teleop"}
    )
    activate(listener, second)
    wait_for(
        lambda: call(listener, second, "engage").message == f"{NODE} also publishes on {COMMANDS}",
        "the refusal",
    )
    assert teleop.state == "engaged", "the one that drives the robot goes on"
    wait_for(
        lambda: (s := teleop.status("robot")) and f"{second} also publishes on {COMMANDS}" in s.message,
        "the name",
    )
    assert teleop.call("disengage").success
    wait_for(lambda: second in teleop.call("engage").message, "the refusal")
    assert process.interrupt() == 0
    teleop.engage()
