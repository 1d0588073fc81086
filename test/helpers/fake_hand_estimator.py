"""The hand_estimator process with a made-up pipeline, which does what the image's first pixel tells it to."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from enum import IntEnum

import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.cpu_fallback import CpuFallback
from hand_pose_ros.estimator.estimate import EstimatedHands, SolvedWrists
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.pipeline import HandPipeline
from hand_pose_ros.pose import Detection, Frame, HandPose
from hand_pose_ros.rendering.views import upright_rotation
from hand_pose_ros.ros.hand_estimator.node import HandEstimator
from hand_pose_ros.ros.hand_estimator.parameters import HandEstimatorParameters
from hand_pose_ros.ros.shared.process import run_node

SLOW_S = 0.3
ANCHOR_LENGTH_M = 0.09


class Command(IntEnum):
    """What the blue value of the first pixel asks for."""

    ONE_HAND = 20
    BOTH_HANDS = 40
    NO_HANDS = 80
    TWO_RIGHT_HANDS = 120
    NOT_ESTIMATED = 160
    SLOW = 200
    GPU_FAILS = 220
    RAISE = 240


class FakeDetector:
    """Reports the hands that the image asks for; only on a GPU can the GPU fail."""

    def __init__(self, on_gpu: bool = False) -> None:
        self._on_gpu = on_gpu

    def detect(self, image_bgr: np.ndarray) -> list[Detection]:
        command = min(Command, key=lambda c: abs(c - int(image_bgr[0, 0, 0])))
        if command == Command.RAISE:
            raise RuntimeError("the detector's cable is loose")
        if command == Command.GPU_FAILS and self._on_gpu:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        if command == Command.SLOW:
            time.sleep(SLOW_S)
        sides = {
            Command.NO_HANDS: (),
            Command.ONE_HAND: ("right",),
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
    """Puts a neutral hand at the place of each detection."""

    def estimate(self, frame: Frame, detections: list[Detection]) -> EstimatedHands:
        hidden = abs(int(frame.image_bgr[0, 0, 0]) - Command.NOT_ESTIMATED) < 10
        if hidden or not detections:
            return EstimatedHands(
                detections, reasons=dict.fromkeys(range(len(detections)), "it hides behind a cup")
            )
        angles, proportions = (
            one().neutral.expand(len(detections), -1) for one in (angle_bounds, proportion_bounds)
        )
        rotation = upright_rotation("palm").expand(len(detections), 3, 3)
        frames = forward_kinematics(angles, proportions, rotation)
        hands = HandParameters(angles, proportions, rotation, frames.joints, frames.rotations)
        # A left hand is estimated in the mirrored image, where its place is mirrored, too.
        flip = {"left": -1.0, "right": 1.0}
        wrist = [(flip[one.side] * (float(one.box_px[0]) - 200) / 1000, 0.05, 0.5) for one in detections]
        camera = KeypointView(torch.eye(3).expand(len(detections), 3, 3), torch.ones(1), torch.zeros(1))
        return EstimatedHands(
            detections,
            tuple(range(len(detections))),
            {},
            camera,
            hands,
            hand_size_m=ANCHOR_LENGTH_M,
            wrist=SolvedWrists.exact(torch.tensor(wrist) / ANCHOR_LENGTH_M),
        )

    def reset(self) -> None: ...


class FakeCovariance:
    """Says of right hands how sure it is of them, and leaves them where they are."""

    def smooth(self, hands: list[HandPose], time_s: float) -> list[HandPose]:
        return [self._known(one) if one.valid and one.side == "right" else one for one in hands]

    def _known(self, pose: HandPose) -> HandPose:
        covariance = np.tile(np.eye(3) * 1e-5, (hand.NUM_JOINTS, 1, 1))
        return replace(pose, covariance_m2=covariance, wrist_covariance=np.eye(6) * 1e-5)

    def reset(self) -> None: ...


def fake_pipeline(mirrored: bool = False, on_gpu: bool = False) -> HandPipeline:
    """All fakes in one."""
    return HandPipeline(
        FakeDetector(on_gpu), FakeEstimator(), pose_smoothers=[FakeCovariance()], mirrored=mirrored
    )


def create(parameters: HandEstimatorParameters) -> CpuFallback:
    """The fake pipeline, on a fake GPU; a model file named 'absent' cannot be loaded."""
    if parameters.pipeline.detector.model_file == "absent":
        raise OSError("there is no file 'absent'")
    mirrored = parameters.pipeline.mirrored
    return CpuFallback(lambda device: fake_pipeline(mirrored, on_gpu=device != "cpu"), "auto")


if __name__ == "__main__":
    torch.set_num_threads(1)
    sys.exit(run_node(lambda: HandEstimator(create)))
