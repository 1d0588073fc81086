"""A mesh network that draws known hands perfectly, and detections that tell it which hand it looks at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_square
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.estimator.keypoint_input import mirrored_rays
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.mesh.skinning import regress_joints, skin
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.networks.mesh_diffusion.config import MeshDiffusionConfig
from hand_pose_ros.networks.orientation.features import NETWORK, SHAPE
from hand_pose_ros.pose import CropFeatures, Detection
from helpers.hands import random_hands
from helpers.heatmap import SIZE_M, detection_of

SQUARE = {"turn": 0.2, "scale": 1.1}
"""How the crops differ from those around the landmarks, as a tracker's do."""


def known_frames(count: int, side: str = "right", seed: int = 11) -> HandFrames:
    """Posed skeletons, metres, of hands of ``SIZE_M`` well inside a camera's view and their limits."""
    hands = random_hands(count, seed)
    angles = torch.lerp(angle_bounds(torch.float64).neutral, hands.angles, 0.4)
    position = hands.root_position * torch.tensor((0.25, 0.25, 1.0), dtype=torch.float64)
    return forward_kinematics(angles, hands.proportions, hands.root_rotation, position, SIZE_M, side)


def known_meshes(count: int, side: str = "right", seed: int = 11) -> Tensor:
    """The template's vertices (count, V, 3), metres, posed by :func:`known_frames`."""
    return skin(known_frames(count, side, seed), side, load_template(torch.float64))


def seen_hand(
    camera: CameraModel, vertices: Tensor, side: str, number: int, track_id: int | None = None
) -> Detection:
    """What MediaPipe's detector of exact image points gives for hand ``number``."""
    joints = regress_joints(vertices, load_template(torch.float64))
    detection = detection_of(camera, joints, side, track_id)
    square = RotatedSquare.around_landmarks(detection.landmarks_px)
    square = replace(
        square, side_px=square.side_px * SQUARE["scale"], angle_rad=square.angle_rad + SQUARE["turn"]
    )
    crop = CropFeatures(NETWORK, np.full(SHAPE, number, np.float32), square.corners_px())
    return replace(detection, crop=crop)


@dataclass
class PerfectMesh:
    """A :class:`~hand_pose_ros.estimator.mesh_diffusion.backends.RunnableMesh`.

    vertices_m: (k, V, 3) of hands of ``sides`` before ``camera``. It draws the hand whose number the features are.
    shifts: added to the vertices of each hypothesis, anchor lengths, (S, V, 3) or alike; in the crop's axes.
    broken: numbers of hands whose meshes are not finite. signs: of all calls.
    """

    camera: CameraModel
    vertices_m: Tensor
    sides: Sequence[str]
    config: MeshDiffusionConfig = field(default_factory=lambda: MeshDiffusionConfig(points=64, width=16))
    shifts: Tensor | None = None
    broken: Sequence[int] = ()
    signs: list[float] = field(default_factory=list)

    def hypotheses(
        self, inputs: Tensor, sign: Tensor, noise: Tensor, steps: int, conditions: object = None
    ) -> Tensor:
        """Draw the meshes of the hands whose features are given."""
        del steps
        self.signs += sign.tolist()
        meshes = torch.stack([self._draw(int(one.mean().round())) for one in inputs])
        meshes = meshes[:, None].expand(-1, len(noise), -1, -1).clone()
        return (meshes if self.shifts is None else meshes + self.shifts).float()

    def _draw(self, number: int) -> Tensor:
        vertices, side = self.vertices_m[number], self.sides[number]
        corners = torch.from_numpy(seen_hand(self.camera, vertices, side, number).crop.corners_px)
        rotation = view_square(mirrored_rays(self.camera, corners, side)[None]).rotation[0]
        joints = regress_joints(vertices, load_template(torch.float64))
        relative = (vertices - joints[hand.WRIST]) / SIZE_M
        if side == "left":
            relative = relative * relative.new_tensor((-1.0, 1.0, 1.0))
        return relative @ rotation.mT + (torch.nan if number in self.broken else 0.0)
