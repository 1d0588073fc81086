"""Hands drawn with a few lines, as training images, and small networks for them."""

from __future__ import annotations

import cv2
import numpy as np
import torch

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.hand_images.shards import HandImages, check_hand_images, empty_hand_images, view_to_pixels
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.networks.condition import ConditionConfig
from hand_pose_ros.networks.diffusion.image_network import HandImageDiffusion, HandImageDiffusionConfig
from hand_pose_ros.networks.diffusion.network import HandDiffusionConfig
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.synthetic.views import random_views


def drawn_hands(count: int, seed: int = 0) -> HandImages:
    """Right hands of the pose sampler, every finger a line of its own colour on a grey picture."""
    generator = torch.Generator().manual_seed(seed)
    angles, proportions = PoseSampler().sample(count, generator)
    joints = forward_kinematics(angles, proportions).joints
    placed = random_views(joints, generator)
    relative = joints @ placed.rotation.mT
    wrist = placed.wrist_m / placed.anchor_length_m[:, None]
    view = view_keypoints(relative + wrist[:, None])
    in_view = relative @ view.rotation.mT
    hands = empty_hand_images(count)
    known = {
        "points": view.points,
        "depth": in_view[..., 2],
        "half_extent": view.half_extent,
        "joints": in_view,
        "wrist": (wrist[:, None] @ view.rotation.mT)[:, 0],
        "angles": angles,
        "proportions": proportions,
        "rotation": view.rotation @ placed.rotation,
    }
    for name, values in known.items():
        getattr(hands, name)[:] = values.numpy()
    hands.sigma[:] = 0
    hands.visible[:] = hands.inside[:] = True
    colours = np.random.default_rng(0).integers(0, 256, (hand.NUM_BONES, 3)).tolist()
    pixels = view_to_pixels(hands.points)
    for image, places in zip(hands.image, pixels, strict=True):
        image[:] = 128
        for colour, (a, b) in zip(colours, hand.BONES, strict=True):
            ends = [tuple(round(16 * float(v)) for v in places[joint]) for joint in (a, b)]
            cv2.line(image, *ends, colour, 3, cv2.LINE_AA, 4)
    check_hand_images(hands)
    return hands


def small_config(projection: int = 0) -> HandImageDiffusionConfig:
    """Of a network that fits a test."""
    return HandImageDiffusionConfig(
        ImageEncoderConfig(features=32, head_channels=16, size_px=64, projection=projection),
        HandDiffusionConfig(
            steps=10,
            channels=(16, 24),
            head_width=32,
            head_blocks=1,
            condition=ConditionConfig(width=32, blocks=1),
        ),
    )


def small_network(seed: int = 0) -> HandImageDiffusion:
    """With random weights, none of them zero in what the conditions go through, for inference."""
    torch.manual_seed(seed)
    model = HandImageDiffusion(small_config())
    with torch.no_grad():
        for parameter in model.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)
        model.diffusion.scale.uniform_(0.3, 0.6)
        model.diffusion.spread_scale.fill_(1.25)
    return model.eval().requires_grad_(False)
