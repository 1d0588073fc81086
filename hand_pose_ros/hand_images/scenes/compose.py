"""Composes scenes: rendered layers, photos, and tiles of both, before rooms, patterns and parts of photos.

Real photos show one hand that fills half of the crop. Tiles make small hands and several hands of them, and they
show edges around everything, so that the edge of a pasted photo says nothing about a hand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, NamedTuple

import cv2
import numpy as np

from hand_pose_ros.detection.onnx.letterbox import FILL
from hand_pose_ros.hand_images.augmentation.augment import PhotometricConfig, change_image
from hand_pose_ros.hand_images.scenes.layers import LAYER_PX, SceneLayers
from hand_pose_ros.hand_images.scenes.photos import FLESH, HandPhotos, beside_hand
from hand_pose_ros.rendering.background import BackgroundStock
from hand_pose_ros.rendering.crop.draw import over_background

_LEAST_TILE_PX: Final = 36
_LEAST_PIECE_PX: Final = 14
_PHOTO_EXTENT: Final = (0.3, 0.95)  # of the hand, as a share of the image
_TILE_EXTENT: Final = (0.4, 0.85)  # the same of a tile
_ASPECTS: Final = (3 / 4, 9 / 16)
_WIDE: Final = 0.8  # share of the letterboxes for wide images
_LAYER_SHARE: Final = (0.55, 1.0)  # of the layer's side that the image shows


class SceneHands(NamedTuple):
    """k hands in an image.

    points: (k, 21, 2) joints, pixels, inside the image or not; the first pixel's centre is 0.
    right: (k,) bool. shown: (k,) share of the joints that nothing hides and that are inside the image.
    """

    points: np.ndarray
    right: np.ndarray
    shown: np.ndarray


class Scene(NamedTuple):
    """An image (s, s, 3) uint8 BGR and its hands."""

    image: np.ndarray
    hands: SceneHands


def _milder() -> PhotometricConfig:
    """Return changes of a whole image, in which hands are smaller than in a crop."""
    return PhotometricConfig(defocus_px=1.2, motion_px=6.0, low_resolution=2.0)


@dataclass(frozen=True)
class SceneOptions:
    """Composition of the scenes.

    photo, tiles: shares of the scenes that show one large photo, or tiles; the others show rendered layers. They
    count as given if there are photos. both: share of the large photos with a rendered layer in front. turn_deg:
    standard deviation of the roll; turned: share of the scenes that are turned in any way. photo_background:
    share of the backgrounds that are parts of photos. barred: share of the scenes with the grey bars of a
    letterbox.
    """

    photo: float = 0.3
    tiles: float = 0.3
    both: float = 0.2
    turn_deg: float = 14.0
    turned: float = 0.2
    photo_background: float = 0.5
    barred: float = 0.5
    photometric: PhotometricConfig = field(default_factory=_milder)

    def __post_init__(self) -> None:
        shares = (self.photo, self.tiles, self.photo + self.tiles, self.both, self.turned)
        shares = (*shares, self.photo_background, self.barred)
        if not all(0 <= share <= 1 for share in shares) or self.turn_deg < 0:
            raise ValueError("all shares must lie in [0, 1], also photo + tiles, and turn_deg be 0 or more")


class SceneComposer:
    """Makes scenes of ``size_px`` from layers, photos and backgrounds; layers or photos may be missing."""

    def __init__(
        self,
        size_px: int,
        layers: SceneLayers | None,
        photos: HandPhotos | None,
        backgrounds: BackgroundStock,
        options: SceneOptions | None = None,
    ) -> None:
        if layers is None and photos is None:
            raise ValueError("scenes need rendered layers, photos, or both")
        self._size, self._layers, self._photos = size_px, layers, photos
        self._backgrounds, self._options = backgrounds, options or SceneOptions()

    def make(self, generator: np.random.Generator, photometric: bool = True) -> Scene:
        """Compose one scene; the same state of the generator gives the same scene."""
        options, draw = self._options, generator.random()
        if self._photos is None:
            scene = self._rendered(self._size, generator)
        elif self._layers is None:
            both = max(options.photo + options.tiles, 1e-9)
            scene = self._photo(generator) if draw < options.photo / both else self._tiles(generator)
        elif draw < options.photo:
            scene = self._photo(generator)
        elif draw < options.photo + options.tiles:
            scene = self._tiles(generator)
        else:
            scene = self._rendered(self._size, generator)
        if photometric:
            scene = scene._replace(image=change_image(scene.image, options.photometric, generator))
        return _barred(scene, generator) if generator.random() < options.barred else scene

    def _background(self, size: int, generator: np.random.Generator) -> np.ndarray:
        if self._photos is not None and generator.random() < self._options.photo_background:
            piece = self._piece(generator)
            if piece is not None:
                return _covering(piece, size, generator)
        return self._backgrounds.cut(size, generator)

    def _piece(self, generator: np.random.Generator) -> np.ndarray | None:
        """Cut the largest strip beside the hand out of a photo; None if it is narrow."""
        assert self._photos is not None
        photos = self._photos
        row = generator.choice(photos.count, p=photos.probability)
        wide = beside_hand(photos, int(row), _LEAST_PIECE_PX)
        if not wide:
            return None
        x0, y0, x1, y1 = wide[generator.integers(len(wide))]
        return photos.image[row, y0:y1, x0:x1]

    def _rendered(self, size: int, generator: np.random.Generator, behind: np.ndarray | None = None) -> Scene:
        """Draw a layer before a background of its own, or before the image ``behind``."""
        assert self._layers is not None
        layers, options = self._layers, self._options
        row = int(generator.integers(layers.count))
        share = generator.uniform(*_LAYER_SHARE)
        middle = LAYER_PX / 2 + generator.uniform(-0.5, 0.5, 2) * (1 - share) * LAYER_PX - 0.5
        matrix, flipped = _similarity(
            size / (share * LAYER_PX), middle, (np.full(2, size) - 1) / 2, options, generator
        )
        bgra = cv2.warpAffine(np.asarray(layers.bgra[row]), matrix, (size, size), flags=cv2.INTER_AREA)
        image = over_background(bgra, self._background(size, generator) if behind is None else behind)
        known = np.isfinite(layers.points[row]).all((1, 2))
        points = layers.points[row][known] @ matrix[:, :2].T + matrix[:, 2]
        inside = _inside(points, (0, 0, size, size)).mean(-1) if len(points) else np.zeros(0)
        shown = np.minimum(layers.shown[row][known], inside)
        return Scene(image, SceneHands(points, layers.right[row][known] ^ flipped, shown))

    def _photo(self, generator: np.random.Generator) -> Scene:
        """Show one photo, its hand of any size that keeps the photo large."""
        size, behind = self._size, self._background(self._size, generator)
        extent = size * np.exp(generator.uniform(*np.log(_PHOTO_EXTENT)))
        room = max(size - 0.8 * extent, 0) / 2
        place = (size - 1) / 2 + generator.uniform(-1, 1, 2) * room
        scene = self._pasted(behind, extent, place, generator)
        if self._layers is not None and generator.random() < self._options.both:
            covered = scene.hands
            scene = self._rendered(size, generator, scene.image)
            # What the layer hides of the photo's hand is not known exactly: it is neither trained nor counted.
            covered = covered._replace(shown=np.minimum(covered.shown, 0.4))
            scene = Scene(scene.image, _joined([scene.hands, covered]))
        return scene

    def _tiles(self, generator: np.random.Generator) -> Scene:
        """Fill tiles of random sizes with photos, layers and backgrounds."""
        image = np.empty((self._size, self._size, 3), np.uint8)
        hands = []
        waiting = [(0, 0, self._size, self._size, 0)]
        while waiting:
            x0, y0, x1, y1, depth = waiting.pop()
            width, height = x1 - x0, y1 - y0
            if max(width, height) >= 2 * _LEAST_TILE_PX and (depth < 1 or generator.random() < 0.75):
                along = int(max(width, height) * generator.uniform(0.35, 0.65))
                if width > height:
                    waiting += [(x0, y0, x0 + along, y1, depth + 1), (x0 + along, y0, x1, y1, depth + 1)]
                else:
                    waiting += [(x0, y0, x1, y0 + along, depth + 1), (x0, y0 + along, x1, y1, depth + 1)]
                continue
            tile = self._tile(width, height, generator)
            image[y0:y1, x0:x1] = tile.image[:height, :width]
            inside = (
                _inside(tile.hands.points, (0, 0, width, height)).mean(-1) if len(tile.hands.right) else 0
            )
            shown = np.minimum(tile.hands.shown, inside)
            hands.append(tile.hands._replace(points=tile.hands.points + (x0, y0), shown=shown))
        return Scene(image, _joined(hands))

    def _tile(self, width: int, height: int, generator: np.random.Generator) -> Scene:
        size, draw = max(width, height), generator.random()
        if draw < 0.15 and self._layers is not None:
            return self._rendered(size, generator)
        behind = self._background(size, generator)
        if draw < 0.4:
            return Scene(behind, _joined([]))
        extent = min(width, height) * generator.uniform(*_TILE_EXTENT)
        room = np.maximum((width - 1.15 * extent, height - 1.15 * extent), 0) / 2
        place = (np.array((width, height)) - 1) / 2 + generator.uniform(-1, 1, 2) * room
        return self._pasted(behind, extent, place, generator)

    def _pasted(
        self, behind: np.ndarray, extent: float, place: np.ndarray, generator: np.random.Generator
    ) -> Scene:
        """Paste a photo whose hand has the ``extent`` and its middle at ``place``, pixels."""
        assert self._photos is not None
        photos = self._photos
        row = generator.choice(photos.count, p=photos.probability)
        low, high = photos.points[row].min(0), photos.points[row].max(0)
        x0, y0, x1, y1 = photos.shown[row].tolist()
        # The photo is continued by reflection as far as nothing of the hand is reflected.
        flesh = FLESH * float((high - low).max())
        pads = np.concatenate((low - flesh - (x0, y0), (x1, y1) - high - flesh)).clip(0).astype(int)
        if generator.random() < 0.5:
            pads[:] = 0
        left, top, right, bottom = pads.tolist()
        shown = cv2.copyMakeBorder(
            photos.image[row, y0:y1, x0:x1], top, bottom, left, right, cv2.BORDER_REFLECT_101
        )
        corner = np.array((x0 - left, y0 - top))
        matrix, flipped = _similarity(
            extent / float((high - low).max()), (low + high) / 2 - corner, place, self._options, generator
        )
        size = behind.shape[1::-1]
        image = cv2.warpAffine(
            shown, matrix, size, dst=behind.copy(), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_TRANSPARENT
        )
        points = (photos.points[row] - corner) @ matrix[:, :2].T + matrix[:, 2]
        inside = _inside(points, (0, 0, size[0], size[1])).mean()
        hands = SceneHands(points[None], np.array([photos.right[row] ^ flipped]), np.array([inside]))
        return Scene(image, hands)


def _barred(scene: Scene, generator: np.random.Generator) -> Scene:
    """Draw the bars of a letterbox for a wide or, less often, a tall image."""
    size = len(scene.image)
    bar = round(size * (1 - generator.choice(_ASPECTS)) / 2)
    image = scene.image.copy()
    window = (0, bar, size, size - bar) if generator.random() < _WIDE else (bar, 0, size - bar, size)
    rows = image if window[0] == 0 else image.swapaxes(0, 1)
    rows[:bar], rows[size - bar :] = FILL, FILL
    hands = scene.hands
    inside = _inside(hands.points, window).mean(-1) if len(hands.right) else 0
    return Scene(image, hands._replace(shown=np.minimum(hands.shown, inside)))


def _similarity(
    scale: float, middle: np.ndarray, place: np.ndarray, options: SceneOptions, generator: np.random.Generator
) -> tuple[np.ndarray, bool]:
    """Draw a matrix (2, 3) that scales, turns and perhaps mirrors, and moves ``middle`` to ``place``."""
    turned = generator.random() < options.turned
    angle = generator.uniform(-np.pi, np.pi) if turned else np.radians(options.turn_deg) * generator.normal()
    flipped = bool(generator.random() < 0.5)
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array(((cosine, -sine), (sine, cosine))) @ np.diag((-1.0 if flipped else 1.0, 1.0))
    return np.column_stack((turn, place - turn @ middle)), flipped


def _inside(points: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return whether points (..., 2) are inside x0, y0, x1, y1."""
    return ((points >= np.array(box[:2]) - 0.5) & (points <= np.array(box[2:]) - 0.5)).all(-1)


def _covering(piece: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    """Enlarge a piece of a photo, and continue it by reflection, to (size, size, 3)."""
    scale = size / min(piece.shape[:2]) * np.exp(generator.uniform(np.log(0.3), 0))
    flip = np.diag((generator.choice((-1.0, 1.0)), 1.0)) * scale
    middle = np.array(piece.shape[1::-1]) / 2
    matrix = np.column_stack((flip, np.full(2, size / 2) - flip @ middle))
    return cv2.warpAffine(piece, matrix, (size, size), borderMode=cv2.BORDER_REFLECT_101)


def _joined(hands: list[SceneHands]) -> SceneHands:
    if not hands:
        return SceneHands(np.zeros((0, 21, 2)), np.zeros(0, bool), np.zeros(0))
    return SceneHands(*(np.concatenate(fields) for fields in zip(*hands, strict=True)))
