"""The gallery, poses by views with joints: ``hand_pose gallery --output FILE``."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import cv2
import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.gestures import gesture_angles
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import proportion_bounds
from hand_pose_ros.rendering.renderer import HandInView, HandTruth, render
from hand_pose_ros.rendering.skin import SKIN_TONES
from hand_pose_ros.rendering.views import VIEWS, place, upright_rotation

_GESTURES = ("open", "relaxed", "fist", "point", "pinch", "thumbs_up")
_TILE_PX = 224
_SUPERSAMPLING = 2
_FINGER_BGR = ((60, 76, 231), (18, 156, 243), (96, 174, 39), (219, 152, 52), (182, 89, 155))

logger = logging.getLogger(__name__)


def draw_joints(image: np.ndarray, truth: HandTruth) -> None:
    """Draw the skeleton into ``image`` (H, W, 3) BGR: visible joints filled, hidden ones hollow."""
    radius = max(2, round(image.shape[0] / 110))
    points = [tuple(int(value) for value in point.round()) for point in truth.joints_px]
    for parent, child in hand.BONES:
        colour = _FINGER_BGR[(child - 1) // 4]
        cv2.line(image, points[parent], points[child], colour, max(1, radius // 2), cv2.LINE_AA)
    for joint, point in enumerate(points):
        colour = _FINGER_BGR[(joint - 1) // 4] if joint else (255, 255, 255)
        filled = bool(truth.visible[joint])
        cv2.circle(image, point, radius, (255, 255, 255), -1 if filled else 1, cv2.LINE_AA)
        if filled:
            cv2.circle(image, point, radius - 1, colour, -1, cv2.LINE_AA)


def gallery() -> np.ndarray:
    """Rows of views (palm, back, and the two sides), columns of gestures; right hands; (H, W, 3) uint8 BGR."""
    size = _TILE_PX * _SUPERSAMPLING
    camera = CameraModel.from_fov(size, size, float(np.deg2rad(32)))
    backdrop = np.repeat(np.linspace(205, 150, size), size * 3).reshape(size, size, 3).astype(np.uint8)
    rows = []
    for view in VIEWS:
        tiles = []
        for number, gesture in enumerate(_GESTURES):
            pose = gesture_angles(gesture), proportion_bounds().neutral, upright_rotation(view)
            at_origin = forward_kinematics(*pose, anchor_length=hand.MEAN_ANCHOR_LENGTH_M)
            frames = HandFrames(
                at_origin.joints + place(at_origin.joints, (0, 0.01, 0.44)), at_origin.rotations
            )
            picture = render([HandInView(frames, skin=SKIN_TONES[number])], camera, backdrop)
            image = picture.image.copy()
            draw_joints(image, picture.hands[0])
            image = cv2.resize(image, (_TILE_PX, _TILE_PX), interpolation=cv2.INTER_AREA)
            if view == VIEWS[0]:
                name = gesture.replace("_", " ")
                cv2.putText(
                    image, name, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA
                )
            tiles.append(image)
        rows.append(np.hstack(tiles))
    return np.vstack(rows)


def main(arguments: list[str] | None = None) -> None:
    """Draw poses by views, with the joints."""
    parser = argparse.ArgumentParser(prog="hand_pose gallery", description=main.__doc__)
    parser.add_argument("--output", type=Path, default=Path("gallery.png"))
    output = parser.parse_args(arguments).output
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    output.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(output), gallery(), [cv2.IMWRITE_PNG_COMPRESSION, 9]):
        raise OSError(f"could not write {output}")
    logger.info("wrote %s", output)
