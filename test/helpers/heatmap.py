"""A 2.5D network that reads known hands perfectly, and frames that show it which hand it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView, view_keypoints
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.camera.pixel_view import mirrored_rays
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.networks.heatmap.config import HeatmapConfig
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork
from hand_pose_ros.networks.registry import HAND_HEATMAP
from hand_pose_ros.networks.runtime.heatmap import Read2d5
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.pose import Detection, Frame
from helpers.diffusion import PALM_UP
from helpers.hands import random_hands

SIZE_M = 0.09
CAMERA = CameraModel.pinhole(600.0, 605.0, 322.0, 238.0, 640, 480)
DISTORTED = CameraModel(640, 480, 600.0, 605.0, 322.0, 238.0, "plumb_bob", (-0.25, 0.08, 1e-3, -1e-3, -0.01))
_STEP = 40  # grey values from one hand to the next


@dataclass
class PerfectNetwork:
    """A :class:`~hand_pose_ros.networks.runtime.heatmap.RunnableHeatmap`.

    joints_m: (k, 21, 3) of hands of ``sides`` before ``camera``. It takes the hand whose number the middle of the
    crop shows, and looks at it as ``views`` say, in this order, or else in the canonical view.
    noise: standard deviation of points in half extents of the crop and of depths in anchor lengths; it also states
    the former. hand: what it states of every crop. images: of all calls.
    """

    camera: CameraModel
    joints_m: Tensor
    sides: Sequence[str]
    config: HeatmapConfig = field(default_factory=lambda: HeatmapConfig(image_size=32))
    views: list[KeypointView] = field(default_factory=list)
    noise: tuple[float, float] = (0.0, 0.0)
    log_sigma: float = -9.0
    hand: tuple[float, float] = (float("nan"), float("nan"))
    images: list[Tensor] = field(default_factory=list)
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(0))

    def read(self, images: Tensor) -> Read2d5:
        """Read the poses of the hands that the crops show."""
        self.images.append(images)
        middle = images[..., self.config.image_size // 2, self.config.image_size // 2]
        numbers = (middle.mean(-1) * 255 / _STEP).round().long() - 1
        found = [self._read_one(int(number)) for number in numbers]
        points, depth = (torch.stack(values) for values in zip(*found, strict=True))
        points = points + self.noise[0] * self._normal(points)
        depth = depth + self.noise[1] * self._normal(depth)
        stated = torch.tensor(self.hand).expand(len(depth), 2)
        return Read2d5(points, depth, torch.full_like(depth, self.log_sigma), stated)

    def _read_one(self, number: int) -> tuple[Tensor, Tensor]:
        assert number >= 0, "the crop shows no hand"
        joints, side = self.joints_m[number], self.sides[number]
        flip = torch.tensor((-1.0 if side == "left" else 1.0, 1.0, 1.0), dtype=torch.float64)
        rays = mirrored_rays(self.camera, self.camera.project(joints), side)
        view = self.views.pop(0) if self.views else view_keypoints(rays[None])
        seen = (joints * flip) @ view.rotation[0].double().mT
        points = seen[:, :2] / seen[:, 2:] / view.half_extent.double() / self.config.margin
        anchor = (joints[hand.ANCHOR_JOINT] - joints[hand.WRIST]).norm()
        return points, (seen[:, 2] - seen[hand.WRIST, 2]) / anchor

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator, dtype=like.dtype)


def known_hands(count: int, side: str = "right", seed: int = 11) -> Tensor:
    """Joints (count, 21, 3), metres, of hands of ``SIZE_M`` well inside a camera's view and their limits."""
    hands = random_hands(count, seed)
    angles = torch.lerp(angle_bounds(torch.float64).neutral, hands.angles, 0.4)
    position = hands.root_position * torch.tensor((0.25, 0.25, 1.0), dtype=torch.float64)
    return forward_kinematics(angles, hands.proportions, hands.root_rotation, position, SIZE_M, side).joints


def detection_of(camera: CameraModel, joints: Tensor, side: str, track_id: int | None = None) -> Detection:
    """What a detector of exact image points gives for joints (21, 3)."""
    pixels = camera.project(joints).numpy()
    box = np.concatenate((pixels.min(0), pixels.max(0)))
    return Detection(side, 0.9, box, pixels, track_id=track_id)


def neutral_weights(path: Path) -> Path:
    """Write weights of a small network that reads the neutral hand in the middle of every crop."""
    config = HeatmapConfig(variant="holistic", image_size=32, resnet_depth=18)
    torch.manual_seed(0)
    network = HeatmapNetwork(config).eval()
    angles, proportions = angle_bounds(torch.float64).neutral, proportion_bounds(torch.float64).neutral
    joints = forward_kinematics(angles, proportions).joints @ PALM_UP.mT
    joints = joints + torch.tensor((0.0, 0.0, 6.0))
    view = view_keypoints(joints[None])
    depths = (joints @ view.rotation[0].mT)[:, 2:]
    assert isinstance(network.holistic.mean, Tensor)
    network.holistic.mean.copy_(torch.cat((view.points[0] / config.margin, depths - depths[:1]), dim=-1))
    save_weights(path, network, HAND_HEATMAP, config.to_dict())
    return path


def frame_of(camera: CameraModel, number: int, time_s: float | None = None) -> Frame:
    """An image that shows :class:`PerfectNetwork` hand ``number`` everywhere."""
    grey = np.full((camera.height, camera.width, 3), _STEP * (number + 1), np.uint8)
    return Frame(grey, camera, time_s)
