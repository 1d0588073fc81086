"""Draws a robot hand as a square image from its palm's side, fingers up: :class:`RobotImage`.

The view is fixed: the human wrist frame of docs/use/frames.md, laid over the robot by its profile, is seen from
the palm and a little from the little finger's side. So a finger that bends comes towards the viewer, and the
opening between thumb and index finger is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.rendering.crop.draw import CropView, draw_crop, over_background
from hand_pose_ros.rendering.crop.mesh_part import MeshPart, Texture
from hand_pose_ros.rendering.crop.solids import Solid, solid
from hand_pose_ros.rendering.lighting import Lighting
from hand_pose_ros.rendering.skin import linear_from_srgb
from hand_pose_ros.rendering.views import upright_rotation
from hand_pose_ros.retargeting.profile import RobotProfile
from hand_pose_ros.retargeting.robot_hand import Array, RobotHand
from hand_pose_ros.retargeting.view.shapes import LinkShape

Image = NDArray[np.uint8]

_TANGENT: Final = 0.22
_YAW_RAD, _TILT_RAD = 0.5, 0.12
_MARGIN: Final = 1.3  # of the image around the hand, perspective included
_GLOSS: Final = 1.6
_LIGHTING: Final = Lighting(exposure=0.66)
_BACKDROP: Final = (196, 132)  # grey at the top and at the bottom
_SHIFT: Final = 3  # cv2 draws at fractions of 2^-3 pixel


class RobotImage:
    """Draws one robot hand; the same positions give the same image."""

    def __init__(
        self,
        profile: RobotProfile,
        robot: RobotHand,
        shapes: Sequence[LinkShape],
        size_px: int,
        around_m: Array | None = None,
    ) -> None:
        """Prepare the view.

        Args:
            shapes: of the robot's links. size_px: width and height of the images. around_m: (k, 3) points of the
                base frame that are to be inside, too.

        Raises:
            ValueError: there are no shapes, or one of them is of a link that the robot does not have.
        """
        if not shapes:
            raise ValueError("the URDF has neither visual primitives nor joints apart from each other")
        self._robot = robot
        self._links = robot.link_indices([shape.link for shape in shapes])
        self._offsets = np.array([shape.T_link_shape for shape in shapes])
        solids = [solid(shape.kind, shape.half_size_m) for shape in shapes]
        self._solids = solids
        self._faces, self._texture = _merged(solids, shapes)
        self._view = CropView(np.eye(3, dtype=np.float32), _TANGENT, size_px)
        mirrored = -1.0 if profile.side == "left" else 1.0
        wrist = upright_rotation("palm", mirrored * _YAW_RAD, _TILT_RAD).numpy().astype(np.float64)
        self._rotation: Array = wrist @ profile.rotation_base_wrist.T
        self._centre, self._radius, half_m = self._extent(np.empty((0, 3)) if around_m is None else around_m)
        self._distance = _MARGIN * half_m / _TANGENT
        shade = np.repeat(np.linspace(*_BACKDROP, size_px), size_px * 3)
        self._backdrop: Image = shade.reshape(size_px, size_px, 3).astype(np.uint8)

    def draw(self, positions_rad: Array) -> Image:
        """The image (H, W, 3) uint8 BGR of the hand at positions (n,) of its independent joints."""
        poses = self._shape_poses(positions_rad)
        normals = np.concatenate(
            [one.normals @ pose[:3, :3].T for one, pose in zip(self._solids, poses, strict=True)]
        )
        part = MeshPart(
            vertices=self._in_view(self._surface(poses)).astype(np.float32),
            normals=(normals @ self._rotation.T).astype(np.float32),
            faces=self._faces,
            texture=self._texture,
            label=1,
            tint=np.ones(3, dtype=np.float32),
            gloss=_GLOSS,
        )
        centre = np.array((0.0, 0.0, self._distance), dtype=np.float32)
        drawn = draw_crop([part], self._view, _LIGHTING, centre, self._radius)
        return np.asarray(over_background(drawn.bgra, self._backdrop), dtype=np.uint8)

    def pixels(self, points_m: Array) -> Array:
        """Where points (k, 3) of the base frame are in the image: (k, 2) pixels."""
        return self._view.pixels(self._in_view(np.asarray(points_m, np.float64)), self._view.size_px)[0]

    def draw_vectors(
        self, image: Image, starts_m: Array, ends_m: Array, bgr: tuple[int, int, int], width_px: int = 2
    ) -> None:
        """Draw arrows into ``image``, in place, from starts to ends (k, 3) in the base frame."""
        fixed = [
            np.round(self.pixels(points) * (1 << _SHIFT)).astype(int).tolist()
            for points in (starts_m, ends_m)
        ]
        for start, end in zip(*fixed, strict=True):
            cv2.line(image, start, end, bgr, width_px, cv2.LINE_AA, _SHIFT)
            cv2.circle(
                image, end, round(1.8 * width_px * (1 << _SHIFT)), bgr, cv2.FILLED, cv2.LINE_AA, _SHIFT
            )

    def _in_view(self, points_m: Array) -> Array:
        return (points_m - self._centre) @ self._rotation.T + (0.0, 0.0, self._distance)

    def _shape_poses(self, positions_rad: Array) -> Array:
        return self._robot.link_poses(positions_rad, self._links) @ self._offsets

    def _extent(self, around_m: Array) -> tuple[Array, float, float]:
        """Centre (3,) and radius of a ball around the hand, flat and half closed; half its extent in the view.

        With the points ``around_m`` (k, 3).
        """
        robot = self._robot
        flat = robot.clip(np.zeros(robot.num_joints))
        surfaces = [self._surface(self._shape_poses(q)) for q in (flat, robot.middle_rad)]
        points = np.concatenate([*surfaces, around_m])
        turned = points @ self._rotation.T
        low, high = turned.min(axis=0), turned.max(axis=0)
        centre = (low + high) / 2
        radius = float(np.linalg.norm(turned - centre, axis=1).max())
        return centre @ self._rotation, radius, float((high - low)[:2].max() / 2)

    def _surface(self, poses: Array) -> Array:
        """Vertices (V, 3) of all solids in the base frame, for poses (shapes, 4, 4)."""
        return np.concatenate(
            [
                one.vertices @ pose[:3, :3].T + pose[:3, 3]
                for one, pose in zip(self._solids, poses, strict=True)
            ]
        )


def _merged(solids: Sequence[Solid], shapes: Sequence[LinkShape]) -> tuple[NDArray[np.int32], Texture]:
    """Faces of all solids as one surface, and a texture with one texel for each shape."""
    starts = np.cumsum([0, *(len(one.vertices) for one in solids)])
    faces = np.concatenate([one.faces + start for one, start in zip(solids, starts, strict=False)])
    counts = [len(one.faces) for one in solids]
    texel = np.repeat(np.arange(len(solids)) + 0.5, counts).astype(np.float32)
    corners = np.zeros((3, 2, len(faces)), dtype=np.float32)
    corners[:, 0] = texel
    corners[:, 1] = 0.5
    palette = linear_from_srgb(np.array([[shape.rgb for shape in shapes]])).astype(np.float32)
    return faces.astype(np.int32), Texture(palette, corners)
