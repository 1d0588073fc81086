"""The kinematics of robot hands: limits, mimic joints and bad URDFs by name; positions and derivatives."""

import math
import sys

import numpy as np
import pytest
from helpers.robot_hands import LIMIT, finger, joint, urdf

from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.robot_hand import RobotHand
from hand_pose_ros.retargeting.urdf_tree import (
    CONTINUOUS_LIMITS_RAD,
    DEFAULT_VELOCITY_RAD_S,
    FREE_BASE_JOINTS,
)

MIMIC = LIMIT + '<mimic joint="q1" multiplier="-2" offset="0.1"/>'


def test_positions_are_those_of_a_chain_in_the_plane():
    robot = RobotHand.from_urdf(finger())
    assert robot.joint_names == ("q1", "q2", "q3")
    assert robot.root_link == "base"
    angles = np.array([0.3, -0.5, 0.9])
    tip, middle = robot.link_positions(angles, robot.link_indices(["tip", "b"]))
    directions = [0, *np.cumsum(angles)]
    expected = sum(0.05 * np.array([math.cos(d), math.sin(d), 0]) for d in directions)
    np.testing.assert_allclose(tip, expected, atol=1e-12)
    np.testing.assert_allclose(middle, [0.05 + 0.05 * math.cos(0.3), 0.05 * math.sin(0.3), 0], atol=1e-12)
    pose = robot.link_poses(angles, robot.link_indices(["tip"]))[0]
    np.testing.assert_allclose(pose[:3, 0], [math.cos(0.7), math.sin(0.7), 0], atol=1e-12)
    np.testing.assert_allclose(pose[:3, 3], tip, atol=1e-12)


@pytest.mark.parametrize("document", [finger(), finger(LIMIT, MIMIC), demo_hand_urdf("left")])
@pytest.mark.parametrize("free_base", [False, True])
def test_jacobians_are_the_derivatives_of_the_positions(document, free_base):
    robot = RobotHand.from_urdf(document, free_base=free_base)
    links = robot.link_indices(robot.link_names)
    random = np.random.default_rng(1)
    for _ in range(3):
        positions = random.uniform(robot.lower_rad, robot.upper_rad)
        motion = robot.link_motion(positions, links)
        np.testing.assert_allclose(motion.positions_m, robot.link_positions(positions, links), atol=1e-12)
        for column, step in enumerate(1e-6 * np.eye(robot.num_joints)):
            ahead, behind = (robot.link_positions(positions + s * step, links) for s in (1, -1))
            derivative = (motion.jacobians @ robot.reduction)[:, :, column]
            np.testing.assert_allclose(derivative, (ahead - behind) / 2e-6, atol=1e-8)


def test_mimic_joints_follow_and_keep_their_limits_and_velocities():
    # q2 = 0.1 - 2 q1 stays between -1 and 1 while q1 is between -0.45 and 0.55, and moves twice as fast.
    robot = RobotHand.from_urdf(finger(LIMIT, MIMIC))
    assert robot.joint_names == ("q1", "q3")
    assert robot.all_joint_names == ("q1", "q2", "q3")
    assert [joint.name for joint in robot.mimic_joints] == ["q2"]
    np.testing.assert_allclose(robot.lower_rad, [-0.45, -1])
    np.testing.assert_allclose(robot.upper_rad, [0.55, 1])
    np.testing.assert_allclose(robot.velocity_rad_s, [1, 2])
    np.testing.assert_allclose(robot.expand(np.array([0.2, 0.5])), [0.2, -0.3, 0.5])
    alone = RobotHand.from_urdf(finger(), velocity=2.0)
    links = robot.link_indices(["tip"])
    np.testing.assert_allclose(
        robot.link_positions(np.array([0.2, 0.5]), links),
        alone.link_positions(np.array([0.2, -0.3, 0.5]), alone.link_indices(["tip"])),
    )


def test_mimic_joints_of_mimic_joints_follow_the_first():
    robot = RobotHand.from_urdf(finger(LIMIT, MIMIC, LIMIT + '<mimic joint="q2" multiplier="0.5"/>'))
    np.testing.assert_allclose(robot.expand(np.array([0.2])), [0.2, -0.3, -0.15])


def test_ignored_mimic_joints_are_independent():
    assert RobotHand.from_urdf(finger(LIMIT, MIMIC), ignore_mimic=True).joint_names == ("q1", "q2", "q3")


def test_a_continuous_joint_keeps_one_turn():
    robot = RobotHand.from_urdf(finger("", kinds=("continuous", "revolute", "revolute")))
    assert (robot.lower_rad[0], robot.upper_rad[0]) == CONTINUOUS_LIMITS_RAD
    assert robot.velocity_rad_s[0] == DEFAULT_VELOCITY_RAD_S
    assert robot.assumed_velocity_joints == ("q1",)


def test_limits_of_the_caller_replace_the_urdfs():
    robot = RobotHand.from_urdf(finger(""), limits={"q1": (-0.2, 0.4)}, velocities={"q2": 0.5}, velocity=3.0)
    assert (robot.lower_rad[0], robot.upper_rad[0]) == (-0.2, 0.4)
    np.testing.assert_allclose(robot.velocity_rad_s, [3, 0.5, 3])
    assert robot.assumed_velocity_joints == ()


def test_a_velocity_of_zero_becomes_the_default_and_is_named():
    robot = RobotHand.from_urdf(finger('<limit lower="0" upper="1" velocity="0" effort="0"/>'))
    assert robot.velocity_rad_s[0] == DEFAULT_VELOCITY_RAD_S
    assert robot.assumed_velocity_joints == ("q1",)


def test_a_free_base_has_six_joints_above_the_root():
    robot = RobotHand.from_urdf(finger(), free_base=True)
    assert robot.joint_names == (*FREE_BASE_JOINTS, "q1", "q2", "q3")
    base = robot.link_positions(np.array([0.1, 0.2, 0.3, 0, 0, 0, 0, 0, 0]), robot.link_indices(["base"]))
    np.testing.assert_allclose(base, [[0.1, 0.2, 0.3]], atol=1e-12)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("<robot", "not XML"),
        ("<sdf/>", "root element is <robot>, not <sdf>"),
        ('<robot xmlns:xacro="http://www.ros.org/wiki/xacro" name="r"><xacro:include/></robot>', "xacro"),
        (finger("") , "'q1' of the URDF has no limits"),
        (finger('<limit velocity="1" effort="1"/>'), "'q1' of the URDF has no limits"),
        (finger('<limit lower="2" upper="1" velocity="1" effort="1"/>'), "'q1' has the limits 2.0 to 1.0"),
        (finger('<limit lower="a" upper="1" velocity="1" effort="1"/>'), "'q1': lower='a' is not a number"),
        (finger(kinds=("floating", "revolute", "revolute")), "'q1' is of type 'floating'"),
        (finger(LIMIT + '<mimic joint="q9"/>'), "'q1' follows 'q9', which is no movable joint"),
        (finger(LIMIT + "<mimic/>"), "'q1' has a mimic element that names no joint"),
        (finger(LIMIT + '<mimic joint="q2"/>', LIMIT + '<mimic joint="q1"/>'), "in a circle: q1, q2"),
        (finger(LIMIT, LIMIT + '<mimic joint="q1" offset="5"/>'), "no position of joint 'q1'"),
        (urdf(joint("q1", "base", "nowhere"), links="base"), "the link 'nowhere', which is not there"),
        (urdf(joint("q1", "base", "a"), links="base a b"), r"one tree, but its roots are \['base', 'b'\]"),
        (urdf(joint("q", "base", "a"), joint("q", "a", "b"), links="base a b"), r"repeat: \['q'\]"),
        (urdf(links="base"), "no joint that moves"),
    ],
)  # fmt: skip
def test_a_bad_urdf_is_refused_by_name(document, message):
    with pytest.raises(ValueError, match=message):
        RobotHand.from_urdf(document)


@pytest.mark.parametrize("options", [{"limits": {"q7": (0, 1)}}, {"velocities": {"q7": 1.0}}])
def test_limits_of_unknown_joints_are_refused(options):
    with pytest.raises(ValueError, match=r"does not have.*q7"):
        RobotHand.from_urdf(finger(), **options)


def test_an_unknown_link_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no link thumb_tip; its links are base, a, b, c, tip"):
        RobotHand.from_urdf(finger()).link_indices(["tip", "thumb_tip"])


def test_a_missing_pinocchio_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pinocchio", None)
    with pytest.raises(ImportError, match=r"hand_pose_ros\[teleoperation\]"):
        RobotHand.from_urdf(finger())
