"""Renders layers: hands with forearms at any place and distance, and objects that look like hands."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from hand_pose_ros.hand_images.rendered.hands import Looks, sample_placed
from hand_pose_ros.hand_images.rendered.objects import in_grasp
from hand_pose_ros.hand_images.rendered.scene import OBJECT_LABEL, RenderSettings, exposed_for
from hand_pose_ros.hand_images.rendered.wardrobe import Wardrobe, random_skin
from hand_pose_ros.hand_images.scenes.layers import LAYER_PX, SceneLayers, empty_layers
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.rendering.crop.draw import CropView, DrawnCrop, draw_crop
from hand_pose_ros.rendering.crop.hand_parts import solid_part
from hand_pose_ros.rendering.crop.mesh_part import MeshPart, frame_along
from hand_pose_ros.rendering.crop.solids import SOLIDS
from hand_pose_ros.rendering.lighting import random_lighting
from hand_pose_ros.rendering.skin import linear_from_srgb
from hand_pose_ros.synthetic.poses.sampler import PoseSampler

EXTENT: Final = (0.07, 0.95)
"""Range of the larger side of a hand's joints, as a share of the layer; all magnitudes are equally likely."""
_HANDS: Final = (0.12, 0.48, 0.25, 0.10, 0.05)  # probability of 0 to 4
_TANGENT: Final = (0.3, 0.7)  # of half the field of view
_NEAREST_M: Final = 0.09  # no joint comes nearer to the camera's plane
_FIRST_LABEL: Final = 10  # of the hands
_FLESH_M: Final = 0.012
_SHADOW_RADIUS_M: Final = 0.16
_SHADOWS: Final = (0.3, 0.55, 0.15)  # probability that 0, 1 or 2 lights cast shadows
_GRASP, _DISTRACTORS = (
    0.25,
    (0.45, 0.3, 0.25),
)  # shares of hands that grasp; probability of 0 to 2 distractors
_SKIN_LIKE, _FINGER_LIKE = 0.65, 0.5  # shares of the distractors with a skin's colour; of these, in rows
_BATCH: Final = 64


def render_layers(count: int, wardrobe: Wardrobe, rigged: float, seed: np.random.SeedSequence) -> SceneLayers:
    """Render ``count`` layers; the same arguments give the same layers.

    Args:
        wardrobe: meshes, skins and materials. rigged: share of the hands with a rigged mesh, if there are any.
    """
    generator = np.random.default_rng(seed)
    draws = torch.Generator().manual_seed(int(generator.integers(2**62)))
    sampler, settings = PoseSampler(), RenderSettings(rigged=rigged)
    layers = empty_layers(count)
    for start in range(0, count, _BATCH):
        stop = min(start + _BATCH, count)
        numbers = generator.choice(len(_HANDS), stop - start, p=_HANDS)
        total = int(numbers.sum())
        posed = sample_placed(max(total, 1), sampler, settings.natural, draws)
        right = generator.random(max(total, 1)) < 0.5
        sign = torch.from_numpy(np.where(right, 1.0, -1.0)).float()
        frames = forward_kinematics(
            posed.angles, posed.proportions, posed.placed.rotation, None, posed.placed.anchor_length_m, sign
        )
        tangents = generator.uniform(*_TANGENT, stop - start)
        moved = _moved(frames.joints.numpy(), np.repeat(tangents, numbers), generator)
        frames = HandFrames(torch.from_numpy(moved).float(), frames.rotations)
        looks = Looks(
            frames,
            ["right" if one else "left" for one in right],
            posed.thickness,
            wardrobe,
            settings,
            generator,
        )
        first = np.concatenate(((0,), np.cumsum(numbers)))
        for row in range(stop - start):
            chosen = range(first[row], first[row + 1])
            _draw(layers, start + row, chosen, moved, right, looks, tangents[row], wardrobe, generator)
    return layers


def _moved(joints: np.ndarray, tangents: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Move hands (n, 21, 3), camera frame, to random places in views of ``tangents`` (m,); m <= n."""
    moved = joints.astype(np.float64)
    for row, tangent in enumerate(tangents):
        around = moved[row] - (moved[row].min(0) + moved[row].max(0)) / 2
        extent = np.exp(generator.uniform(*np.log(EXTENT)))
        depth = np.ptp(around[:, :2], axis=0).max() / (2 * tangent * extent)
        depth = max(depth, _NEAREST_M - around[:, 2].min())
        place = generator.uniform(-1, 1, 2) * tangent * depth * max(1.05 - 0.6 * extent, 0.4)
        moved[row] = around + (*place, depth)
    return moved


def _draw(
    layers: SceneLayers,
    row: int,
    chosen: range,
    joints: np.ndarray,
    right: np.ndarray,
    looks: Looks,
    tangent: float,
    wardrobe: Wardrobe,
    generator: np.random.Generator,
) -> None:
    """Fill one row with the hands ``chosen`` and distractors."""
    parts: list[MeshPart] = []
    for place, number in enumerate(chosen):
        parts += looks.parts(number, _FIRST_LABEL + place)
        if generator.random() < _GRASP:
            solid = in_grasp(joints[number], generator)
            material = wardrobe.materials[generator.integers(len(wardrobe.materials))]
            parts.append(solid_part(*solid, material, float(generator.choice((0.1, 1.0, 4.0))), OBJECT_LABEL))
    for _ in range(generator.choice(len(_DISTRACTORS), p=_DISTRACTORS)):
        parts += _distractor(tangent, wardrobe, generator)
    if not parts:
        return
    view = CropView(np.eye(3, dtype=np.float32), float(tangent), LAYER_PX)
    centre = joints[list(chosen)].mean((0, 1)) if len(chosen) else np.zeros(3)
    lighting = exposed_for(random_lighting(generator), parts[0])
    shadows = int(generator.choice(3, p=_SHADOWS)) if len(chosen) else 0
    drawn = draw_crop(parts, view, lighting, centre.astype(np.float32), _SHADOW_RADIUS_M, shadows)
    layers.bgra[row] = drawn.bgra
    for place, number in enumerate(chosen):
        pixels, depth = view.pixels(joints[number], LAYER_PX)
        layers.points[row, place] = pixels
        layers.right[row, place] = right[number]
        layers.shown[row, place] = _shown(drawn, view, joints[number], depth, _FIRST_LABEL + place)


def _shown(drawn: DrawnCrop, view: CropView, joints: np.ndarray, depth: np.ndarray, label: int) -> float:
    """Return the share of a hand's joints that nothing else hides; those outside of the layer count as shown."""
    size = len(drawn.depth)
    pixels, _ = view.pixels(joints, size)
    inside = ((pixels >= 0) & (pixels <= size - 1)).all(-1)
    column, row = pixels.round().astype(int).clip(0, size - 1).T
    hidden = (drawn.labels[row, column] != label) & (drawn.depth[row, column] < depth - _FLESH_M)
    return float(1 - (hidden & inside).mean())


def _distractor(tangent: float, wardrobe: Wardrobe, generator: np.random.Generator) -> list[MeshPart]:
    """Make an object at a random place, or a row of capsules like toes or fingers without a palm."""
    depth = generator.uniform(0.25, 1.5)
    place = np.append(generator.uniform(-1, 1, 2) * tangent * depth, depth)
    reach = depth * tangent * np.exp(generator.uniform(np.log(0.05), np.log(0.5)))
    if generator.random() >= _SKIN_LIKE:
        texture = wardrobe.materials[generator.integers(len(wardrobe.materials))]
    else:
        rgb = linear_from_srgb(np.array(random_skin(generator).base_rgb)).astype(np.float32)
        texture = np.broadcast_to(rgb, (8, 8, 3)) * generator.uniform(0.9, 1.1, (8, 8, 1)).astype(np.float32)
        if generator.random() < _FINGER_LIKE:
            return _row_of_capsules(place, reach, texture, generator)
    rotation = frame_along(generator.normal(size=3), generator.normal(size=3))
    half = reach * generator.uniform(0.25, 1.0, 3)
    kind = SOLIDS[generator.integers(len(SOLIDS))]
    return [solid_part(kind, half, rotation, place, texture, 0.5, OBJECT_LABEL)]


def _row_of_capsules(
    place: np.ndarray, reach: float, texture: np.ndarray, generator: np.random.Generator
) -> list[MeshPart]:
    rotation = frame_along(generator.normal(size=3), generator.normal(size=3))
    number = int(generator.integers(2, 7))
    radius = reach / number * generator.uniform(0.6, 1.0)
    parts = []
    for step in range(number):
        offset = rotation[:, 1] * (2 * radius * (step - (number - 1) / 2)) + 0.2 * radius * generator.normal(
            size=3
        )
        half = np.array((radius * generator.uniform(1.0, 3.0), radius, radius))
        parts.append(solid_part("capsule", half, rotation, place + offset, texture, 0.5, OBJECT_LABEL))
    return parts
