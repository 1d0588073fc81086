"""The module scores meshes on renders, through the landmark network and crops that the node uses.

Every second hand is mirrored, a left one. The crops are around the true landmarks, as a tracker cuts them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.named_tensors import cat, rows
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.finders import LandmarkFinder
from hand_pose_ros.estimator.mesh_diffusion.backends import RunnableMesh
from hand_pose_ros.estimator.mesh_diffusion.fitted import MEAN, chosen_meshes
from hand_pose_ros.estimator.mesh_diffusion.reading import ReadHand, read_hand
from hand_pose_ros.evaluation.mesh_scores import mesh_scores
from hand_pose_ros.hand_images.augmentation.edge import continued
from hand_pose_ros.hand_images.shards import STORED_MARGIN, STORED_SIZE_PX, HandImages, view_to_pixels
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.mesh.skinning import regress_joints, skin
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.networks.mesh_diffusion.conditions import (
    depth_condition,
    keypoint_condition,
    silhouette_condition,
)
from hand_pose_ros.networks.mesh_diffusion.config import MeshDiffusionConfig, MeshEncoderConfig
from hand_pose_ros.networks.mesh_diffusion.sampling import mesh_noise
from hand_pose_ros.pose import Frame
from hand_pose_ros.rendering.crop.hand_depth import hand_depths

EDGE_STRETCH, EDGE_STRETCH_999, MILLISECONDS = "largest edge stretch", "99.9 % of edges below", "ms per hand"
_BATCH: Final = 32
_TIMED: Final = 8


class RenderedHands(NamedTuple):
    """n hands of renders. read: what the network reads. truth: (n, V, 3) in their views, as right hands, anchor
    lengths, relative to the wrist. wrist: (n, 3) from the camera, likewise.
    """

    read: ReadHand
    truth: Tensor
    wrist: Tensor


class Draws(NamedTuple):
    """Meshes of n hands, anchor lengths, relative to the wrist: chosen (n, V, 3), joints (n, S, 21, 3) of all."""

    chosen: Tensor
    joints: Tensor


def read_renders(hands: HandImages, finder: LandmarkFinder, encoder: MeshEncoderConfig) -> RenderedHands:
    """Run the landmark network on renders; hands that cannot be read are left out.

    Raises:
        ValueError: no hand can be read.
    """
    read, kept, rotations = [], [], []
    for row in range(hands.count):
        size = STORED_SIZE_PX
        focal = size / (2 * STORED_MARGIN * float(hands.half_extent[row]))
        camera = CameraModel.pinhole(focal, focal, (size - 1) / 2, (size - 1) / 2, size, size)
        frame = Frame(continued(hands.image[row]), camera)
        points = view_to_pixels(hands.points[row].astype(np.float64))
        side = "left" if row % 2 else "right"
        if side == "left":
            frame = frame.mirrored()
            points = points * (-1.0, 1.0) + (size - 1.0, 0.0)
        found = finder.near(frame, points, side)
        if found is None:
            continue
        try:
            one = read_hand(frame, replace(found.detection, side=side), encoder)
        except ValueError:
            continue
        read.append(one)
        kept.append(row)
        rotations.append(one.view.rotation[0].double())
    if not read:
        raise ValueError("the landmark network reads no hand of these renders")
    some = hands.rows(np.array(kept))
    angles, proportions, rotation, wrist = (
        torch.from_numpy(np.asarray(one, np.float64))
        for one in (some.angles, some.proportions, some.rotation, some.wrist)
    )
    to_view = torch.stack(rotations)
    truth = skin(
        forward_kinematics(angles, proportions, to_view @ rotation), template=load_template(torch.float64)
    )
    return RenderedHands(cat(read), truth, (to_view @ wrist[..., None])[..., 0])


def true_conditions(hands: RenderedHands, network: MeshDiffusionConfig) -> dict[str, Tensor]:
    """Return images of the network's extra conditions, drawn of the true meshes in their crops without noise."""
    size, extent = network.condition_size_px, hands.read.half_extent
    placed = (hands.truth + hands.wrist[:, None]) @ hands.read.turn
    depth = torch.from_numpy(hand_depths(placed.numpy(), extent.numpy(), load_template().faces.numpy(), size))
    joints = regress_joints(placed, load_template(torch.float64))
    of_all = {
        "depth": depth_condition(depth),
        "silhouette": silhouette_condition(depth.isfinite()),
        "keypoints": keypoint_condition(
            (joints[..., :2] / joints[..., 2:] / extent[:, None, None]).float(), size
        ),
    }
    return {name: of_all[name] for name in network.conditions}


def draw(
    hands: RenderedHands,
    network: RunnableMesh,
    steps: int,
    samples: int,
    choice: str = MEAN,
    conditions: Mapping[str, Tensor] | None = None,
) -> Draws:
    """Draw meshes of all hands, given images of extra conditions; the same noise for each, as in the node."""
    noise = mesh_noise(samples, network.config.points, torch.Generator().manual_seed(Seed.ARBITRARY))
    parts = []
    for start in range(0, len(hands.truth), _BATCH):
        part = slice(start, start + _BATCH)
        some = rows(hands.read, part)
        given = {name: image[part] for name, image in (conditions or {}).items()}
        drawn = network.hypotheses(some.inputs, some.sign, noise, steps, given)
        drawn = drawn @ some.turn.float()[:, None].mT
        parts.append(Draws(*chosen_meshes(drawn, some.view, choice, None)))
    return cat(parts)


def scores_of(
    hands: RenderedHands,
    network: RunnableMesh,
    steps: int,
    samples: int,
    choice: str = MEAN,
    conditions: Mapping[str, Tensor] | None = None,
) -> dict[str, float]:
    """Return the scores of meshes of hands of mean size, the stretch of their edges, and the network's time.

    Edges are compared with the truth's; the time is the processor's, the median of single hands.
    """
    drawn = draw(hands, network, steps, samples, choice, conditions)
    chosen = drawn.chosen.double()
    truth = hands.truth - regress_joints(hands.truth, load_template(torch.float64))[:, hand.WRIST, None]
    size = hand.MEAN_ANCHOR_LENGTH_M
    stretch = edge_stretch(chosen, truth)
    noise = mesh_noise(samples, network.config.points, torch.Generator().manual_seed(Seed.ARBITRARY))
    seconds = []
    for row in range(min(_TIMED, len(truth))):
        one = rows(hands.read, slice(row, row + 1))
        given = {name: image[row : row + 1] for name, image in (conditions or {}).items()}
        start = time.process_time()
        network.hypotheses(one.inputs, one.sign, noise, steps, given)
        seconds.append(time.process_time() - start)
    return {
        **mesh_scores(size * chosen.numpy(), size * truth.numpy()),
        EDGE_STRETCH: float(stretch.max()),
        EDGE_STRETCH_999: float(np.quantile(stretch.numpy(), 0.999)),
        MILLISECONDS: 1e3 * float(np.median(seconds)),
    }


def edge_stretch(meshes: Tensor, truth: Tensor) -> Tensor:
    """Return the lengths (n, F, 3) of the triangles' edges, relative to those of the true meshes (n, V, 3)."""
    faces = load_template().faces
    lengths = [
        (one[:, faces.roll(-1, 1)] - one[:, faces]).norm(dim=-1).clamp(min=1e-6) for one in (meshes, truth)
    ]
    return lengths[0] / lengths[1]
