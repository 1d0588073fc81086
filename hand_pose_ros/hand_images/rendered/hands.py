"""Renders training images: sampled hands in random views, with objects, other hands and backgrounds."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView, view_keypoints
from hand_pose_ros.common.named_tensors import rows
from hand_pose_ros.hand_images.rendered.objects import PlacedSolid, beside, in_grasp
from hand_pose_ros.hand_images.rendered.scene import (
    HAND_LABEL,
    OBJECT_LABEL,
    SECOND_LABEL,
    PosedHands,
    RenderSettings,
    Scene,
)
from hand_pose_ros.hand_images.rendered.wardrobe import Wardrobe
from hand_pose_ros.hand_images.shards import HandImages, empty_hand_images
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.mesh.skinning import skin
from hand_pose_ros.rendering.background import BackgroundStock
from hand_pose_ros.rendering.crop.hand_parts import Wrist, hand_part, sleeve_part, solid_part
from hand_pose_ros.rendering.crop.mesh_part import MeshPart
from hand_pose_ros.rendering.forearm import Forearm
from hand_pose_ros.rotations import rotation_from_quaternion
from hand_pose_ros.synthetic.observed_hands import inside_image
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.synthetic.views import random_views

_BATCH = 64  # hands that are posed together
_FINGER_SPREAD, _HAND_SPREAD = 0.04, 0.09  # of the logarithm of a finger's and the hand's thickness


def render_hands(
    count: int,
    wardrobe: Wardrobe,
    backgrounds: BackgroundStock,
    settings: RenderSettings,
    seed: np.random.SeedSequence,
) -> HandImages:
    """Render ``count`` training images; the same arguments give the same images.

    Args:
        wardrobe, backgrounds: meshes, skins and materials, and backgrounds.
        settings: settings; its folders must be those of the wardrobe and backgrounds.
    """
    generator = np.random.default_rng(seed)
    draws = torch.Generator().manual_seed(int(generator.integers(2**62)))
    sampler = PoseSampler()
    images = empty_hand_images(count)
    for start in range(0, count, _BATCH):
        rows = images.rows(slice(start, start + _BATCH))
        _render_batch(rows, sampler, wardrobe, backgrounds, settings, generator, draws)
    return images


def sample_placed(count: int, sampler: PoseSampler, natural: float, draws: torch.Generator) -> PosedHands:
    """Sample right hands in random views."""
    angles, proportions = sampler.sample(count, draws)
    normalised = forward_kinematics(angles, proportions)
    placed = random_views(normalised.joints, draws, natural)
    joints = normalised.joints @ placed.rotation.transpose(-1, -2) * placed.anchor_length_m[:, None, None]
    frames = HandFrames(joints + placed.wrist_m[:, None], placed.rotation[:, None] @ normalised.rotations)
    thickness = _HAND_SPREAD * torch.randn(count, 1, 1, generator=draws)
    thickness = thickness + _FINGER_SPREAD * torch.randn(count, len(hand.FINGERS), 1, generator=draws)
    # The palm varies half as much as the fingers that leave it; the forearm does not.
    of_level = torch.tensor((0.5, 1.0, 1.0, 1.0))
    thickness = torch.nn.functional.pad((thickness * of_level).flatten(1), (1, 0)).exp()
    return PosedHands(frames, angles, proportions, placed, thickness)


def _render_batch(
    rows: HandImages,
    sampler: PoseSampler,
    wardrobe: Wardrobe,
    backgrounds: BackgroundStock,
    settings: RenderSettings,
    generator: np.random.Generator,
    draws: torch.Generator,
) -> None:
    """Fill rows."""
    count = rows.count
    posed = sample_placed(count, sampler, settings.natural, draws)
    view = view_keypoints(posed.frames.joints.double())
    _fill_labels(rows, posed, view)

    wanted = generator.random(count) < settings.second_hand
    others, sides = _second_hands(posed, np.flatnonzero(wanted), sampler, settings, generator, draws)
    first = Looks(posed.frames, ["right"] * count, posed.thickness, wardrobe, settings, generator)
    second = Looks(others.frames, sides, others.thickness, wardrobe, settings, generator)
    of_second = np.cumsum(wanted) - 1
    for number in range(count):
        alone = first.parts(number, HAND_LABEL)
        parts = list(alone)
        if wanted[number]:
            parts += second.parts(int(of_second[number]), SECOND_LABEL)
        joints = posed.frames.joints[number].numpy()
        parts += _objects(joints, wardrobe, settings, generator)
        front = [] if generator.random() >= settings.in_front else _in_front(joints, wardrobe, generator)
        scene = Scene(rows, number, posed, view)
        scene.draw(parts + front, alone, backgrounds, settings, generator)


def _fill_labels(rows: HandImages, posed: PosedHands, view: KeypointView) -> None:
    """Fill the labels that do not depend on the image."""
    anchor = posed.placed.anchor_length_m.double()[:, None, None]
    in_view = (posed.frames.joints.double() / anchor) @ view.rotation.transpose(-1, -2)
    joints = in_view - in_view[:, :1]
    rows.points[:] = view.points.numpy()
    rows.half_extent[:] = view.half_extent.numpy()
    rows.joints[:] = joints.numpy()
    rows.depth[:] = joints[..., 2].numpy()
    rows.wrist[:] = in_view[:, 0].numpy()
    rows.angles[:] = posed.angles.numpy()
    rows.proportions[:] = posed.proportions.numpy()
    rows.rotation[:] = (view.rotation @ posed.placed.rotation.double()).numpy()
    rows.inside[:] = inside_image(posed.frames.joints, posed.placed).numpy()
    rows.sigma[:] = 0


def _second_hands(
    posed: PosedHands,
    near: np.ndarray,
    sampler: PoseSampler,
    settings: RenderSettings,
    generator: np.random.Generator,
    draws: torch.Generator,
) -> tuple[PosedHands, list[str]]:
    """Pose a second hand, mostly of the other side, near each of the hands ``near``: two joints are close."""
    count = len(near)
    other = sample_placed(count, sampler, settings.natural, draws)
    sides = ["left" if generator.random() < 0.75 else "right" for _ in near]
    sign = torch.tensor([1.0 if side == "right" else -1.0 for side in sides])
    anchor = posed.placed.anchor_length_m[torch.from_numpy(near)]  # both hands belong to one person
    turn = torch.where(
        torch.rand(count, 1, 1, generator=draws) < 0.5,
        other.placed.rotation,
        rotation_from_quaternion(torch.randn(count, 4, generator=draws)),
    )
    frames = forward_kinematics(other.angles, other.proportions, turn, None, anchor, sign)
    theirs = torch.from_numpy(generator.integers(hand.NUM_JOINTS, size=count))
    ours = torch.from_numpy(generator.integers(hand.NUM_JOINTS, size=count))
    index = torch.arange(count)
    gap = torch.from_numpy(generator.normal(size=(count, 3)) * (0.03, 0.03, 0.02)).float()
    shift = posed.frames.joints[torch.from_numpy(near), ours] + gap - frames.joints[index, theirs]
    # Keep the hand in front of the camera.
    lowest = (frames.joints[..., 2] + shift[:, None, 2]).amin(1)
    shift[:, 2] += (0.06 - lowest).clamp(min=0)
    return other._replace(frames=HandFrames(frames.joints + shift[:, None], frames.rotations)), sides


class Looks:
    """Meshes of posed hands, each with a random surface; skins and sleeves are chosen when a mesh is requested."""

    def __init__(
        self,
        frames: HandFrames,
        sides: list[str],
        thickness: Tensor,
        wardrobe: Wardrobe,
        settings: RenderSettings,
        generator: np.random.Generator,
    ) -> None:
        self._frames, self._sides, self._wardrobe = frames, sides, wardrobe
        self._settings, self._generator = settings, generator
        count, surfaces = len(sides), wardrobe.surfaces
        rigged = (generator.random(count) < settings.rigged) & (len(surfaces) > 1)
        other = 1 + generator.integers(max(len(surfaces) - 1, 1), size=count)
        self._chosen = np.where(rigged, other, 0)
        sign = torch.tensor([1.0 if side == "right" else -1.0 for side in sides])
        self._vertices: dict[int, np.ndarray] = {}
        for number, surface in enumerate(surfaces):
            of_surface = np.flatnonzero(self._chosen == number)
            if len(of_surface):
                index = torch.from_numpy(of_surface)
                posed = rows(frames, index)
                meshes = skin(posed, sign[index], surface.template, thickness[index]).numpy()
                for place, mesh in zip(of_surface, meshes, strict=True):
                    self._vertices[place] = mesh

    def parts(self, number: int, label: int) -> list[MeshPart]:
        """Return the hand and possibly a sleeve; a bare forearm belongs to the hand, a sleeve is an object."""
        generator, wardrobe = self._generator, self._wardrobe
        surface = wardrobe.surfaces[self._chosen[number]]
        skins = wardrobe.skins[self._chosen[number]]
        sleeve = float(generator.uniform(0.01, 0.16)) if generator.random() < self._settings.sleeve else None
        forearm = Forearm(
            flexion_rad=float(np.clip(0.35 * generator.normal(), -0.9, 0.9)),
            abduction_rad=float(np.clip(0.15 * generator.normal(), -0.4, 0.4)),
            sleeve_start_m=sleeve,
        )
        joints, rotations = self._frames.joints[number].numpy(), self._frames.rotations[number].numpy()
        size = (
            float(np.linalg.norm(joints[hand.ANCHOR_JOINT] - joints[hand.WRIST])) / hand.MEAN_ANCHOR_LENGTH_M
        )
        wrist = Wrist(rotations[0], joints[0], size, self._sides[number])
        gloss = float(generator.uniform(0.3, 2.0))
        texture, tint = skins[generator.integers(len(skins))].dye(generator)
        mesh = self._vertices[number]
        parts = [hand_part(surface, mesh, wrist, forearm, texture, tint, gloss, label)]
        if sleeve is not None:
            cloth = wardrobe.materials[generator.integers(len(wardrobe.materials))]
            parts.append(sleeve_part(wrist, forearm, cloth, int(generator.integers(1, 5)), OBJECT_LABEL))
        return parts


def _objects(
    joints: np.ndarray, wardrobe: Wardrobe, settings: RenderSettings, generator: np.random.Generator
) -> list[MeshPart]:
    """Draw random objects in the grasp and behind the hand."""
    parts = []
    if generator.random() < settings.grasped:
        parts.append(_material(in_grasp(joints, generator), wardrobe, generator))
    if generator.random() < settings.behind:
        parts.append(_material(beside(joints, (1.15, 1.7), (0.2, 1.3), generator), wardrobe, generator))
    return parts


def _in_front(joints: np.ndarray, wardrobe: Wardrobe, generator: np.random.Generator) -> list[MeshPart]:
    return [_material(beside(joints, (0.55, 0.92), (0.08, 0.55), generator), wardrobe, generator)]


def _material(placed: PlacedSolid, wardrobe: Wardrobe, generator: np.random.Generator) -> MeshPart:
    texture = wardrobe.materials[generator.integers(len(wardrobe.materials))]
    gloss = float(generator.choice((0.1, 1.0, 4.0)))
    return solid_part(*placed, texture, gloss, OBJECT_LABEL)
