"""Rendered training images: sampled hands in random views, with objects, other hands and backgrounds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView, view_keypoints
from hand_pose_ros.data.hand_images import STORED_MARGIN, STORED_SIZE_PX, HandImages, empty_hand_images
from hand_pose_ros.data.observed_hands import inside_image
from hand_pose_ros.data.pose_sampler import PoseSampler
from hand_pose_ros.data.random_objects import beside, in_grasp
from hand_pose_ros.data.random_views import HandView, random_views
from hand_pose_ros.data.wardrobe import Wardrobe
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.rotations import rotation_from_quaternion
from hand_pose_ros.mesh.flesh import JOINT_DEPTHS_M, SLANT
from hand_pose_ros.mesh.skinning import skin
from hand_pose_ros.rendering.crop import CropView, DrawnCrop, draw_crop, over_background
from hand_pose_ros.rendering.crop_background import BackgroundStock
from hand_pose_ros.rendering.forearm import Forearm
from hand_pose_ros.rendering.hand_parts import Wrist, hand_part, sleeve_part, solid_part
from hand_pose_ros.rendering.lighting import Lighting
from hand_pose_ros.rendering.mesh_part import MeshPart
from hand_pose_ros.rendering.random_lighting import random_lighting

_BATCH = 64  # hands that are posed together
HAND_LABEL, SECOND_LABEL, OBJECT_LABEL = 1, 2, 3
_FLESH_M = SLANT * np.array(JOINT_DEPTHS_M)
_SHADOW_RADIUS_M = 0.16
_SHADOWS = (0.3, 0.55, 0.15)  # how often so many lights cast shadows: soft light casts none
_MIDDLE_ALBEDO, _EVENED = 0.25, 0.5  # of skin, and how much of the difference to it the exposure evens out
_MOST_HIDDEN = 13  # joints hidden by other things than the hand: with more, the hand is drawn alone
_FINGER_SPREAD, _HAND_SPREAD = 0.04, 0.09  # of the logarithm of a finger's and the hand's thickness


@dataclass(frozen=True)
class RenderSettings:
    """What is drawn, as shares of the images.

    natural: hands held up, the others being turned in any way. rigged: hands that are a rigged mesh instead of the
    template, where there are any. grasped, in_front, behind: with such an object. second_hand: with another hand
    near or on the first. sleeve: with a sleeve. cast: with a shadow on what is behind. border: where the camera's
    picture ends is black, of hands that are wholly inside it (of others always).
    rigged_folder, photo_folder: rigged meshes, and photos for backgrounds; None for none.
    """

    natural: float = 0.6
    rigged: float = 0.5
    grasped: float = 0.25
    in_front: float = 0.15
    behind: float = 0.15
    second_hand: float = 0.13
    sleeve: float = 0.5
    cast: float = 0.3
    border: float = 0.4
    rigged_folder: str | None = None
    photo_folder: str | None = None

    def __post_init__(self) -> None:
        shares = (self.natural, self.rigged, self.grasped, self.in_front, self.behind, self.second_hand)
        if not all(0 <= share <= 1 for share in (*shares, self.sleeve, self.cast, self.border)):
            raise ValueError("all shares must lie in [0, 1]")


class PosedHands(NamedTuple):
    """n hands of any side in front of cameras. frames: metres, camera frame. placed: as random views give it.
    thickness: (n, 21). side: 'left' or 'right' of each; angles and proportions as sampled."""

    frames: HandFrames
    angles: Tensor
    proportions: Tensor
    placed: HandView
    thickness: Tensor


def render_hands(
    count: int,
    wardrobe: Wardrobe,
    backgrounds: BackgroundStock,
    settings: RenderSettings,
    seed: np.random.SeedSequence,
) -> HandImages:
    """``count`` training images; the same for the same arguments.

    Args:
        wardrobe, backgrounds: what they are made of.
        settings: shares of what is drawn; its folders are those that the wardrobe and backgrounds came from.
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
    """Random right hands in random views."""
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
    first = _Looks(posed.frames, ["right"] * count, posed.thickness, wardrobe, settings, generator)
    second = _Looks(others.frames, sides, others.thickness, wardrobe, settings, generator)
    of_second = np.cumsum(wanted) - 1
    for number in range(count):
        alone = first.parts(number, HAND_LABEL)
        parts = list(alone)
        if wanted[number]:
            parts += second.parts(int(of_second[number]), SECOND_LABEL)
        joints = posed.frames.joints[number].numpy()
        parts += _objects(joints, wardrobe, settings, generator)
        front = [] if generator.random() >= settings.in_front else _in_front(joints, wardrobe, generator)
        scene = _Scene(rows, number, posed, view)
        scene.draw(parts + front, alone, backgrounds, settings, generator)


def _fill_labels(rows: HandImages, posed: PosedHands, view: KeypointView) -> None:
    """All that is known without a picture."""
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
    """A hand near each of those numbered ``near``, mostly of the other side: a joint close to one of theirs."""
    count = len(near)
    other = sample_placed(count, sampler, settings.natural, draws)
    sides = ["left" if generator.random() < 0.75 else "right" for _ in near]
    sign = torch.tensor([1.0 if side == "right" else -1.0 for side in sides])
    anchor = posed.placed.anchor_length_m[torch.from_numpy(near)]  # mostly the same person's
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
    # Not into the camera.
    lowest = (frames.joints[..., 2] + shift[:, None, 2]).amin(1)
    shift[:, 2] += (0.06 - lowest).clamp(min=0)
    return other._replace(frames=HandFrames(frames.joints + shift[:, None], frames.rotations)), sides


class _Looks:
    """The meshes of posed hands, each with a random surface; their skins and sleeves are drawn with each."""

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
        self._vertices: list[np.ndarray | None] = [None] * count
        for number, surface in enumerate(surfaces):
            of_surface = np.flatnonzero(self._chosen == number)
            if len(of_surface):
                index = torch.from_numpy(of_surface)
                posed = HandFrames(*(part[index] for part in frames))
                meshes = skin(posed, sign[index], surface.template, thickness[index]).numpy()
                for place, mesh in zip(of_surface, meshes, strict=True):
                    self._vertices[place] = mesh

    def parts(self, number: int, label: int) -> list[MeshPart]:
        """The hand and perhaps its sleeve. A bare forearm is its hand's, a sleeve is an object."""
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
        size = float(np.linalg.norm(joints[hand.ANCHOR_BONE + 1] - joints[0])) / hand.MEAN_ANCHOR_LENGTH_M
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
    """Objects in the grasp and behind the hand."""
    parts = []
    if generator.random() < settings.grasped:
        parts.append(_material(in_grasp(joints, generator), wardrobe, generator))
    if generator.random() < settings.behind:
        parts.append(_material(beside(joints, (1.15, 1.7), (0.2, 1.3), generator), wardrobe, generator))
    return parts


def _in_front(joints: np.ndarray, wardrobe: Wardrobe, generator: np.random.Generator) -> list[MeshPart]:
    return [_material(beside(joints, (0.55, 0.92), (0.08, 0.55), generator), wardrobe, generator)]


def _material(placed, wardrobe: Wardrobe, generator: np.random.Generator) -> MeshPart:
    picture = wardrobe.materials[generator.integers(len(wardrobe.materials))]
    gloss = float(generator.choice((0.1, 1.0, 4.0)))
    return solid_part(*placed, picture, gloss, OBJECT_LABEL)


class _Scene:
    """One image: draws it, and finds out what is visible in it."""

    def __init__(self, rows: HandImages, number: int, posed: PosedHands, view: KeypointView) -> None:
        self._rows, self._number = rows, number
        self._joints = posed.frames.joints[number].numpy()
        self._placed = HandView(*(part[number : number + 1] for part in posed.placed))
        self._rotation = view.rotation[number].numpy()
        self._thickness = posed.thickness[number].numpy()
        tangent = STORED_MARGIN * float(view.half_extent[number])
        self._view = CropView(self._rotation.astype(np.float32), tangent, STORED_SIZE_PX)

    def draw(
        self,
        parts: list[MeshPart],
        alone: list[MeshPart],
        backgrounds: BackgroundStock,
        settings: RenderSettings,
        generator: np.random.Generator,
    ) -> None:
        """Draw ``parts`` or, if they hide too much of the hand, the hand ``alone``."""
        lighting = exposed_for(random_lighting(generator), parts[0])
        centre = self._joints.mean(axis=0)
        shadows = generator.choice(3, p=_SHADOWS)
        arguments = (self._view, lighting, centre, _SHADOW_RADIUS_M, shadows)
        drawn = draw_crop(parts, *arguments)
        not_hidden, by_others = self._not_hidden(drawn)
        if len(parts) > len(alone) and by_others.sum() > _MOST_HIDDEN:
            drawn = draw_crop(alone, *arguments)
            not_hidden, _ = self._not_hidden(drawn)
        background = backgrounds.cut(STORED_SIZE_PX, generator)
        gain = np.clip(lighting.exposure / 0.62, 0.5, 1.6) ** 0.7
        background = cv2.convertScaleAbs(background, alpha=float(gain))
        if generator.random() < settings.cast:
            _cast_shadow(background, drawn.bgra[..., 3], generator)
        image = over_background(drawn.bgra, background)
        if not self._rows.inside[self._number].all() or generator.random() < settings.border:
            self._black_outside(image)
        self._rows.image[self._number] = image
        self._rows.visible[self._number] = not_hidden & self._rows.inside[self._number]

    def _not_hidden(self, drawn: DrawnCrop) -> tuple[np.ndarray, np.ndarray]:
        """Joints (21,) on whose ray the first surface is their own flesh or behind them; and those of the others
        that another thing than the hand hides."""
        pixels, depth = self._view.pixels(self._joints, len(drawn.depth))
        column, row = (pixels + 0.5).astype(int).clip(0, len(drawn.depth) - 1).T
        first, label = drawn.depth[row, column], drawn.labels[row, column]
        in_front = (1 - first / depth) * np.linalg.norm(self._joints, axis=1)
        size = float(self._placed.anchor_length_m) / hand.MEAN_ANCHOR_LENGTH_M
        flesh = np.where(label == HAND_LABEL, _FLESH_M * size * self._thickness.clip(1, None), 0.0)
        not_hidden = in_front <= flesh
        return not_hidden, ~not_hidden & (label != HAND_LABEL)

    def _black_outside(self, image: np.ndarray) -> None:
        """Blacken what the camera's picture does not show."""
        # The picture is convex, so what has its corners inside is inside.
        if self._outside(np.float32((-1, 1))).any():
            steps = (np.arange(STORED_SIZE_PX, dtype=np.float32) + np.float32(0.5)) * np.float32(
                2 / STORED_SIZE_PX
            ) - 1
            image[self._outside(steps)] = 0

    def _outside(self, steps: np.ndarray) -> np.ndarray:
        """Whether the camera's picture lacks the points (n, n) of a grid of the view, +-1 at its borders."""
        steps = steps * np.float32(self._view.tangent)
        turn = self._view.rotation
        x, y, z = (
            (steps * turn[0, axis])[None] + (steps * turn[1, axis] + turn[2, axis])[:, None]
            for axis in range(3)
        )
        focal = np.float32(self._placed.focal[0])
        aspect = self._placed.aspect[0].numpy() / focal
        return (np.abs(x) > aspect[0] * z) | (np.abs(y) > aspect[1] * z)


def exposed_for(lighting: Lighting, part: MeshPart) -> Lighting:
    """The light as a camera exposes it that aims at a surface: some of its brightness is evened out."""
    albedo = float((part.texture.picture[::16, ::16].mean(axis=(0, 1)) * part.tint).mean())
    gain = float(np.clip(_MIDDLE_ALBEDO / max(albedo, 1e-3), 0.5, 4.0)) ** _EVENED
    return replace(lighting, exposure=lighting.exposure * gain)


def _cast_shadow(background: np.ndarray, coverage: np.ndarray, generator: np.random.Generator) -> None:
    """Darken a background where something between it and a light would, by the shape of what is drawn."""
    shift = generator.normal(0, 14, 2)
    scale = generator.uniform(0.9, 1.25)
    middle = len(background) / 2
    move = np.array(
        ((scale, 0, shift[0] + middle * (1 - scale)), (0, scale, shift[1] + middle * (1 - scale)))
    )
    shadow = cv2.warpAffine(coverage, move, coverage.shape[::-1])
    shadow = cv2.GaussianBlur(shadow, (0, 0), float(generator.uniform(1, 9)))
    factor = 255 - (shadow * generator.uniform(0.2, 0.7)).astype(np.uint16)
    background[:] = ((background * factor[..., None] + 127) // 255).astype(np.uint8)
