"""Hands as a detector sees them: true joints -> camera -> image points with a detector's noise -> canonical view.

Everything is a right hand. This is what networks that lift keypoints are trained on and measured with.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView, view_keypoints, view_rays
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.mesh.joint_visibility import joints_visible
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.synthetic.detector.noise import KeypointNoise
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.synthetic.views import HandView, random_views


class ObservedHands(NamedTuple):
    """n hands, what a detector gives of them, and the truth.

    rays: (n, 21, 3) through the detector's keypoints, camera frame; NaN where it gives none.
    condition: the same in the canonical view ``view``, with depth and confidence, as networks take it.
    joints: (n, 21, 3) true joints relative to the wrist, in anchor lengths, in the frame of ``view``.
    wrist: (n, 3) true position of the wrist, in anchor lengths, in the frame of ``view``.
    visible: (n, 21) bool, neither hidden by the hand itself nor outside the image.
    placed: the true view: camera, orientation, hand size.
    """

    rays: Tensor
    view: KeypointView
    condition: KeypointCondition
    joints: Tensor
    wrist: Tensor
    visible: Tensor
    placed: HandView


class SampledHands(NamedTuple):
    """Hands of the pose sampler with the parameters behind them: angles (n, 38) rad, proportions (n, 20), and the
    wrist's rotation (n, 3, 3) into the frame of the observed view.
    """

    observed: ObservedHands
    angles: Tensor
    proportions: Tensor
    rotation: Tensor


def sample_hands(
    count: int, sampler: PoseSampler, noise: KeypointNoise, generator: torch.Generator
) -> SampledHands:
    """``count`` random hands in random views, seen by a detector."""
    angles, proportions = sampler.sample(count, generator)
    joints = forward_kinematics(angles, proportions).joints
    placed = random_views(joints, generator)
    observed = observe(joints, placed, noise, generator)
    return SampledHands(observed, angles, proportions, observed.view.rotation @ placed.rotation)


def observe(
    joints: Tensor, placed: HandView, noise: KeypointNoise, generator: torch.Generator
) -> ObservedHands:
    """Simulate a detector's observation of normalised right hands.

    Args:
        joints: (n, 21, 3) in the wrist frame, in anchor lengths.
    """
    relative = joints @ placed.rotation.transpose(-1, -2)
    wrist = placed.wrist_m / placed.anchor_length_m[:, None]
    in_camera = relative + wrist[:, None]
    true_view = view_keypoints(in_camera)
    hidden = ~joints_visible(in_camera, torch.ones_like(in_camera[:, 0, 0]))
    in_true_view = relative @ true_view.rotation.transpose(-1, -2)
    noisy = noise(
        true_view.points,
        in_true_view[..., 2],
        ~hidden,
        inside_image(in_camera, placed),
        true_view.rotation @ placed.rotation,
        generator,
    )
    rays = view_rays(true_view, noisy.points)
    view = view_keypoints(rays)
    condition = KeypointCondition(
        view.points, noisy.depth, noisy.confidence, inside_image(rays, placed), view.half_extent
    )
    turn = view.rotation.transpose(-1, -2)
    return ObservedHands(
        rays=rays,
        view=view,
        condition=condition,
        joints=relative @ turn,
        wrist=(wrist[:, None] @ turn)[:, 0],
        visible=~hidden & inside_image(in_camera, placed),
        placed=placed,
    )


def inside_image(rays: Tensor, placed: HandView) -> Tensor:
    """(n, 21) whether the camera's image shows the points; a missing point is not inside."""
    image = placed.focal[:, None, None] * rays[..., :2] / rays[..., 2:]
    return ((image.abs() <= placed.aspect[:, None]).all(-1)) & (rays[..., 2] > 0)


def wrist_frame_rotation(joints: Tensor) -> Tensor:
    """Wrist frame -> frame of the joints, (n, 3, 3), of right hands (n, 21, 3) of which only joints are known.

    x towards the middle finger's MCP and z out of the back of the hand, across the index and little finger's MCPs.
    """
    palm = joints - joints[..., :1, :]
    x = torch.nn.functional.normalize(palm[..., hand.JOINT_INDEX["middle_mcp"], :], dim=-1)
    across = palm[..., hand.JOINT_INDEX["index_mcp"], :] - palm[..., hand.JOINT_INDEX["little_mcp"], :]
    z = torch.nn.functional.normalize(torch.linalg.cross(x, across), dim=-1)
    return torch.stack((x, torch.linalg.cross(z, x), z), dim=-1)
