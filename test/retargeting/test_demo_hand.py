"""The demonstration hand: its joints, its mirror image, shapes on every link, and its command."""

from xml.etree import ElementTree

import numpy as np
import pytest

from hand_pose_ros import hand
from hand_pose_ros.retargeting.demo_hand import FINGERS, demo_hand_urdf, joint_names, link_name, main
from hand_pose_ros.retargeting.robot_hand import RobotHand


@pytest.mark.parametrize("side", hand.SIDES)
def test_it_has_sixteen_limited_joints(side):
    robot = RobotHand.from_urdf(demo_hand_urdf(side))
    assert robot.joint_names == joint_names(side)
    assert robot.num_joints == 16
    assert robot.root_link == link_name(side, "base")
    assert robot.assumed_velocity_joints == ()
    assert (robot.upper_rad > robot.lower_rad).all()


def test_the_left_hand_is_the_mirror_image_of_the_right():
    right, left = (RobotHand.from_urdf(demo_hand_urdf(side)) for side in ("right", "left"))
    random = np.random.default_rng(2)
    links = [link.removeprefix("right_") for link in right.link_names]
    ours, theirs = (
        r.link_indices([f"{s}_{link}" for link in links]) for r, s in ((right, "right"), (left, "left"))
    )
    for _ in range(20):
        positions = random.uniform(right.lower_rad, right.upper_rad)
        mirrored = left.link_positions(positions, theirs) * [1, -1, 1]
        np.testing.assert_allclose(right.link_positions(positions, ours), mirrored, atol=1e-12)


def test_signs_are_those_of_the_human_hand():
    """Flexion bends to the palm (-z), abduction of the index finger moves its tip to the thumb (+y)."""
    robot = RobotHand.from_urdf(demo_hand_urdf())
    tips = robot.link_indices([link_name("right", f"{finger}_tip") for finger in FINGERS])
    zero = robot.link_positions(np.zeros(16), tips)
    for finger in (1, 2, 3):
        for joint, axis, sign in ((0, 1, 1), (1, 2, -1), (2, 2, -1), (3, 2, -1)):
            positions = np.zeros(16)
            positions[4 * finger + joint] = 0.1
            assert sign * (robot.link_positions(positions, tips) - zero)[finger, axis] > 1e-3
    turned = np.zeros(16)
    turned[0] = 1.0
    assert robot.link_positions(turned, tips)[0, 2] < zero[0, 2] - 0.03


def test_every_moving_link_has_the_same_visual_and_collision_shapes():
    for link in ElementTree.fromstring(demo_hand_urdf()).iter("link"):
        shapes = {
            kind: [
                (shape.tag, shape.attrib) for part in link.findall(kind) for shape in part.find("geometry")
            ]
            for kind in ("visual", "collision")
        }
        assert shapes["visual"] == shapes["collision"]
        assert bool(shapes["visual"]) != link.get("name").endswith("_tip")


def test_the_command_writes_it(tmp_path, capsys):
    path = tmp_path / "hand.urdf"
    assert main(["--side", "left", "--output", str(path)]) == 0
    assert path.read_text() == demo_hand_urdf("left")
    assert main([]) == 0
    assert capsys.readouterr().out == demo_hand_urdf("right")


def test_an_unknown_side_is_refused():
    with pytest.raises(ValueError, match="side must be one of"):
        demo_hand_urdf("up")
