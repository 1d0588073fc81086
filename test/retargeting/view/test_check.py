"""The frame check as a picture and a table: a wrong profile is seen where it is wrong."""

from __future__ import annotations

import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from hand_pose_ros import command
from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.frame_check import vector_parts
from hand_pose_ros.retargeting.profile import RobotProfile
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.retargeter import RetargetedHand, Retargeter
from hand_pose_ros.retargeting.view.check import check_image, gesture_joints, vector_table
from hand_pose_ros.retargeting.view.robot_image import RobotImage
from hand_pose_ros.retargeting.view.shapes import link_shapes

ROW = re.compile(r"^  wrist -> (\w+)_tip +(\d+) mm +(\d+) mm +(\d+) deg +(\d+) mm$", re.MULTILINE)


def solved(profile: RobotProfile, gesture: str = "open") -> tuple[Retargeter, RetargetedHand]:
    retargeter = Retargeter(profile, profile.robot_hand(demo_hand_urdf(profile.side)))
    return retargeter, retargeter.retarget(gesture_joints(gesture, profile.side), None, 1 / 30)


def rows(profile: RobotProfile, gesture: str = "open") -> dict[str, tuple[int, ...]]:
    """Finger -> lengths of the human's and the robot's vector (mm), angle (deg), residual (mm)."""
    retargeter, result = solved(profile, gesture)
    table = vector_table(retargeter.vector_names, result)
    return {finger: tuple(map(int, numbers)) for finger, *numbers in ROW.findall(table)}


@pytest.mark.parametrize("side", ["right", "left"])
def test_with_the_right_profile_both_vectors_are_alike(side):
    found = rows(read_profile("demo_hand", side))
    assert list(found) == ["thumb", "index", "middle", "ring"]
    for human_mm, robot_mm, angle, residual in found.values():
        assert abs(human_mm - robot_mm) < 10
        assert angle < 5
        assert residual < 15


def test_wrong_axes_show_as_angles_and_a_wrong_scale_as_lengths():
    profile = read_profile("demo_hand")
    turned = rows(replace(profile, axes=("proximal", "-across", "dorsal")))
    assert all(turned[finger][2] > 30 for finger in ("index", "middle", "ring"))
    large = rows(replace(profile, scaling=1.6))
    for finger in ("index", "middle", "ring"):
        human_mm, robot_mm, angle, _ = large[finger]
        assert human_mm > 1.15 * robot_mm
        assert angle < 15


def test_the_direction_of_a_closed_pinch_is_left_out():
    retargeter, result = solved(read_profile("demo_hand"), "pinch")
    table = vector_table(retargeter.vector_names, result)
    (pinch,) = (line for line in table.splitlines() if "index_tip -> thumb_tip" in line)
    assert pinch.split()[-3] == "-"


def test_the_image_shows_both_sets_and_the_difference():
    profile = replace(read_profile("demo_hand"), scaling=1.6)
    retargeter, result = solved(profile)
    human_ends = result.origins_m + result.human_vectors_m
    view = RobotImage(profile, retargeter.robot, link_shapes(demo_hand_urdf()), 320, human_ends)
    pixels = view.pixels(human_ends)
    assert (pixels > 0).all()
    assert (pixels < 320).all()
    image = check_image(view, "demo_hand: open", vector_parts(retargeter.vector_joints), result)
    for end, bgr in (
        (result.origins_m + result.robot_vectors_m / 2, (205, 110, 40)),
        (human_ends, (40, 30, 220)),
    ):
        x, y = view.pixels(end)[-2].round().astype(int)
        assert np.abs(image[y - 1 : y + 2, x - 1 : x + 2].astype(int) - bgr).sum(axis=-1).min() < 60


def test_the_text_is_below_the_view():
    profile = read_profile("demo_hand")
    retargeter, result = solved(profile)
    view = RobotImage(profile, retargeter.robot, link_shapes(demo_hand_urdf()), 320)
    images = [
        check_image(view, title, vector_parts(retargeter.vector_joints), result)
        for title in ("one", "another")
    ]
    assert images[0].shape == (320 + 98, 320, 3)
    assert (images[0][:320] == images[1][:320]).all()
    assert (images[0][320:] != images[1][320:]).any()


def test_the_command_writes_image_and_tables(tmp_path, capsys):
    output = tmp_path / "check.png"
    arguments = ["robot-check", "--robot", "demo_hand", "--poses", "open", "ok", "--output", str(output)]
    assert command.main(arguments) == 0
    assert cv2.imread(str(output)).shape == (480 + 76, 960, 3)
    text = capsys.readouterr().out
    assert "demo_hand, right hand, open" in text
    assert "demo_hand, right hand, ok" in text
    assert len(ROW.findall(text)) == 8


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--robot", "leap"], "the robot 'leap' needs its URDF: --urdf file"),
        (["--robot", "elbow"], "there is no robot 'elbow'"),
        (["--urdf", "not there.urdf"], "not there.urdf"),
        (["--output", "not/there/check.png", "--poses", "open"], "could not write not/there/check.png"),
    ],
)
def test_what_is_wrong_is_one_line(arguments, reason, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert command.main(["robot-check", *arguments]) == 1
    assert reason in capsys.readouterr().err
