"""Holds the hand meshes, painted skins and materials of training images.

Painting a skin takes as long as drawing thirty crops, so skins are painted once, and every image varies their
colour. The seed determines the skins and materials.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from hand_pose_ros.files.image_file import read_image
from hand_pose_ros.mesh.rigged_hand import load_rigged_hand
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.rendering.crop.hand_surface import HandSurface
from hand_pose_ros.rendering.crop.mesh_part import Texture
from hand_pose_ros.rendering.patterns import random_albedo
from hand_pose_ros.rendering.skin import SKIN_TONES, Skin, linear_from_srgb

logger = logging.getLogger(__name__)

_SKINS = 16  # painted for the template, and half as many for each rigged mesh
_MATERIALS = 128
_MATERIAL_SIZE = 64
_PAINTED_SIZE = 512
_TONE_SPREAD = 0.035


class PaintedSkin:
    """A hand's texture whose colour can vary.

    Args:
        texture: the painted texture.
        keep_tone: whether its colour is that of a skin and varies little; else every hand gets another tone.
    """

    def __init__(self, texture: Texture, keep_tone: bool) -> None:
        self._texture, self._keep_tone = texture, keep_tone
        x, y = texture.corners.mean(axis=0).astype(int)
        height, width = texture.image.shape[:2]
        self._mean = texture.image[y % height, x % width].mean(axis=0)

    def dye(self, generator: np.random.Generator) -> tuple[Texture, np.ndarray]:
        """Return the texture and a random factor (3,) on its colour."""
        tint = np.exp(0.10 * generator.normal() + 0.04 * generator.normal(size=3))
        if not self._keep_tone:
            tone = linear_from_srgb(np.array(random_skin(generator).base_rgb))
            tint = tint * tone / self._mean
        return self._texture, tint.astype(np.float32)


class Wardrobe:
    """Hand meshes with their skins, and materials.

    surfaces: the template, then the rigged hands. skins: for each surface, its painted skins.
    materials: images (64, 64, 3) float32 linear RGB.
    """

    def __init__(self, surfaces: Sequence[HandSurface], generator: np.random.Generator) -> None:
        self.surfaces = surfaces
        self.skins: list[list[PaintedSkin]] = []
        for number, surface in enumerate(surfaces):
            count = _SKINS if number == 0 else _SKINS // 2
            procedural = [surface.procedural(random_skin(generator)) for _ in range(count)]
            skins = [PaintedSkin(texture, keep_tone=True) for texture in procedural]
            self.skins.append(skins + [PaintedSkin(texture, keep_tone=False) for texture in surface.painted])
        self.materials = [random_albedo(_MATERIAL_SIZE, generator) for _ in range(_MATERIALS)]


def random_skin(generator: np.random.Generator) -> Skin:
    """Draw a skin of any tone between the lightest and the darkest, with random detail."""
    place = generator.uniform(0, len(SKIN_TONES) - 1)
    first = min(int(place), len(SKIN_TONES) - 2)
    tones = np.array([tone.base_rgb for tone in SKIN_TONES[first : first + 2]])
    rgb = tones[0] + (place - first) * (tones[1] - tones[0])
    rgb = (rgb * (1 + _TONE_SPREAD * generator.normal(size=3))).clip(0.08, 0.95)
    return Skin(tuple(rgb), float(generator.uniform(0.5, 1.7)), float(generator.uniform(0.4, 1.8)))


@lru_cache(maxsize=2)
def hand_surfaces(rigged: Path | None) -> tuple[HandSurface, ...]:
    """Load the template, and the right hands of the ``.gltf`` and ``.glb`` files in and below ``rigged``.

    The skins of a mesh are the images named like ``*baseColor*`` in a folder ``textures`` beside its own folder.
    Left hands (``*left*``, ``*_l.*``) and meshes named ``*low*`` are left out; unusable meshes are left out with a
    warning.

    Raises:
        ValueError: there is no right hand.
    """
    template = HandSurface(load_template())
    if rigged is None:
        return (template,)
    paths = [path for path in sorted(rigged.rglob("*")) if path.suffix.lower() in (".gltf", ".glb")]
    found = []
    for path in paths:
        if any(word in path.name.lower() for word in ("low", "left", "_l.")):
            continue
        try:
            one = load_rigged_hand(path)
        except ValueError as error:
            logger.warning("not drawn: %s", error)
            continue
        images = sorted(
            image
            for image in (path.parent.parent / "textures").glob("*.png")
            if "basecolor" in image.name.lower()
        )
        painted = tuple(_painted(image, one.corner_uv) for image in images)
        found.append(HandSurface(one.template, painted))
    if not found:
        raise ValueError(f"no rigged right hand in {rigged}")
    return (template, *found)


def _painted(path: Path, corner_uv: np.ndarray) -> Texture:
    """Read an image file as a texture."""
    image = cv2.resize(read_image(path), (_PAINTED_SIZE, _PAINTED_SIZE), interpolation=cv2.INTER_AREA)
    linear = linear_from_srgb(image[..., ::-1] / np.float32(255)).astype(np.float32)
    corners = np.ascontiguousarray(corner_uv.transpose(1, 2, 0)) * np.float32(_PAINTED_SIZE)
    return Texture(linear, corners)
