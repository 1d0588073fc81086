"""The objectives: values by the formula, gradients and Hessians against finite differences."""

import dataclasses

import numpy as np
import pytest
from helpers.robot_hands import LIMIT, demo_retargeter, finger, random_joints

from hand_pose_ros.retargeting.human_vectors import HumanVectors, Targets
from hand_pose_ros.retargeting.objective import FrameProblem, Objective
from hand_pose_ros.retargeting.profile import LinkVector, RobotProfile
from hand_pose_ros.retargeting.robot_hand import RobotHand


def demo_profile(objective: str) -> RobotProfile:
    """The demonstration hand's profile with another objective."""
    profile = demo_retargeter().profile
    if objective == "dexpilot":
        return profile
    origin = profile.wrist_link if objective == "vector" else ""
    vectors = tuple(
        LinkVector(tip.link, tip.human, origin, weight=i + 1.0) for i, tip in enumerate(profile.fingertips)
    )
    return dataclasses.replace(profile, objective=objective, vectors=vectors, fingertips=())


def problem(objective: str, seed: int) -> tuple[RobotHand, FrameProblem, np.ndarray]:
    """A random frame of the demonstration hand, and random positions."""
    random = np.random.default_rng(seed)
    robot, profile = demo_retargeter().robot, demo_profile(objective)
    human = HumanVectors(profile)
    targets = human.targets(random_joints(random), random.uniform(0, 0.03, 21))
    last, positions = random.uniform(robot.lower_rad, robot.upper_rad, (2, robot.num_joints))
    return robot, FrameProblem(Objective.of_profile(profile, robot, human), targets, last), positions


@pytest.mark.parametrize("objective", ["vector", "dexpilot", "position"])
@pytest.mark.parametrize("seed", range(5))
def test_gradients_are_the_differences_of_values(objective, seed):
    _, frame, positions = problem(objective, seed)
    found = frame.derivatives(positions)
    assert found.value == pytest.approx(frame.value(positions), rel=1e-12)
    steps = 1e-6 * np.eye(len(positions))
    numeric = [(frame.value(positions + s) - frame.value(positions - s)) / 2e-6 for s in steps]
    np.testing.assert_allclose(found.gradient, numeric, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("objective", ["vector", "dexpilot"])
@pytest.mark.parametrize("seed", range(5))
def test_hessians_are_the_differences_of_gradients(objective, seed):
    _, frame, positions = problem(objective, seed)
    steps = 1e-6 * np.eye(len(positions))
    numeric = [
        (frame.derivatives(positions + s).gradient - frame.derivatives(positions - s).gradient) / 2e-6
        for s in steps
    ]
    hessian = frame.derivatives(positions).hessian
    np.testing.assert_allclose(hessian, numeric, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-12)


def test_derivatives_go_through_mimic_joints_and_a_free_base():
    document = finger(LIMIT, LIMIT + '<mimic joint="q1" multiplier="-2" offset="0.1"/>')
    robot = RobotHand.from_urdf(document, free_base=True)
    random = np.random.default_rng(3)
    objective = Objective(robot, ["", "base"], ["tip", "b"], huber_m=0.05, smoothness=0.01)
    targets = Targets(random.normal(0, 0.1, (2, 3)), np.array([1.0, 2.0]))
    last, positions = random.uniform(-0.4, 0.4, (2, robot.num_joints))
    frame = FrameProblem(objective, targets, last)
    found = frame.derivatives(positions)
    for column, step in enumerate(1e-6 * np.eye(robot.num_joints)):
        ahead, behind = (frame.derivatives(positions + s * step) for s in (1, -1))
        assert found.gradient[column] == pytest.approx((ahead.value - behind.value) / 2e-6, abs=1e-7)
        np.testing.assert_allclose(
            found.hessian[column], (ahead.gradient - behind.gradient) / 2e-6, atol=1e-6
        )


def test_the_value_is_the_formula():
    robot = RobotHand.from_urdf(finger())
    targets = Targets(np.array([[0.2, 0.0, 0.0], [0.05, 0.03, 0.0]]), np.array([2.0, 3.0]))
    positions, last = np.zeros(3), np.array([0.1, 0.0, -0.2])
    # At zero the tip is at 0.2 m: no error. Link b is at 0.1 m from the base: 0.05 and 0.03 m from its target.
    length = np.hypot(0.05, 0.03)
    smooth = 0.5 * 0.05
    by_length = Objective(robot, ["", ""], ["tip", "b"], huber_m=0.04, smoothness=0.5)
    assert by_length.value(positions, targets, last) == pytest.approx(3 * (length - 0.02) + smooth)
    by_component = Objective(robot, ["", ""], ["tip", "b"], huber_m=0.04, smoothness=0.5, by_component=True)
    expected = 3 * ((0.05 - 0.02) + 0.03**2 / 0.08) + smooth
    assert by_component.value(positions, targets, last) == pytest.approx(expected)


def test_vectors_begin_at_their_origins():
    robot = RobotHand.from_urdf(finger())
    objective = Objective(robot, ["a", ""], ["tip", "b"], huber_m=0.04, smoothness=0.0)
    vectors, origins = objective.vectors(np.zeros(3))
    np.testing.assert_allclose(vectors, [[0.15, 0, 0], [0.1, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(origins, [[0.05, 0, 0], [0, 0, 0]], atol=1e-12)


def test_an_unknown_link_is_named():
    with pytest.raises(ValueError, match="no link palm"):
        Objective(RobotHand.from_urdf(finger()), ["palm"], ["tip"], huber_m=0.02, smoothness=0.0)
