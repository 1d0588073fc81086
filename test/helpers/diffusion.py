"""Small diffusion networks with random weights, and exact detections, for the tests of the diffusion estimator."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.networks.condition import ConditionConfig, KeypointCondition
from hand_pose_ros.networks.diffusion.network import HandDiffusion, HandDiffusionConfig
from hand_pose_ros.pose import Detection
from hand_pose_ros.rotations import rotation_from_vector

CAMERA = CameraModel.from_fov(640, 480, 1.2)
PALM_UP = torch.tensor(((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)), dtype=torch.float64)


def random_network(
    image_features: int = 0,
    parametrisation: str = "x0",
    seed: int = 0,
    steps: int = 20,
    residual: bool = False,
) -> HandDiffusion:
    """A tiny network whose U-Net and encoder have no weight of zero, as they are at first in every block.

    Its hands are not far from a neutral one with the palm up, which :func:`detections` are seen as, too.
    """
    torch.manual_seed(seed)
    condition = ConditionConfig(width=32, blocks=1, image_features=image_features)
    config = HandDiffusionConfig(
        steps=steps,
        parametrisation=parametrisation,
        residual=residual,
        channels=(16, 24, 32),
        head_width=32,
        head_blocks=1,
        condition=condition,
    )
    model = HandDiffusion(config)
    with torch.no_grad():
        for parameter in (*model.encoder.parameters(), *model.unet.parameters()):
            if not parameter.any():
                parameter.normal_(std=0.1)
        if residual:
            model.regression[1].weight.normal_(std=0.1)
        model.mean.normal_(std=0.3)
        model.scale.uniform_(0.3, 0.6)
        model.spread_scale.fill_(1.25)
    return model.eval().requires_grad_(False)


def random_condition(count: int, seed: int = 0) -> KeypointCondition:
    """Keypoints with some missing; of the second hand all are."""
    generator = torch.Generator().manual_seed(seed)
    points = 2 * torch.rand(count, hand.NUM_JOINTS, 2, generator=generator) - 1
    points[:, 3] = torch.nan
    points[1:2] = torch.nan
    depth = torch.randn(count, hand.NUM_JOINTS, generator=generator)
    depth[:, 5] = torch.nan
    confidence = torch.rand(count, hand.NUM_JOINTS, generator=generator)
    confidence[:1] = torch.nan
    inside = torch.rand(count, hand.NUM_JOINTS, generator=generator) > 0.2
    return KeypointCondition(points, depth, confidence, inside, torch.full((count,), 0.3))


def detection(joints_m: Tensor, side: str = "right", camera: CameraModel = CAMERA) -> Detection:
    """What a perfect detector gives for joints (21, 3) in the camera frame."""
    landmarks_px = camera.project(joints_m.double()).numpy()
    low, high = np.nanmin(landmarks_px, 0), np.nanmax(landmarks_px, 0)
    return Detection(side, 0.9, np.concatenate((low, high)), landmarks_px, joints_m.double().numpy())


def detections(count: int, seed: int = 0) -> list[Detection]:
    """Of right hands near the neutral pose with the palm to the camera, some turned by up to half a radian."""
    return [detection(joints) for joints in hands_m(count, seed)]


def hands_m(count: int, seed: int = 0) -> Tensor:
    """Joints (count, 21, 3) in metres, camera frame, of the hands that :func:`detections` shows."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    angles, proportions = angle_bounds(torch.float64), proportion_bounds(torch.float64)
    turn = rotation_from_vector(0.2 * normal(count, 3)) @ PALM_UP
    position = 0.05 * normal(count, 3) + normal(3).new_tensor((0.0, 0.05, 0.5))
    return forward_kinematics(
        angles.clamp(angles.neutral + 0.2 * normal(count, hand.NUM_ANGLES)),
        proportions.neutral.expand(count, -1),
        turn,
        position,
        hand.MEAN_ANCHOR_LENGTH_M,
    ).joints
