"""Stores what the mesh diffusion network reads of augmented crops, with the labels of the posed hands.

For the default encoder these are the landmark network's features, so that it runs once per crop and training has
the speed of training on keypoints; for a ResNet they are the crops. A bank is a folder of files that are made one
by one; an interrupted run continues.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import torch

from hand_pose_ros.common import named_tensors
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.mesh.skinning import skin
from hand_pose_ros.mesh.template import HandTemplate, load_template
from hand_pose_ros.networks.imported.backends import ImageNetwork
from hand_pose_ros.networks.mesh_diffusion.config import MeshDiffusionConfig
from hand_pose_ros.networks.orientation.features import SHAPE
from hand_pose_ros.rendering.crop.hand_depth import hand_depths
from hand_pose_ros.training.tasks.mesh_diffusion.losses import MeshTargets
from hand_pose_ros.training.tasks.orientation.crops import cut_crops
from hand_pose_ros.training.tasks.orientation.feature_bank import (
    BankOptions,
    features_of_crops,
    open_features,
    stored_parts,
)


class MeshCrops(NamedTuple):
    """n crops and their labels, in the crops' axes, of right hands; lengths in anchor lengths.

    inputs: (n, 192, 7, 7) float16 features of crops that are not mirrored, or (n, s, s, 3) uint8 BGR crops of
    right hands. sign: (n,) +1 for right hands, -1 for left ones. angles: (n, 38). proportions: (n, 20). rotation:
    (n, 3, 3) wrist frame -> crop. wrist: (n, 3) from the camera. half_extent: (n,). points: (n, 21, 2) joints in
    half extents. depth: (n, s, s) float16 from the wrist along the crop's axis, NaN beside the hand; (n, 0, 0)
    if no extra condition needs it. weight: (n,) of the label.
    """

    inputs: np.ndarray
    sign: np.ndarray
    angles: np.ndarray
    proportions: np.ndarray
    rotation: np.ndarray
    wrist: np.ndarray
    half_extent: np.ndarray
    points: np.ndarray
    depth: np.ndarray
    weight: np.ndarray

    @property
    def count(self) -> int:
        """Number of crops."""
        return len(self.inputs)


def mesh_targets(crops: MeshCrops, template: HandTemplate | None = None) -> MeshTargets:
    """Pose the template, the shipped one if None, as the labels say; float32, on the CPU."""
    angles, proportions, rotation = (
        torch.from_numpy(np.asarray(one, np.float32))
        for one in (crops.angles, crops.proportions, crops.rotation)
    )
    frames = forward_kinematics(angles, proportions, rotation)
    wrist, extent, weight = (
        torch.from_numpy(np.asarray(one, np.float32))
        for one in (crops.wrist, crops.half_extent, crops.weight)
    )
    return MeshTargets(skin(frames, template=template), frames.joints, wrist, extent, weight)


def read_mesh_bank(
    folder: Path | None, options: BankOptions, network: MeshDiffusionConfig, seed: int
) -> MeshCrops:
    """Return the crops of a bank; those that are not stored yet are made and stored, if there is a folder.

    Raises:
        ValueError: a folder holds no shard, no hand has known angles, or the bank was made for another encoder or
            other conditions. DetectorUnavailableError: the landmark network is needed and not stored.
    """
    of_features = network.encoder.reads_features
    opened = cache(open_features)

    def make(hands: HandImages, generator: np.random.Generator) -> MeshCrops:
        return make_crops(hands, options, network, opened() if of_features else None, generator)

    parts = []
    for path, part in stored_parts(folder, options, seed, MeshCrops, make):
        _check_made_for(path, part, network)
        parts.append(part)
    crops = named_tensors.cat(parts)
    if not crops.count:
        raise ValueError(f"no hand with known angles in {', '.join(map(str, options.table().folders))}")
    return crops


def make_crops(
    hands: HandImages,
    options: BankOptions,
    network: MeshDiffusionConfig,
    opened: ImageNetwork | None,
    generator: np.random.Generator,
) -> MeshCrops:
    """Cut one crop of each hand; hands without known angles are left out.

    Args:
        opened: the landmark network with its features, None for an encoder that reads crops.
    """
    cv2.setNumThreads(1)
    labels = (hands.angles, hands.proportions, hands.rotation, hands.wrist, hands.points)
    known = [np.isfinite(one).reshape(hands.count, -1).all(1) for one in labels]
    hands = hands.rows(np.all(known, axis=0))
    config = options.crop.exact() if options.exact else options.crop
    size = network.encoder.size_px if opened is None else opened.input_side_px
    crops = cut_crops(hands, config, generator, size)
    left = generator.random(hands.count) < (options.left_share if opened is not None else 0.0)
    made = MeshCrops(
        crops.image if opened is None else features_of_crops(opened, crops.image, left),
        np.where(left, -1.0, 1.0).astype(np.float32),
        crops.angles,
        crops.proportions,
        crops.rotation,
        crops.wrist,
        crops.half_extent,
        crops.points,
        np.empty((hands.count, 0, 0), np.float16),
        crops.weight,
    )
    return (
        made._replace(depth=depth_images(made, network.condition_size_px)) if needs_depth(network) else made
    )


def needs_depth(network: MeshDiffusionConfig) -> bool:
    """Return whether a condition of the network is made of depth images."""
    return bool({"depth", "silhouette"} & set(network.conditions))


def depth_images(crops: MeshCrops, size_px: int) -> np.ndarray:
    """Draw depth images (n, s, s) float16 of the posed template, relative to the wrist; NaN beside the hand."""
    if not crops.count:
        return np.empty((0, size_px, size_px), np.float16)
    targets, faces = mesh_targets(crops), load_template().faces.numpy()
    placed = (targets.vertices + targets.wrist[:, None]).numpy()
    depth = hand_depths(placed, crops.half_extent, faces, size_px)
    return (depth - crops.wrist[:, 2, None, None]).astype(np.float16)


def _check_made_for(path: Path, crops: MeshCrops, network: MeshDiffusionConfig) -> None:
    size = network.encoder.size_px
    shape = SHAPE if network.encoder.reads_features else (size, size, 3)
    if crops.inputs.shape[1:] != shape:
        raise ValueError(
            f"{path} holds inputs {crops.inputs.shape[1:]}, the encoder reads {shape}; take another bank"
        )
    side = network.condition_size_px
    if needs_depth(network) and crops.depth.shape[1:] != (side, side):
        raise ValueError(f"{path} has no depth images of {side} pixels for the conditions; take another bank")
