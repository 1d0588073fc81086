"""The hand_estimator process with a made-up pipeline, which does what the image's first pixel tells it to."""

from __future__ import annotations

import sys
import time
from enum import IntEnum

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.pipeline import HandPipeline
from hand_pose_ros.pose import Detection, HandPose
from hand_pose_ros.rendering.views import upright_rotation
from hand_pose_ros.ros.hand_estimator.node import HandEstimator
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.shared.process import run_node

SLOW_S = 0.3
ANCHOR_LENGTH_M = 0.09


class Command(IntEnum):
    """What the blue value of the first pixel asks for."""

    BOTH_HANDS = 40
    NO_HANDS = 80
    TWO_RIGHT_HANDS = 120
    NOT_ESTIMATED = 160
    SLOW = 200
    RAISE = 240


class FakeDetector:
    """Reports the hands that the image asks for."""

    def detect(self, image_bgr: np.ndarray) -> list[Detection]:
        command = min(Command, key=lambda c: abs(c - int(image_bgr[0, 0, 0])))
        if command == Command.RAISE:
            raise RuntimeError("the detector's cable is loose")
        if command == Command.SLOW:
            time.sleep(SLOW_S)
        sides = {
            Command.NO_HANDS: (),
            Command.TWO_RIGHT_HANDS: ("right", "right"),
            Command.NOT_ESTIMATED: ("right",),
        }.get(command, ("right", "left"))
        return [self._detection(side, place) for place, side in enumerate(sides)]

    def _detection(self, side: str, place: int) -> Detection:
        corner = np.array([100.0 + 200 * place, 100.0])
        return Detection(side, 0.9 - 0.1 * place, np.concatenate((corner, corner + 150)))

    def reset(self) -> None: ...

    def close(self) -> None: ...


class FakeEstimator:
    """Puts a neutral hand at the place of each detection; with a covariance for right hands."""

    def estimate(
        self,
        image_bgr: np.ndarray,
        camera: CameraModel,
        detections: list[Detection],
        time_s: float | None = None,
    ) -> list[HandPose]:
        if abs(int(image_bgr[0, 0, 0]) - Command.NOT_ESTIMATED) < 10:
            return [HandPose.invalid(detection, "it hides behind a cup") for detection in detections]
        return [self._pose(detection) for detection in detections]

    def _pose(self, detection: Detection) -> HandPose:
        angles, proportions = angle_bounds().neutral, proportion_bounds().neutral
        position = torch.tensor([(float(detection.box_px[0]) - 200) / 1000, 0.05, 0.5])
        frames = forward_kinematics(
            angles, proportions, upright_rotation("palm"), position, ANCHOR_LENGTH_M, detection.side
        )
        known = detection.side == "right"
        return HandPose(
            side=detection.side,
            score=detection.score,
            joints_m=frames.joints.numpy(),
            rotations=frames.rotations.numpy(),
            angles_rad=angles.numpy(),
            proportions=proportions.numpy(),
            anchor_length_m=ANCHOR_LENGTH_M,
            covariance_m2=np.tile(np.eye(3) * (1e-5 if known else np.nan), (hand.NUM_JOINTS, 1, 1)),
            wrist_covariance=np.eye(6) * 1e-5 if known else np.full((6, 6), np.nan),
            track_id=detection.track_id,
        )

    def reset(self) -> None: ...


def create(parameters: HandEstimatorParameters) -> HandPipeline:
    """The fake pipeline; a model file named 'absent' cannot be loaded."""
    if parameters.pipeline.detector.model_file == "absent":
        raise OSError("there is no file 'absent'")
    return HandPipeline(FakeDetector(), FakeEstimator(), mirrored=parameters.pipeline.mirrored)


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(run_node(lambda: HandEstimator(create)))
