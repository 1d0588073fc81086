"""The frame check without ROS: images of the robot hand with both sets of vectors, and a table of the differences.

    hand_pose robot-check --robot my_hand.yaml --urdf my_hand.urdf --poses open pinch --output check.png

A robot hand that moves wrongly has a profile that lays the human hand wrongly over it. For each named pose of the
human hand the robot is drawn at the retargeted joints, with the human's vectors (orange), its own (blue), and red
lines from where its links are to where they should be.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.gestures import GESTURES_DEG, gesture_angles
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import proportion_bounds
from hand_pose_ros.rendering.text import draw_text
from hand_pose_ros.retargeting.frame_check import largest_residuals, vector_parts
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.retargeter import RetargetedHand, Retargeter
from hand_pose_ros.retargeting.robot_hand import Array
from hand_pose_ros.retargeting.teleoperation.robot import urdf_text
from hand_pose_ros.retargeting.view.robot_image import Image, RobotImage
from hand_pose_ros.retargeting.view.shapes import link_shapes

_SIZE_PX: Final = 480
_FRAME_S: Final = 1 / 30
_HUMAN_BGR, _ROBOT_BGR, _RESIDUAL_BGR = (40, 140, 245), (205, 110, 40), (40, 30, 220)
_LEGEND: Final = {"human": _HUMAN_BGR, "robot": _ROBOT_BGR, "residual (mm):": _RESIDUAL_BGR}
_WHITE: Final = (255, 255, 255)
_STRIP_GREY: Final = 50
_LEFT_PX, _LINE_PX, _COLUMN_PX = 10, 22, 105


def gesture_joints(gesture: str, side: str) -> Array:
    """Joints (21, 3) of a named pose of a mean hand in the wrist frame, metres."""
    frames = forward_kinematics(
        gesture_angles(gesture, torch.float64),
        proportion_bounds(torch.float64).neutral,
        anchor_length=hand.MEAN_ANCHOR_LENGTH_M,
        side=side,
    )
    return frames.joints.numpy()


def check_image(view: RobotImage, title: str, parts: Sequence[str], result: RetargetedHand) -> Image:
    """Draw the robot at the retargeted joints with both sets of vectors and the residuals.

    Returns:
        (H, W, 3) uint8 BGR: the view, and a strip below it with the title, a legend and each finger's residual.
    """
    image = view.draw(result.positions_rad)
    human, robot = (result.origins_m + own for own in (result.human_vectors_m, result.robot_vectors_m))
    view.draw_vectors(image, result.origins_m, human, _HUMAN_BGR, 3)
    view.draw_vectors(image, result.origins_m, robot, _ROBOT_BGR, 2)
    view.draw_vectors(image, robot, human, _RESIDUAL_BGR, 2)
    residuals = largest_residuals(parts, result.residuals_m)
    fingers = {part: residual for part, residual in residuals.items() if "-" not in part}
    return np.vstack([image, _strip(image.shape[1], title, fingers)])


def _strip(width_px: int, title: str, residuals_m: Mapping[str, float]) -> Image:
    """The text below a view: (h, W, 3) uint8 BGR."""
    columns = max((width_px - _LEFT_PX) // _COLUMN_PX, 1)
    lines = 2 + -(-len(residuals_m) // columns)
    strip = np.full((_LINE_PX * lines + _LEFT_PX, width_px, 3), _STRIP_GREY, np.uint8)
    draw_text(strip, title, (_LEFT_PX, 20), _WHITE, 0.6)
    for column, (name, bgr) in enumerate(_LEGEND.items()):
        x, y = _LEFT_PX + column * _COLUMN_PX, _LINE_PX + 19
        cv2.line(strip, (x, y - 5), (x + 18, y - 5), bgr, 3, cv2.LINE_AA)
        cv2.circle(strip, (x + 18, y - 5), 4, bgr, cv2.FILLED, cv2.LINE_AA)
        draw_text(strip, name, (x + 28, y), _WHITE, 0.45)
    for place, (part, residual) in enumerate(residuals_m.items()):
        line, column = divmod(place, columns)
        at_px = (_LEFT_PX + column * _COLUMN_PX, _LINE_PX * (line + 2) + 19)
        draw_text(strip, f"{part} {1e3 * residual:.0f}", at_px, _WHITE, 0.45)
    return strip


def vector_table(names: Sequence[str], result: RetargetedHand) -> str:
    """Lengths of both vectors, the angle between them and the residual, a line for each of the k vectors."""
    lines = [f"  {'vector':<24}{'human':>9}{'robot':>9}{'angle':>9}{'residual':>10}"]
    for name, human, robot, residual in zip(
        names, result.human_vectors_m, result.robot_vectors_m, result.residuals_m.tolist(), strict=True
    ):
        lengths = [float(np.linalg.norm(vector)) for vector in (human, robot)]
        shown = [f"{1e3 * length:.0f} mm" for length in (*lengths, residual)]
        angle = "-"  # the direction of a closed pinch means nothing
        if min(lengths) > 5e-3:
            cosine = float(human @ robot) / (lengths[0] * lengths[1])
            angle = f"{np.rad2deg(np.arccos(np.clip(cosine, -1, 1))):.0f} deg"
        lines.append(f"  {name:<24}{shown[0]:>9}{shown[1]:>9}{angle:>9}{shown[2]:>10}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw the check of a profile and a URDF, and write the table."""
    parser = argparse.ArgumentParser(
        prog="hand_pose robot-check", description=(__doc__ or "").split("\n\n")[0]
    )
    parser.add_argument("--robot", default="demo_hand", help="a name of config/robots, or a profile's path")
    parser.add_argument("--urdf", default="", help="URDF or xacro file; demo_hand needs none")
    parser.add_argument("--side", choices=hand.SIDES, default="right")
    parser.add_argument("--poses", nargs="+", choices=sorted(GESTURES_DEG), default=["open", "fist", "pinch"])
    parser.add_argument("--output", type=Path, help="PNG file to write; only the table if not given")
    options = parser.parse_args(arguments)
    try:
        tiles = _check(options.robot, options.urdf, options.side, options.poses)
    except (ValueError, OSError, ImportError) as error:
        sys.stderr.write(f"hand_pose robot-check: {error}\n")
        return 1
    if options.output and not cv2.imwrite(str(options.output), np.hstack(tiles)):
        sys.stderr.write(f"hand_pose robot-check: could not write {options.output}\n")
        return 1
    return 0


def _check(spec: str, urdf_file: str, side: str, poses: Sequence[str]) -> list[Image]:
    """Write the tables of the poses; returns their images."""
    profile = read_profile(spec, side)
    urdf = urdf_text(profile, urdf_file)
    if urdf is None:
        raise ValueError(f"the robot {spec!r} needs its URDF: --urdf file")
    robot = profile.robot_hand(urdf)
    retargeter = Retargeter(profile, robot)
    parts = vector_parts(retargeter.vector_joints)
    results: dict[str, RetargetedHand] = {}
    for pose in poses:
        retargeter.reset()
        result = retargeter.retarget(gesture_joints(pose, side), None, _FRAME_S)
        results[pose] = result
        sys.stdout.write(
            f"{profile.name}, {side} hand, {pose}\n{vector_table(retargeter.vector_names, result)}\n"
        )
    ends = np.concatenate([result.origins_m + result.human_vectors_m for result in results.values()])
    view = RobotImage(profile, robot, link_shapes(urdf), _SIZE_PX, ends)
    return [check_image(view, f"{profile.name}: {pose}", parts, result) for pose, result in results.items()]
