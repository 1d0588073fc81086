"""Images of a robot hand: joints move what is drawn, projected points lie on it, left is the mirror of right."""

from __future__ import annotations

import numpy as np
import pytest

from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf, joint_names, link_name
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.view.robot_image import RobotImage
from hand_pose_ros.retargeting.view.shapes import link_shapes

SIZE = 160
TIPS = ("thumb_tip", "index_tip", "middle_tip", "ring_tip")


def make(side: str = "right") -> tuple[RobotImage, np.ndarray]:
    """The view of the demonstration hand, and a half-bent pose."""
    profile, urdf = read_profile("demo_hand", side), demo_hand_urdf(side)
    robot = profile.robot_hand(urdf)
    return RobotImage(profile, robot, link_shapes(urdf), SIZE), robot.clip(np.full(robot.num_joints, 0.3))


def drawn(image: np.ndarray) -> np.ndarray:
    """(H, W) where the hand covers the grey backdrop."""
    column = image[:, :1].astype(int)
    return (np.abs(image.astype(int) - column) > 6).any(axis=2)


def test_the_hand_fills_the_middle_of_the_image():
    view, bent = make()
    rows, columns = np.nonzero(drawn(view.draw(bent)))
    assert 0.5 * SIZE < np.ptp(rows) < 0.95 * SIZE
    assert min(rows.min(), columns.min()) > 0
    assert max(rows.max(), columns.max()) < SIZE - 1


def test_the_same_positions_give_the_same_image():
    view, bent = make()
    np.testing.assert_array_equal(view.draw(bent), view.draw(bent))


@pytest.mark.parametrize("side", ["right", "left"])
def test_projected_joints_lie_on_the_drawn_hand_as_they_move(side):
    view, bent = make(side)
    robot = read_profile("demo_hand", side).robot_hand(demo_hand_urdf(side))
    links = robot.link_indices([f"{name}_link" for name in joint_names(side)])
    for positions in (np.zeros(16), bent, robot.clip(np.full(16, 0.7))):
        hand = drawn(view.draw(positions))
        for x, y in view.pixels(robot.link_positions(positions, links)):
            assert hand[
                round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2
            ].any()  # grey, as the backdrop may be


def test_a_bent_index_finger_changes_its_part_of_the_image_only():
    view, _ = make()
    flat = np.zeros(16)
    bent = flat.copy()
    bent[5:8] = 1.2
    changed = np.abs(view.draw(flat).astype(int) - view.draw(bent)).max(axis=2) > 30
    robot = read_profile("demo_hand").robot_hand(demo_hand_urdf())
    tips = view.pixels(robot.link_positions(flat, robot.link_indices([link_name("right", t) for t in TIPS])))
    at_tips = [changed[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3].any() for x, y in tips]
    assert at_tips == [False, True, False, False]


def test_a_left_hand_is_the_mirror_image():
    right, left = (drawn(view.draw(bent)) for view, bent in (make("right"), make("left")))
    assert (right != left[:, ::-1]).mean() < 0.01
    assert right.mean() > 0.1


def test_vectors_are_drawn_where_their_ends_are():
    view, bent = make()
    image = view.draw(bent)
    start, end = np.zeros((1, 3)), np.array([[0.1, 0.0, 0.0]])
    view.draw_vectors(image, start, end, (0, 0, 255))
    for x, y in view.pixels(np.vstack((start, end))):
        assert image[round(y), round(x), 2] > 150
        assert image[round(y), round(x), 0] < 100


def test_a_shape_of_an_unknown_link_is_refused():
    profile = read_profile("demo_hand")
    robot = profile.robot_hand(demo_hand_urdf())
    with pytest.raises(ValueError, match="the URDF has no link"):
        RobotImage(profile, robot, link_shapes(demo_hand_urdf("left")), SIZE)
    with pytest.raises(ValueError, match="neither visual primitives"):
        RobotImage(profile, robot, (), SIZE)
