"""The crop as a virtual camera: the real camera rotated about its centre until it looks at the hand.

A plain crop shows a hand at the image's edge from the side, so a network would have to know the crop's position in
the image. The virtual camera looks straight at the hand: points change by a rotation only. Its principal point is
the middle of the crop, so flipping a crop left to right changes the sign of x in the virtual frame, and mirroring
left hands needs no further correction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import torch
from torch import Tensor

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.camera.warp import check_image, sample, sampling_map
from hand_pose_ros.common.shapes import Array, check_shape
from hand_pose_ros.rotations import rotation_from_vector, skew

_CENTRING_STEPS = 10
_MIN_HALF_EXTENT = 1e-6  # of a view's half width, normalised coordinates: a thousandth of a pixel
_MAX_SHRINKING = 16


@dataclass(frozen=True, eq=False)
class VirtualCamera:
    """A square crop of ``camera``'s images, as the pinhole camera that would have taken it.

    camera: the real camera, with its distortion.
    crop: the virtual camera's own intrinsics; square, without distortion.
    R_virtual_camera: (3, 3) float64 rotation that maps camera coordinates to virtual ones.
    """

    camera: CameraModel
    crop: CameraModel
    R_virtual_camera: Tensor

    @classmethod
    def around_points(
        cls, camera: CameraModel, pixels: Tensor, size_px: int, *, enlarge: float = 1.0, roll_rad: float = 0.0
    ) -> VirtualCamera:
        """Look at the middle of ``pixels`` (n, 2), so near that they just fill a crop of ``size_px``.

        Args:
            pixels: (n, 2) in the camera's image. NaN, and pixels where the lens images nothing, are left out.
            size_px: width and height of the crop.
            enlarge: how much wider than the points' extent the crop's field is; 1.2 leaves a border.
            roll_rad: turn of the virtual camera about its own z axis, after the rotation of least angle that looks
                at the hand. A positive roll turns the image anticlockwise.

        Raises:
            ValueError: fewer than two usable points, no extent, or points more than 90 degrees apart from the
                middle; or a parameter is not valid.
        """
        if pixels.ndim != 2 or pixels.shape[-1] != 2:
            raise ValueError(f"pixels must have shape (n, 2), got {tuple(pixels.shape)}")
        if not (math.isfinite(enlarge) and enlarge > 0):
            raise ValueError(f"enlarge must be positive, got {enlarge}")
        if not math.isfinite(roll_rad):
            raise ValueError(f"roll_rad must be finite, got {roll_rad}")
        rays = camera.rays(pixels.detach().to("cpu", torch.float64))
        rays = rays[rays.isfinite().all(-1)]
        if len(rays) < 2:
            raise ValueError(f"a crop needs two or more points that the camera can see, got {len(rays)}")
        R_virtual_camera, half_extent = _look_at(rays, roll_rad)
        if half_extent < _MIN_HALF_EXTENT:
            raise ValueError("the points of a crop all coincide: it would have no size")
        focal = size_px / 2 / (half_extent * enlarge)
        middle = (size_px - 1) / 2
        return cls(
            camera, CameraModel.pinhole(focal, focal, middle, middle, size_px, size_px), R_virtual_camera
        )

    @classmethod
    def around_box(
        cls,
        camera: CameraModel,
        box_px: tuple[float, float, float, float] | Tensor,
        size_px: int,
        *,
        enlarge: float = 1.0,
        roll_rad: float = 0.0,
    ) -> VirtualCamera:
        """Look at the middle of a box (x_min, y_min, x_max, y_max) in the image; otherwise as around_points.

        Raises:
            ValueError: also where the box is not finite or has no area.
        """
        if len(box_px) != 4:
            raise ValueError(f"box_px must be (x_min, y_min, x_max, y_max), got {len(box_px)} numbers")
        x_min, y_min, x_max, y_max = (float(value) for value in box_px)
        if not (all(map(math.isfinite, (x_min, y_min, x_max, y_max))) and x_min < x_max and y_min < y_max):
            raise ValueError(
                "box_px must be finite (x_min, y_min, x_max, y_max) with x_min < x_max and y_min < y_max, "
                f"got {(x_min, y_min, x_max, y_max)}"
            )
        # The middles of the sides too: through a distorting lens the corners are not always the extremes.
        x = torch.linspace(x_min, x_max, 3, dtype=torch.float64)
        y = torch.linspace(y_min, y_max, 3, dtype=torch.float64)
        return cls.around_points(
            camera, torch.cartesian_prod(x, y), size_px, enlarge=enlarge, roll_rad=roll_rad
        )

    @property
    def homography_crop_image(self) -> Tensor:
        """(3, 3) float64 homography from image pixels to crop pixels, for a camera without distortion.

        Raises:
            ValueError: the camera has distortion, for which no homography exists.
        """
        if self.camera.distortion_model:
            raise ValueError(
                f"a camera with {self.camera.distortion_model!r} distortion has no homography to its crop; "
                "use warp, crop_pixels and image_pixels, or undistort the image first"
            )
        return self.crop.K @ self.R_virtual_camera @ torch.linalg.inv(self.camera.K)

    def to_virtual(self, points: Tensor) -> Tensor:
        """Points or directions (..., 3) of the camera frame, in the virtual frame."""
        check_shape("points", points, (3,))
        return points @ self.R_virtual_camera.to(points).T

    def to_camera(self, points: Tensor) -> Tensor:
        """Points or directions (..., 3) of the virtual frame, in the camera frame."""
        check_shape("points", points, (3,))
        return points @ self.R_virtual_camera.to(points)

    def crop_pixels(self, image_pixels: Tensor) -> Tensor:
        """Crop pixels of the camera's pixels (..., 2); NaN for points behind the virtual camera."""
        return self.crop.project(self.to_virtual(self.camera.rays(image_pixels)))

    def image_pixels(self, crop_pixels: Tensor) -> Tensor:
        """Camera pixels of the crop's pixels (..., 2); NaN outside the camera's view."""
        return self.camera.project(self.to_camera(self.crop.rays(crop_pixels)))

    def warp(self, image: Array) -> Array:
        """The crop (size, size[, channels]) out of the camera's image; black where the image ends.

        If a crop pixel covers several image pixels, the image is averaged first to prevent aliasing.

        Raises:
            ValueError: the image does not have the camera's size.
        """
        check_image(image, self.camera)
        camera, factor = self.camera, self._shrinking()
        if factor > 1:
            columns, rows = camera.width // factor, camera.height // factor
            whole = image[: rows * factor, : columns * factor]
            image = cv2.resize(whole, (columns, rows), interpolation=cv2.INTER_AREA)
            camera = CameraModel(
                width=columns,
                height=rows,
                fx=camera.fx / factor,
                fy=camera.fy / factor,
                cx=(camera.cx + 0.5) / factor - 0.5,
                cy=(camera.cy + 0.5) / factor - 0.5,
                distortion_model=camera.distortion_model,
                distortion=camera.distortion,
            )
        return sample(image, sampling_map(camera, self.crop, self.R_virtual_camera.T))

    def _shrinking(self) -> int:
        """Number of image pixels, rounded, that the crop's middle pixel covers along one side."""
        steps = torch.tensor(((0.0, 0.0), (1.0, 0.0), (0.0, 1.0)), dtype=torch.float64)
        here, right, below = self.image_pixels(steps + self.crop.cx)
        covered = max((right - here).norm().item(), (below - here).norm().item())
        most = min(_MAX_SHRINKING, self.camera.width, self.camera.height)
        return min(max(round(covered), 1), most) if math.isfinite(covered) else 1


def _look_at(rays: Tensor, roll_rad: float) -> tuple[Tensor, float]:
    """R_virtual_camera (3, 3) that centres ``rays`` (n, 3), and the half extent of their view."""
    roll = rotation_from_vector(rays.new_tensor((0.0, 0.0, -roll_rad)))
    direction = torch.nn.functional.normalize(rays, dim=-1).sum(0)
    R_virtual_camera, seen = roll, rays  # replaced in the first step
    for _ in range(_CENTRING_STEPS):
        R_virtual_camera = roll @ _shortest_rotation_to_z(direction)
        seen = rays @ R_virtual_camera.T
        if bool((seen[:, 2] <= 0).any()):
            raise ValueError(
                "the points of a crop lie more than 90 degrees off its middle: too wide for one view"
            )
        seen = seen[:, :2] / seen[:, 2:]
        lowest, highest = seen.amin(0), seen.amax(0)
        middle = torch.cat(((lowest + highest) / 2, rays.new_ones(1)))
        direction = middle @ R_virtual_camera
    return R_virtual_camera, seen.abs().max().item()


def _shortest_rotation_to_z(direction: Tensor) -> Tensor:
    """The rotation (3, 3) of least angle that turns ``direction`` (3,), with z > 0, onto the z axis."""
    unit = direction / direction.norm()
    z_axis = torch.zeros_like(unit)
    z_axis[2] = 1
    turn = skew(torch.linalg.cross(unit, z_axis))
    return torch.eye(3, dtype=unit.dtype) + turn + turn @ turn / (1 + unit[2])
