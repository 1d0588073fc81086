"""Draws docs/images/robot_check.png: demo_hand's frame check with wrong axes, a wrong scaling, and as shipped.

python docs/figures/robot_check.py --output docs/images/robot_check.png
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.frame_check import vector_parts
from hand_pose_ros.retargeting.profile import RobotProfile
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.retargeter import Retargeter
from hand_pose_ros.retargeting.view.check import check_image, gesture_joints
from hand_pose_ros.retargeting.view.robot_image import RobotImage
from hand_pose_ros.retargeting.view.shapes import link_shapes

SIZE_PX, RIM_PX = 440, 3


def tile(profile: RobotProfile, title: str, gesture: str) -> np.ndarray:
    """The check of one pose, (H, W, 3) BGR."""
    urdf = demo_hand_urdf(profile.side)
    retargeter = Retargeter(profile, profile.robot_hand(urdf))
    result = retargeter.retarget(gesture_joints(gesture, profile.side), None, 1 / 30)
    ends = result.origins_m + result.human_vectors_m
    view = RobotImage(profile, retargeter.robot, link_shapes(urdf), SIZE_PX, ends)
    return check_image(view, title, vector_parts(retargeter.vector_joints), result)


def bordered(image: np.ndarray) -> np.ndarray:
    """A tile with a white rim, which parts it from its neighbours."""
    return np.pad(image, ((RIM_PX, RIM_PX), (RIM_PX, RIM_PX), (0, 0)), constant_values=255)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="PNG file to write")
    options = parser.parse_args()
    shipped = read_profile("demo_hand")
    wrong = replace(shipped, axes=("distal", "-across", "palmar"))
    rows = [
        [
            tile(wrong, "wrong axes: open hand", "open"),
            tile(replace(shipped, scaling=1.6), "wrong scaling: open hand", "open"),
        ],
        [tile(shipped, "as shipped: open hand", "open"), tile(shipped, "as shipped: pinch", "pinch")],
    ]
    image = np.vstack([np.hstack([bordered(one) for one in row]) for row in rows])
    if not cv2.imwrite(str(options.output), image, [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f"could not write {options.output}")


if __name__ == "__main__":
    main()
