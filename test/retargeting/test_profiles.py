"""The profiles of config/robots on hands of the same structure; files of this format and of dex-retargeting's."""

import dataclasses
import math

import numpy as np
import pytest
import yaml
from helpers.robot_hands import between, human_joints
from helpers.robot_structures import structure, structure_urdf

from hand_pose_ros import hand
from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.dex_yaml import KEYS, OPERATOR_ROTATION
from hand_pose_ros.retargeting.profile import Fingertip, LinkVector, PinchOptions, RobotProfile
from hand_pose_ros.retargeting.profile_files import profile_from_values, profile_names, read_profile
from hand_pose_ros.retargeting.retargeter import Retargeter

REAL_HANDS = tuple(name for name in profile_names() if name != "demo_hand")


def test_the_hands_of_the_documents_are_there():
    assert profile_names() == (
        "ability",
        "allegro_v5",
        "demo_hand",
        "inspire_rh56",
        "leap",
        "revo2",
        "shadow",
    )


@pytest.mark.parametrize("side", hand.SIDES)
@pytest.mark.parametrize("name", profile_names())
def test_a_hand_follows_inside_its_limits_and_commands_every_joint(name, side):
    profile = read_profile(name, side)
    robot = profile.robot_hand(demo_hand_urdf(side) if name == "demo_hand" else structure_urdf(name, side))
    retargeter = Retargeter(profile, robot)
    last = robot.clip(np.zeros(robot.num_joints))
    retargeter.reset(last)
    for joints in between(human_joints("open", side), human_joints("grasp", side), 40):
        result = retargeter.retarget(joints, None, 1 / 30)
        assert (np.abs(result.positions_rad - last) <= robot.velocity_rad_s / 30 + 1e-12).all()
        last = result.positions_rad
    assert (last >= robot.lower_rad).all()
    assert (last <= robot.upper_rad).all()
    moving = set(profile.target_joints) or set(robot.joint_names)
    commanded = {entry.joint for entry in profile.command.for_joints(robot.all_joint_names)}
    assert moving <= commanded <= set(robot.all_joint_names)
    values = profile.command.values(robot.all_joint_names, robot.expand(last))
    assert np.isfinite(values).all()


@pytest.mark.parametrize("side", hand.SIDES)
@pytest.mark.parametrize("name", REAL_HANDS)
def test_fingers_lie_where_the_axes_say(name, side):
    """Open fingertips, in the human hand's frame, are distal, the index finger next to the thumb; they flex."""
    profile = read_profile(name, side)
    robot = profile.robot_hand(structure_urdf(name, side))
    tips = robot.link_positions(
        robot.clip(np.zeros(robot.num_joints)), robot.link_indices([tip.link for tip in profile.fingertips])
    )
    human = tips @ profile.rotation_base_wrist
    thumb_side = 1 if side == "right" else -1
    assert (human[1:, 0] > 0.1).all()
    assert thumb_side * human[1, 1] > thumb_side * human[-1, 1]
    flexed = {joint.name for _, joints, _ in structure(name, side).fingers for joint in joints}
    closed = np.where([joint in flexed for joint in robot.joint_names], robot.upper_rad, 0)
    middle = (
        robot.link_positions(closed, robot.link_indices([profile.fingertips[2].link]))
        @ profile.rotation_base_wrist
    )
    assert middle[0, 0] < human[2, 0] - 0.02


def test_leaps_driver_has_the_flat_hand_at_pi_in_the_order_of_its_motors():
    profile = read_profile("leap")
    robot = profile.robot_hand(structure_urdf("leap", "right"))
    positions = np.array([int(name) / 100 for name in robot.joint_names])
    np.testing.assert_allclose(
        profile.command.values(robot.joint_names, positions), np.arange(16) / 100 + math.pi, atol=1e-5
    )
    assert (profile.command.kind, profile.command.topic, profile.command.by_order) == (
        "joint_state",
        "/cmd_leap",
        True,
    )


def test_abilitys_driver_takes_degrees_with_the_thumb_last():
    profile = read_profile("ability", "left")
    robot = profile.robot_hand(structure_urdf("ability", "left"))
    assert profile.command.names(robot.all_joint_names) == (
        "index_q1", "middle_q1", "ring_q1", "pinky_q1", "thumb_q2", "thumb_q1",
    )  # fmt: skip
    positions = dict.fromkeys(robot.joint_names, 0.0) | {"thumb_q1": -math.pi / 2, "index_q1": math.pi / 6}
    values = profile.command.values(
        robot.joint_names, np.array([positions[name] for name in robot.joint_names])
    )
    np.testing.assert_allclose(values, [30, 0, 0, 0, 0, -90], atol=1e-9)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("allegro_v5", [f"joint_{i}_0" for i in range(16)]),
        (
            "inspire_rh56",
            ["thumb_proximal_yaw_joint", "thumb_proximal_pitch_joint", "index_proximal_joint"]
            + ["middle_proximal_joint", "ring_proximal_joint", "pinky_proximal_joint"],
        ),
        (
            "revo2",
            ["right_thumb_metacarpal_joint", "right_thumb_proximal_joint", "right_index_proximal_joint"]
            + ["right_middle_proximal_joint", "right_ring_proximal_joint", "right_pinky_proximal_joint"],
        ),
    ],
)
def test_commands_are_in_the_drivers_order(name, names):
    profile = read_profile(name)
    robot = profile.robot_hand(structure_urdf(name, "right"))
    assert list(profile.command.names(robot.all_joint_names)) == names
    assert profile.command.units == "rad"


def test_a_side_may_replace_keys():
    values = {
        "objective": "vector", "scaling": 1.0, "left": {"scaling": 2.0},
        "vectors": [{"task": "{s}_{S}_{side}_{Side}_tip", "human_task": "index_tip"}],
    }  # fmt: skip
    right, left = (profile_from_values(values, side, "test") for side in ("right", "left"))
    assert (right.scaling, left.scaling) == (1.0, 2.0)
    assert right.vectors[0].task == "r_R_right_Right_tip"
    assert (left.name, left.side) == ("test", "left")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"objectiv": "vector"}, "unknown key: objectiv"),
        ({"objective": "best"}, "objective must be one of vector"),
        ({"vectors": [{"task": "tip", "human_task": "index"}]}, "human joint 'index' must be one of wrist"),
        ({"vectors": [{"task": "tip", "human_task": "index_tip", "scale": 0}]}, "scale must be positive"),
        ({"vectors": []}, "vectors must not be empty"),
        ({"objective": "dexpilot"}, "fingertips must be 2 to 5"),
        ({"scaling": 0.0}, "scaling must be positive"),
        ({"smoothness": -1.0}, "smoothness must not be negative"),
        ({"low_pass_hz": 1.0, "low_pass_alpha": 0.5}, "exclude each other"),
        ({"low_pass_hz": 0.0}, "low_pass_hz must be positive"),
        ({"low_pass_alpha": 2.0}, "low_pass_alpha must be between"),
        ({"axes": ["distal", "little", "dorsal"]}, "no right-handed frame"),
        ({"rotation": [[1, 0, 0], [0, 1, 0], [0, 0, -1]]}, "rotation matrix"),
        ({"command": {"topic": "a", "kind": "b"}}, "kind must be one of"),
        ({"pinch": {"project_m": 0.1}}, "project_m must be positive and at most escape_m"),
    ],
)
def test_a_bad_profile_is_refused_by_name(change, message):
    values = {"objective": "vector", "vectors": [{"task": "tip", "human_task": "index_tip"}]}
    with pytest.raises(ValueError, match=message):
        profile_from_values({**values, **change}, "right", "test")


def test_an_unknown_robot_or_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="no robot 'leep'; there are ability"):
        read_profile("leep")
    with pytest.raises(FileNotFoundError):
        read_profile(tmp_path / "missing.yaml")
    (tmp_path / "cut.yaml").write_text("name: {")
    with pytest.raises(ValueError, match=r"cut\.yaml is not a usable YAML file"):
        read_profile(tmp_path / "cut.yaml")
    (tmp_path / "list.yaml").write_text("[1]")
    with pytest.raises(ValueError, match="must hold keys and values"):
        read_profile(tmp_path / "list.yaml")


def test_a_profile_that_does_not_fit_its_robot_is_refused():
    profile = read_profile("demo_hand")
    robot = profile.robot_hand(demo_hand_urdf())
    with pytest.raises(ValueError, match="target_joints names elbow"):
        Retargeter(dataclasses.replace(profile, target_joints=("elbow",)), robot)
    with pytest.raises(ValueError, match="no link left_demo_base"):
        Retargeter(read_profile("demo_hand", "left"), robot)
    with pytest.raises(ValueError, match="the command names 0"):
        Retargeter(dataclasses.replace(profile, command=read_profile("leap").command), robot)


def test_joints_that_are_no_targets_stay():
    profile = read_profile("demo_hand")
    names = profile.robot_hand(demo_hand_urdf()).joint_names
    robot = profile.robot_hand(demo_hand_urdf())
    retargeter = Retargeter(dataclasses.replace(profile, target_joints=names[4:]), robot)
    start = retargeter.robot.middle_rad
    retargeter.reset(start)
    for joints in between(human_joints("open"), human_joints("fist"), 5):
        positions = retargeter.retarget(joints, None, 1 / 30).positions_rad
    np.testing.assert_allclose(positions[:4], start[:4])
    assert np.abs(positions[4:] - start[4:]).max() > 0.1


# dex-retargeting's format.
VECTOR = {
    "type": "vector", "urdf_path": "hand.urdf", "scaling_factor": 1.6, "low_pass_alpha": 0.2,
    "target_origin_link_names": ["base", "base"], "target_task_link_names": ["thumb_tip", "index_tip"],
    "target_link_human_indices": [[0, 0], [4, 8]],
}  # fmt: skip
POSITION = {
    "type": "position", "urdf_path": "hand.urdf", "target_joint_names": None, "add_dummy_free_joint": True,
    "target_link_names": ["thumb_tip", "index_tip"], "target_link_human_indices": [4, 8], "low_pass_alpha": 1,
}  # fmt: skip
DEXPILOT = {
    "type": "DexPilot", "urdf_path": "hand.urdf", "wrist_link_name": "base", "scaling_factor": 1.2,
    "finger_tip_link_names": ["thumb_tip", "index_tip", "middle_tip"],
}  # fmt: skip


def dex(values: dict, **change) -> RobotProfile:
    return profile_from_values({"retargeting": {**values, **change}}, "right", "test")


def test_dex_vectors():
    profile = dex(VECTOR)
    assert profile.objective == "vector"
    assert profile.vectors[1] == LinkVector("index_tip", "index_tip", "base", "wrist")
    assert (profile.scaling, profile.low_pass_alpha, profile.urdf) == (1.6, 0.2, "hand.urdf")
    assert (profile.smoothness, profile.huber_m, profile.normalise_size) == (4e-3, 0.02, False)
    np.testing.assert_array_equal(profile.rotation_base_wrist, OPERATOR_ROTATION)


def test_dex_positions():
    profile = dex(POSITION, target_joint_names=["q1"])
    assert profile.vectors == (LinkVector("thumb_tip", "thumb_tip"), LinkVector("index_tip", "index_tip"))
    assert profile.free_base
    assert profile.target_joints[-1] == "q1"
    assert len(profile.target_joints) == 7
    assert dex(POSITION).target_joints == ()


def test_dex_pilot():
    profile = dex(DEXPILOT)
    assert profile.fingertips == (
        Fingertip("thumb_tip", "thumb_tip"),
        Fingertip("index_tip", "index_tip"),
        Fingertip("middle_tip", "middle_tip"),
    )
    assert (profile.wrist_link, profile.huber_m, profile.low_pass_alpha) == ("base", 0.03, 0.1)
    assert dex(DEXPILOT, project_dist=0.02, escape_dist=0.04).pinch == PinchOptions(0.02, 0.04)
    pairs = [[8, 12, 12, 0, 0, 0], [4, 4, 8, 4, 8, 12]]
    assert dex(DEXPILOT, target_link_human_indices=pairs) == profile


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"normal_delta": 0.01}, "smoothness", 0.01),
        ({"huber_delta": 0.05}, "huber_m", 0.05),
        ({"ignore_mimic_joint": True}, "ignore_mimic", True),
        ({"add_dummy_free_joint": True}, "free_base", True),
        ({"low_pass_alpha": -1}, "low_pass_alpha", None),
        ({"has_joint_limits": True}, "objective", "vector"),
        ({"target_joint_names": ["a", "b"]}, "target_joints", ("a", "b")),
        ({"wrist_link_name": "base"}, "wrist_link", ""),
    ],
)
def test_every_other_dex_key_counts(change, field, value):
    assert getattr(dex(VECTOR, **change), field) == value
    assert set(change) <= set(KEYS)


@pytest.mark.parametrize(
    ("values", "change", "message"),
    [
        (VECTOR, {"has_joint_limits": False}, "has_joint_limits: false is refused"),
        (VECTOR, {"scaling": 1}, "unknown key of dex-retargeting: scaling"),
        (VECTOR, {"type": "sequence"}, "type must be vector, DexPilot or position"),
        (VECTOR, {"type": None}, "missing key: type"),
        (VECTOR, {"urdf_path": None}, "missing key: urdf_path"),
        (VECTOR, {"target_link_human_indices": None}, "missing key: target_link_human_indices"),
        (VECTOR, {"target_link_human_indices": [[0, 0], [4, 21]]}, "2 joint indices from 0 to 20"),
        (VECTOR, {"target_link_human_indices": [[0], [4]]}, "2 joint indices"),
        (VECTOR, {"target_task_link_names": ["thumb_tip"]}, "must agree"),
        (VECTOR, {"target_task_link_names": "thumb_tip"}, "must be a list of names"),
        (DEXPILOT, {"wrist_link_name": None}, "missing key: wrist_link_name"),
        (DEXPILOT, {"target_link_human_indices": [[4] * 6, [8] * 6]}, "must pair the fingertips"),
    ],
)
def test_bad_dex_files_are_refused_by_name(values, change, message):
    with pytest.raises(ValueError, match=message):
        dex(values, **change)


def test_dex_files_are_told_apart_by_their_keys(tmp_path):
    path = tmp_path / "hand_left.yml"
    path.write_text(yaml.safe_dump({"retargeting": VECTOR}))
    profile = read_profile(path, "left")
    assert (profile.name, profile.side, profile.objective) == ("hand_left", "left", "vector")
    path.write_text("retargeting: 3")
    with pytest.raises(ValueError, match="retargeting must hold keys and values"):
        read_profile(path)


@pytest.mark.parametrize("name", REAL_HANDS)
def test_a_driver_s_topics_do_not_depend_on_our_namespace(name):
    command = read_profile(name).command
    assert command.topic.startswith("/")
    assert command.state_topic.startswith("/")
