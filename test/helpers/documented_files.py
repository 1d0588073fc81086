"""Tiny stand-ins for the files and folders that documented commands read, under the names of the documents."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch

from hand_pose_ros.hand_images.real.sources import HELD_BACK, SOURCES, TRAIN
from hand_pose_ros.hand_images.shards import HandImages, save_shard
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.networks.condition import ConditionConfig
from hand_pose_ros.networks.diffusion.baseline import HandRegressor, HandRegressorConfig
from hand_pose_ros.networks.diffusion.network import HandDiffusion, HandDiffusionConfig
from hand_pose_ros.networks.orientation.network import OrientationConfig, OrientationNetwork
from hand_pose_ros.networks.registry import (
    HAND_DIFFUSION,
    HAND_ORIENTATION,
    HAND_REGRESSOR,
    IMAGE_HAND_DIFFUSION,
)
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from helpers.image_networks import drawn_hands, small_network
from helpers.real_hands import write_real_hands

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SIZE_M: Final = 0.09


@cache
def _hand_images() -> HandImages:
    images = drawn_hands(6)
    images.detected[:, :, :2], images.detected[:, :, 2] = images.points + 0.05, images.depth
    return images


def write_shards(folder: Path) -> None:
    """Write one shard of drawn hands, which an ideal detector has found."""
    save_shard(folder / "one", _hand_images(), 0, {})


def write_keypoint_weights(path: Path) -> None:
    """Write a small diffusion network on keypoints."""
    torch.manual_seed(0)
    condition = ConditionConfig(width=32, blocks=1)
    config = HandDiffusionConfig(channels=(8, 16), head_width=32, head_blocks=1, condition=condition)
    save_weights(path, HandDiffusion(config).eval(), HAND_DIFFUSION, config.to_dict())


def write_regressor_weights(path: Path) -> None:
    """Write a small network without diffusion."""
    torch.manual_seed(0)
    config = HandRegressorConfig.from_dict({"head_width": 32, "condition": {"width": 32, "blocks": 1}})
    save_weights(path, HandRegressor(config).eval(), HAND_REGRESSOR, config.to_dict())


def write_orientation_weights(path: Path) -> None:
    """Write an orientation network with a narrow head."""
    config = OrientationConfig(width=8)
    save_weights(path, OrientationNetwork(config), HAND_ORIENTATION, config.to_dict(), half=True)


def write_image_weights(path: Path) -> None:
    """Write a small network with an image encoder."""
    network = small_network()
    save_weights(path, network, IMAGE_HAND_DIFFUSION, network.config.to_dict())


def write_poses(path: Path) -> None:
    """Write joints of twelve left hands in millimetres, of two sequences."""
    angles, proportions = PoseSampler().sample(12, torch.Generator().manual_seed(0))
    joints = forward_kinematics(angles, proportions, anchor_length=SIZE_M, side="left").joints
    np.savez(path, xyz_mm=1e3 * joints.numpy(), seq=np.repeat((0, 1), 6))


def write_labelled_crops(folder: Path) -> None:
    """Write real hands of all parts."""
    of_part = {part: [one.repository for one in SOURCES if one.part == part] for part in (TRAIN, HELD_BACK)}
    repositories = [name for names in of_part.values() for name in names[:2]]
    folder.mkdir()
    write_real_hands(folder, repositories, ["Left", "Right"] * 2)


_WRITERS: Final[dict[Callable[[Path], None], tuple[str, ...]]] = {
    write_keypoint_weights: ("models/hand_diffusion.safetensors", "runs/hand_diffusion/weights.safetensors"),
    write_regressor_weights: ("hand_regressor.safetensors",),
    write_orientation_weights: (
        *("models/hand_orientation.safetensors", "seed_2.safetensors", "seed_3.safetensors"),
        "runs/head/weights.safetensors",
    ),
    write_image_weights: (
        "models/hand_image_diffusion.safetensors",
        "runs/image_encoder/weights.safetensors",
        "runs/image_conditions/weights.safetensors",
        "runs/image_hands/weights.safetensors",
        "runs/encoder/weights.safetensors",
        "runs/hands/weights.safetensors",
        "runs/conditions/weights.safetensors",
    ),
    write_shards: (
        *("DIR", "DETECTED", "UNSEEN_DETECTED", "RENDERED", "HELD_BACK"),
        *("rendered", "rendered_more", "more", "detected_5", "detected_last", "real/train"),
    ),
    write_poses: ("poses.npz", "dexycb.npz"),
    write_labelled_crops: ("FOLDER", "real_hands"),
}
FILES: Final = {name: write for write, names in _WRITERS.items() for name in names}
"""Name in the documents -> function that writes it."""


def write_files(folder: Path, words: Sequence[str]) -> None:
    """Write what the words of a command name, except its output, and what the configuration among them names.

    All documents and configurations are copied.
    """
    given = [word for option, word in pairwise(("", *words)) if option != "--output"]
    configurations = [REPOSITORY / word for word in given if word.startswith("config/")]
    given += [word for path in configurations for word in path.read_text().split()]
    shutil.copytree(REPOSITORY / "config", folder / "config")
    for page in (REPOSITORY / "docs").rglob("*.md"):
        target = folder / page.relative_to(REPOSITORY)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, target)
    for name in {part for word in given for part in re.split(r"[=,\[\]]", word)} & FILES.keys():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        FILES[name](path)
