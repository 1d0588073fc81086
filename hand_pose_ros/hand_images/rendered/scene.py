"""Renders one training image from the parts of a scene, and labels its visible joints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.common import named_tensors
from hand_pose_ros.hand_images.shards import STORED_MARGIN, STORED_SIZE_PX, HandImages
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.mesh.template import JOINT_DEPTHS_M, SLANT
from hand_pose_ros.rendering.background import BackgroundStock
from hand_pose_ros.rendering.crop.draw import CropView, DrawnCrop, draw_crop, over_background
from hand_pose_ros.rendering.crop.mesh_part import MeshPart
from hand_pose_ros.rendering.lighting import Lighting, random_lighting
from hand_pose_ros.synthetic.views import HandView

HAND_LABEL, SECOND_LABEL, OBJECT_LABEL = 1, 2, 3
_FLESH_M = SLANT * np.array(JOINT_DEPTHS_M)
_SHADOW_RADIUS_M = 0.16
_SHADOWS = (0.3, 0.55, 0.15)  # probability that 0, 1 or 2 lights cast shadows: soft light casts none
_MIDDLE_ALBEDO, _EVENED = 0.25, 0.5  # of skin, and the exponent by which exposure moves towards it
_MOST_HIDDEN = 13  # joints hidden by other objects; with more, the hand is drawn alone


@dataclass(frozen=True)
class RenderSettings:
    """Content of the images, as shares of the images.

    natural: upright hands; the others are rotated in any way. rigged: hands with a rigged mesh instead of the
    template, if there are any. grasped, in_front, behind: images with such an object. second_hand: images with
    another hand near or on the first. sleeve: hands with a sleeve. cast: images with a shadow on the background.
    border: images that are black outside of the camera's image, if it shows the whole hand (others always are).
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
    """n posed hands in front of cameras.

    frames: metres, camera frame. angles: (n, 38). proportions: (n, 20). placed: their views. thickness: (n, 21)
    of the flesh of each bone, relative to the mesh.
    """

    frames: HandFrames
    angles: Tensor
    proportions: Tensor
    placed: HandView
    thickness: Tensor


class Scene:
    """One image: it is drawn, and its visible joints are labelled."""

    def __init__(self, rows: HandImages, number: int, posed: PosedHands, view: KeypointView) -> None:
        self._rows, self._number = rows, number
        self._joints = posed.frames.joints[number].numpy()
        self._placed = named_tensors.rows(posed.placed, slice(number, number + 1))
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
        """Return (visible (21,), hidden_by_others (21,)).

        A joint is visible if the first surface on its ray is its own flesh or lies behind it.
        """
        pixels, depth = self._view.pixels(self._joints, len(drawn.depth))
        column, row = (pixels + 0.5).astype(int).clip(0, len(drawn.depth) - 1).T
        first, label = drawn.depth[row, column], drawn.labels[row, column]
        in_front = (1 - first / depth) * np.linalg.norm(self._joints, axis=1)
        size = float(self._placed.anchor_length_m) / hand.MEAN_ANCHOR_LENGTH_M
        flesh = np.where(label == HAND_LABEL, _FLESH_M * size * self._thickness.clip(1, None), 0.0)
        not_hidden = in_front <= flesh
        return not_hidden, ~not_hidden & (label != HAND_LABEL)

    def _black_outside(self, image: np.ndarray) -> None:
        """Blacken the area outside of the camera's image."""
        # The image is convex: if the view's corners are inside, all is inside.
        if self._outside(np.array((-1, 1), np.float32)).any():
            steps = (np.arange(STORED_SIZE_PX, dtype=np.float32) + np.float32(0.5)) * np.float32(
                2 / STORED_SIZE_PX
            ) - 1
            image[self._outside(steps)] = 0

    def _outside(self, steps: np.ndarray) -> np.ndarray:
        """Return whether the points (n, n) of a grid of the view, +-1 at its borders, leave the camera's image."""
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
    """Adapt the exposure to a surface as a camera does, in part."""
    albedo = float((part.texture.image[::16, ::16].mean(axis=(0, 1)) * part.tint).mean())
    gain = float(np.clip(_MIDDLE_ALBEDO / max(albedo, 1e-3), 0.5, 4.0)) ** _EVENED
    return replace(lighting, exposure=lighting.exposure * gain)


def _cast_shadow(background: np.ndarray, coverage: np.ndarray, generator: np.random.Generator) -> None:
    """Darken a background by a shadow with the shape of the drawn parts."""
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
