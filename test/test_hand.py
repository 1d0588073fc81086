"""The joint table: a tree in the right order, the paper's degrees of freedom, and limits that make sense."""

import math

import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds


def test_tree_of_21_nodes_and_20_bones():
    assert hand.NUM_JOINTS == len(set(hand.JOINT_NAMES)) == len(hand.PARENTS) == 21
    assert hand.PARENTS[hand.WRIST] == -1
    assert tuple(zip(hand.PARENTS[1:], range(1, 21), strict=True)) == hand.BONES
    assert all(parent < child for parent, child in hand.BONES)
    for start, end in hand.BONES:
        finger, joint = hand.JOINT_NAMES[end].split("_")
        names = ("cmc", "mcp", "ip", "tip") if finger == "thumb" else ("mcp", "pip", "dip", "tip")
        position = names.index(joint)
        expected = f"{finger}_{names[position - 1]}" if position else "wrist"
        assert hand.JOINT_NAMES[start] == expected
    assert all(hand.JOINT_NAMES[tip].endswith("_tip") for tip in hand.FINGERTIPS)
    assert hand.BONES[hand.ANCHOR_BONE] == (hand.WRIST, hand.ANCHOR_JOINT)
    assert hand.JOINT_NAMES[hand.ANCHOR_JOINT] == "index_mcp"
    assert hand.KNUCKLES == (5, 9, 13, 17)
    assert hand.PALM_JOINTS == (0, 1, 5, 9, 13, 17)
    assert hand.PALM_LENGTHS == (0.41, 1.0, 1.02, 0.95, 0.89)


def test_levels_are_the_breadth_first_order():
    depth = [0] * hand.NUM_JOINTS
    for start, end in hand.BONES:
        depth[end] = depth[start] + 1
    for level, nodes in enumerate(hand.LEVELS, start=1):
        assert nodes == tuple(i for i in range(hand.NUM_JOINTS) if depth[i] == level)


def test_degrees_of_freedom_are_the_papers():
    freedoms = {}
    for angle in hand.ARTICULATION_ANGLES:
        joint, motion = angle.name.rsplit("_", 1)
        assert motion == angle.motion
        assert hand.PARENTS[angle.node] == hand.JOINT_INDEX[joint]
        freedoms[joint] = freedoms.get(joint, 0) + 1
    expected = {"thumb_cmc": 3, "thumb_mcp": 3, "thumb_ip": 1}
    for finger in hand.FINGERS[1:]:
        expected |= {f"{finger}_mcp": 2, f"{finger}_pip": 1, f"{finger}_dip": 1}
    assert freedoms == expected
    assert len(hand.WRIST_ANGLE_NAMES) + hand.NUM_ARTICULATION == 26
    assert len(hand.OFFSET_ANGLES) == 15
    assert all(hand.PARENTS[angle.node] == hand.WRIST for angle in hand.OFFSET_ANGLES)
    assert len(hand.ALL_ANGLE_NAMES) == len(set(hand.ALL_ANGLE_NAMES)) == 41
    assert hand.NUM_ANGLES == 38
    assert [hand.ANGLE_INDEX[name] for name in hand.ANGLE_NAMES] == list(range(38))


def test_each_node_turns_at_most_once_about_each_axis():
    turns = [(angle.node, angle.axis) for angle in hand.ANGLES]
    assert len(set(turns)) == len(turns)


def test_limits_are_ordered_and_keep_clear_of_the_singularity():
    for angle, low, neutral, high in zip(hand.ANGLES, *hand.limits(), strict=True):
        assert low <= neutral <= high, angle.name
        assert (low, high) == (math.radians(angle.min_deg), math.radians(angle.max_deg))
        if angle.motion == "abduction":
            assert -math.pi / 2 < low
            assert high < math.pi / 2
    for name, (low, mean, high) in zip(hand.BONE_NAMES, hand.PROPORTIONS, strict=True):
        assert 0 < low <= mean <= high, name
    assert hand.PROPORTIONS[hand.ANCHOR_BONE] == (1.0, 1.0, 1.0)


def test_middle_finger_defines_the_x_axis():
    for name in ("middle_base_flexion", "middle_base_abduction"):
        angle = hand.ANGLES[hand.ANGLE_INDEX[name]]
        assert (angle.min_deg, angle.max_deg) == (0, 0)


def test_neutral_right_hand_looks_like_a_right_hand():
    angles, proportions = angle_bounds(torch.float64).neutral, proportion_bounds(torch.float64).neutral
    joints = forward_kinematics(angles, proportions).joints
    point = {name: joints[i] for i, name in enumerate(hand.JOINT_NAMES)}
    # Knuckles from radial (+y, the thumb's side) to ulnar, all of them distal (+x) of the wrist.
    knuckles = torch.stack([point[f"{finger}_mcp"] for finger in hand.FINGERS[1:]])
    assert (knuckles[:, 0] > 0.5).all()
    assert (knuckles[:, 1].diff() < 0).all()
    assert point["thumb_mcp"][1] > point["index_mcp"][1]
    # The thumb's base and every fingertip of the relaxed hand lie on the palm's side, z < 0.
    assert point["thumb_mcp"][2] < 0
    assert (joints[list(hand.FINGERTIPS), 2] < 0).all()


@pytest.mark.parametrize(
    ("motion", "axis", "sign"),
    [("flexion", 2, -1), ("abduction", 1, 1)],  # towards the palm, and towards the thumb's side
)
@pytest.mark.parametrize("finger", hand.FINGERS[1:])
def test_sign_of_the_angles_on_a_right_hand(finger, motion, axis, sign):
    flat = torch.zeros(hand.NUM_ANGLES, dtype=torch.float64)
    proportions = proportion_bounds(torch.float64).neutral
    moved = flat.clone()
    moved[hand.ANGLE_INDEX[f"{finger}_mcp_{motion}"]] = 0.1
    tip = hand.JOINT_INDEX[f"{finger}_tip"]
    change = forward_kinematics(moved, proportions).joints - forward_kinematics(flat, proportions).joints
    assert sign * change[tip, axis] > 0.05


def test_positive_twist_turns_y_towards_z():
    flat = torch.zeros(hand.NUM_ANGLES, dtype=torch.float64)
    flat[hand.ANGLE_INDEX["thumb_cmc_twist"]] = 0.1
    frames = forward_kinematics(flat, proportion_bounds(torch.float64).neutral).rotations
    assert frames[hand.JOINT_INDEX["thumb_mcp"], 2, 1] == pytest.approx(math.sin(0.1))


def test_names_of_frames_and_of_joint_states():
    assert hand.frame_name("index_mcp", "right") == "right_hand_index_mcp"
    assert hand.frame_name("wrist", "left") == "left_hand_wrist"
    names = hand.joint_state_names("left")
    assert len(names) == 38
    assert names[0] == "left_hand_thumb_cmc_flexion"
    assert names[-1] == "left_hand_little_base_twist"


def test_wrong_names_are_refused():
    for side in ("Right", "", None, "both"):
        with pytest.raises(ValueError, match="side must be one of"):
            hand.check_side(side)
    with pytest.raises(ValueError, match="side must be one of"):
        hand.joint_state_names("up")
    with pytest.raises(ValueError, match="unknown joint 'elbow'"):
        hand.frame_name("elbow", "left")


def test_the_page_on_limits_shows_what_ships(repository):
    rows = {}
    for line in (repository / "docs" / "results" / "limits.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0]] = cells[-1]
    for angle in hand.ANGLES:
        expected = f"{angle.min_deg:g} to {angle.max_deg:g} ({angle.neutral_deg:g})"
        assert rows[angle.name] == expected, angle.name
    for name, (low, mean, high) in zip(hand.BONE_NAMES, hand.PROPORTIONS, strict=True):
        assert rows[name] == f"{low:g} to {high:g} ({mean:g})", name
