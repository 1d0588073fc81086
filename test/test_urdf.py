"""The URDF, posed by Pinocchio, against the FK layer: an independent implementation of the same hand."""

import math
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from helpers.hands import random_hands

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.mirror import mirror_points
from hand_pose_ros.urdf import hand_urdf, main


def pinocchio_frames(document, side, angles):
    """(joints, rotations) of every pose (N, 38), as Pinocchio poses the URDF."""
    pin = pytest.importorskip("pinocchio")
    model = pin.buildModelFromXML(document)
    data = model.createData()
    assert model.nq == hand.NUM_ANGLES
    columns = [model.joints[model.getJointId(name)].idx_q for name in hand.joint_state_names(side)]
    frames = [model.getFrameId(hand.frame_name(name, side), pin.BODY) for name in hand.JOINT_NAMES]
    joints = np.empty((len(angles), hand.NUM_JOINTS, 3))
    rotations = np.empty((len(angles), hand.NUM_JOINTS, 3, 3))
    for i, pose in enumerate(angles):
        configuration = np.empty(model.nq)
        configuration[columns] = pose
        pin.framesForwardKinematics(model, data, configuration)
        for joint, frame in enumerate(frames):
            joints[i, joint] = data.oMf[frame].translation
            rotations[i, joint] = data.oMf[frame].rotation
    return joints, rotations


@pytest.mark.parametrize("side", hand.SIDES)
def test_pinocchio_poses_the_urdf_as_we_pose_the_hand(side):
    hands = random_hands(1000, seed=20)
    # The lengths are in the document, so a few different hands, with many poses each.
    for start in range(0, 1000, 250):
        angles, proportions, anchor_m = (
            hands.angles[start : start + 250],
            hands.proportions[start],
            float(hands.anchor_length[start]),
        )
        document = hand_urdf(side, anchor_m, proportions.tolist())
        joints, rotations = pinocchio_frames(document, side, angles.numpy())
        ours = forward_kinematics(angles, proportions, anchor_length=anchor_m, side=side)
        np.testing.assert_allclose(joints, ours.joints, rtol=0, atol=1e-9)
        np.testing.assert_allclose(rotations, ours.rotations, rtol=0, atol=1e-9)


def test_left_urdf_is_the_mirror_image_of_the_right():
    angles = random_hands(50, seed=21).angles.numpy()
    right, _ = pinocchio_frames(hand_urdf("right"), "right", angles)
    left, _ = pinocchio_frames(hand_urdf("left"), "left", angles)
    mirrored = mirror_points(torch.from_numpy(right), -torch.ones(50, dtype=torch.float64))
    np.testing.assert_allclose(left, mirrored, rtol=0, atol=1e-12)


@pytest.mark.parametrize("side", hand.SIDES)
def test_joints_are_the_tables(side):
    robot = ElementTree.fromstring(hand_urdf(side))
    revolute = {joint.get("name"): joint for joint in robot.iter("joint") if joint.get("type") == "revolute"}
    assert sorted(revolute) == sorted(hand.joint_state_names(side))
    for name, low, high in zip(hand.joint_state_names(side), *hand.limits()[::2], strict=True):
        limit = revolute[name].find("limit").attrib
        assert (float(limit["lower"]), float(limit["upper"])) == (low, high)
        assert float(limit["effort"]) > 0
        assert float(limit["velocity"]) > 0
    others = [joint for joint in robot.iter("joint") if joint.get("type") != "revolute"]
    assert len(others) == hand.NUM_BONES
    assert {joint.get("type") for joint in others} == {"fixed"}


@pytest.mark.parametrize("side", hand.SIDES)
def test_links_are_a_tree_with_a_shape_for_every_bone(side):
    robot = ElementTree.fromstring(hand_urdf(side))
    links = [link.get("name") for link in robot.iter("link")]
    children = [child.get("link") for child in robot.iter("child")]
    parents = {parent.get("link") for parent in robot.iter("parent")}
    assert len(set(links)) == len(links)
    assert len(set(children)) == len(children)
    assert parents | set(children) == set(links)
    assert set(links) - set(children) == {hand.frame_name("wrist", side)}
    shaped = {link.get("name") for link in robot.iter("link") if link.find("visual") is not None}
    assert shaped == {hand.frame_name(joint, side) for joint in hand.JOINT_NAMES}
    for shape in (*robot.iter("cylinder"), *robot.iter("sphere")):
        assert 0.004 < float(shape.get("radius")) < 0.02


def test_size_scales_everything():
    small, large = (
        [
            float(c.get("length"))
            for c in ElementTree.fromstring(hand_urdf(anchor_length_m=a)).iter("cylinder")
        ]
        for a in (0.05, 0.1)
    )
    np.testing.assert_allclose(2 * np.array(small), large)
    np.testing.assert_allclose(large, [0.1 * mean for _, mean, _ in hand.PROPORTIONS])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"side": "rigth"}, "side must be one of"),
        ({"anchor_length_m": 0.0}, "must be positive"),
        ({"anchor_length_m": math.nan}, "must be positive"),
        ({"proportions": [1.0] * 19}, "expected 20 proportions, got 19"),
        ({"proportions": [1.0] * 19 + [-1.0]}, "must be positive"),
    ],
)
def test_bad_input_is_refused_with_a_reason(arguments, message):
    with pytest.raises(ValueError, match=message):
        hand_urdf(**arguments)


def test_the_document_declares_no_encoding():
    """A str with one cannot be parsed by lxml, nor by what ROS builds on it."""
    assert hand_urdf().splitlines()[0] == '<?xml version="1.0"?>'
    assert hand_urdf().isascii()


def test_command(tmp_path, capsys):
    file = tmp_path / "hand.urdf"
    main(["--side", "left", "--anchor-length", "0.08", "--output", str(file)])
    assert file.read_text() == hand_urdf("left", 0.08)
    main([])
    assert capsys.readouterr().out == hand_urdf()
    with pytest.raises(SystemExit, match="2"):
        main(["--anchor-length", "-1"])
    assert "must be positive" in capsys.readouterr().err


def test_command_as_a_module(repository):
    run = subprocess.run(
        [sys.executable, "-m", "hand_pose_ros", "urdf"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout == hand_urdf()
