"""The robot beside the image: its panel of the demo's video, at the joint states of the moment."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from hand_pose_ros.rendering.text import draw_text
from hand_pose_ros.ros.demo.robot.demo_robot import DemoRobot
from hand_pose_ros.ros.demo.robot.figures import Pinch
from hand_pose_ros.ros.demo.robot.recording import RobotRecording

_SIZE_PX: Final = 480
_WHITE: Final = (255, 255, 255)
_STATE_BGR: Final = {
    "engaged": (120, 230, 120),
    "ramping": (90, 210, 240),
    "holding": (80, 140, 255),
}
_SHOWN_BELOW_M: Final = 0.06


class RobotPanel:
    """Draws the robot to the right of an image of the video."""

    def __init__(
        self, robot: DemoRobot, done: RobotRecording, stamps_ns: list[int], pinches: tuple[Pinch, ...]
    ) -> None:
        """Prepare.

        Args:
            stamps_ns: of the video's frames, in the order of the pinches' frames.
        """
        self._name = robot.profile.name
        self._view = robot.image(_SIZE_PX)
        self._done = done
        self._frames = {stamp: number for number, stamp in enumerate(stamps_ns)}
        self._pinches = pinches
        self._rest = robot.positions({})

    def beside(self, stamp_ns: int, image: np.ndarray) -> np.ndarray:
        """The image (H, W, 3) uint8 BGR with the robot, as it was when the image was shown, on its right."""
        shown_ns = self._done.shown_ns[stamp_ns]
        positions = self._done.positions_at(shown_ns)
        panel = self._view.draw(self._rest if positions is None else positions)
        self._write(panel, stamp_ns, self._done.teleop_state_at(shown_ns))
        height = image.shape[0]
        if height != _SIZE_PX:
            area = cv2.INTER_AREA if height < _SIZE_PX else cv2.INTER_LINEAR
            panel = cv2.resize(panel, (height, height), interpolation=area)
        return np.hstack((image, panel))

    def _write(self, panel: np.ndarray, stamp_ns: int, state: str) -> None:
        draw_text(panel, self._name, (12, 26), _WHITE, 0.6)
        draw_text(panel, state.replace("_", " "), (12, 50), _STATE_BGR.get(state, _WHITE), 0.6)
        frame = self._frames[stamp_ns]
        near = [(pinch.human_m[frame], pinch) for pinch in self._pinches]
        human_m, pinch = min(
            near, key=lambda item: np.nan_to_num(item[0], nan=np.inf), default=(np.nan, None)
        )
        if pinch is not None and human_m < _SHOWN_BELOW_M:
            text = f"thumb-{pinch.finger}: human {1e3 * human_m:.0f} mm, robot {1e3 * pinch.robot_m[frame]:.0f} mm"
            draw_text(panel, text, (12, _SIZE_PX - 14), _WHITE, 0.55)
