"""The calibrated camera, built from a CameraInfo's fields: it projects, back-projects and undistorts points.

Frames follow REP 103: x right, y down, z forward. Pixel (0, 0) is the centre of the upper left pixel, as in OpenCV
and ROS, so an image spans [-0.5, width - 0.5]. Normalised image coordinates are (x/z, y/z) of an ideal lens.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.camera.distortion import Coefficients, check_coefficients, distort, undistort
from hand_pose_ros.common.shapes import check_shape, check_shapes

_ROUNDING = 1e-6


class UncalibratedCameraError(ValueError):
    """The CameraInfo says that its camera is not calibrated (K[0] == 0), so it cannot give metric results."""


@dataclass(frozen=True)
class CameraModel:
    """Intrinsics and distortion of one camera; immutable, and equal and hashable by value.

    Points may be any floating tensors; results have their dtype and device, and are differentiable.

    width, height: size of the image, pixels.
    fx, fy, cx, cy: focal lengths and principal point, pixels.
    distortion_model: '', 'plumb_bob', 'rational_polynomial' or 'equidistant'; '' where all coefficients are zero.
    distortion: the model's coefficients, in OpenCV's order.
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    distortion_model: str = ""
    distortion: Coefficients = ()

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            size = getattr(self, name)
            if not isinstance(size, Integral) or size <= 0:
                raise ValueError(f"{name} must be a positive whole number of pixels, got {size!r}")
            object.__setattr__(self, name, int(size))
        for name in ("fx", "fy", "cx", "cy"):
            value = float(getattr(self, name))
            if not math.isfinite(value):
                raise ValueError(f"{name} must be finite, got {value}")
            if name.startswith("f") and value <= 0:
                raise ValueError(f"{name} must be a positive focal length in pixels, got {value}")
            object.__setattr__(self, name, value)
        model, coefficients = check_coefficients(self.distortion_model, self.distortion)
        object.__setattr__(self, "distortion_model", model)
        object.__setattr__(self, "distortion", coefficients)

    @classmethod
    def pinhole(cls, fx: float, fy: float, cx: float, cy: float, width: int, height: int) -> CameraModel:
        """A camera without distortion."""
        return cls(width, height, fx, fy, cx, cy)

    @classmethod
    def from_fov(cls, width: int, height: int, horizontal_fov_rad: float) -> CameraModel:
        """A pinhole camera with square pixels that looks through the image's centre.

        The field of view is measured between the outer edges of the left and right pixel columns.
        """
        if not 0 < horizontal_fov_rad < math.pi:
            raise ValueError(f"horizontal_fov_rad must lie between 0 and pi, got {horizontal_fov_rad}")
        focal = width / 2 / math.tan(horizontal_fov_rad / 2)
        return cls(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)

    @classmethod
    def from_matrix(
        cls,
        width: int,
        height: int,
        k: Sequence[float],
        distortion_model: str = "",
        distortion: Sequence[float] = (),
    ) -> CameraModel:
        """From the nine numbers of ``K = [fx 0 cx; 0 fy cy; 0 0 1]``, row by row.

        Skew and the last row may differ from zeros and one by rounding.

        Raises:
            ValueError: K is not of that form or not finite, or the distortion is not valid.
        """
        values = _finite("K", k, 9)
        off = max(abs(values[1]), abs(values[3])) / max(abs(values[0]), abs(values[4]), 1e-9)
        if max(off, abs(values[6]), abs(values[7]), abs(values[8] - 1)) > _ROUNDING:
            raise ValueError(f"K must be [fx 0 cx; 0 fy cy; 0 0 1] row by row (no skew), got {values}")
        return cls(
            width, height, values[0], values[4], values[2], values[5], distortion_model, tuple(distortion)
        )

    @classmethod
    def from_camera_info(
        cls,
        *,
        width: int,
        height: int,
        distortion_model: str,
        d: Sequence[float],
        k: Sequence[float],
        p: Sequence[float] = (),
        binning_x: int = 0,
        binning_y: int = 0,
        roi_x_offset: int = 0,
        roi_y_offset: int = 0,
        roi_width: int = 0,
        roi_height: int = 0,
        rectified: bool = False,
    ) -> CameraModel:
        """The camera of the image that comes with a sensor_msgs/CameraInfo, from the message's fields.

        ``width``, ``height``, ``k``, ``p`` and the region of interest are for the full resolution; the result is
        for the image as sent: first cut to the region, then binned, by the rules of image_geometry (offsets are
        subtracted, then focal lengths and principal point are divided by the binning). Zero binning means one; a
        region of zero size is the whole image.

        ``rectified`` says that the image has been rectified (an image_rect topic): then ``p`` holds, without
        distortion, and points are in the rectified camera's own frame (a stereo baseline in ``p`` is not added).

        Raises:
            UncalibratedCameraError: K[0] == 0, by which ROS marks a camera that was never calibrated; of a
                rectified image P[0] == 0.
            ValueError: any other field is not valid.
        """
        if rectified:
            p = _finite("P", p, 12)
            values, distortion_model, d = [*p[0:3], *p[4:7], *p[8:11]], "", ()
        else:
            values = _finite("K", k, 9)
        if values[0] == 0:
            matrix = "P" if rectified else "K"
            raise UncalibratedCameraError(
                f"{matrix}[0] is 0: this camera is not calibrated (see camera_calibration)"
            )
        full = cls.from_matrix(width, height, values, distortion_model, d)
        columns, rows = roi_width or full.width, roi_height or full.height
        if (
            min(roi_x_offset, roi_y_offset, columns, rows, binning_x, binning_y) < 0
            or roi_x_offset + columns > full.width
            or roi_y_offset + rows > full.height
        ):
            raise ValueError(
                f"region of interest {columns}x{rows} at ({roi_x_offset}, {roi_y_offset}) with binning "
                f"({binning_x}, {binning_y}) does not lie inside the image of {full.width}x{full.height}"
            )
        bin_x, bin_y = max(binning_x, 1), max(binning_y, 1)
        return cls(
            width=columns // bin_x,
            height=rows // bin_y,
            fx=full.fx / bin_x,
            fy=full.fy / bin_y,
            cx=(full.cx - roi_x_offset) / bin_x,
            cy=(full.cy - roi_y_offset) / bin_y,
            distortion_model=full.distortion_model,
            distortion=full.distortion,
        )

    @property
    def K(self) -> Tensor:  # noqa: N802 - the symbol of the field
        """(3, 3) float64 matrix of intrinsics."""
        rows = ((self.fx, 0, self.cx), (0, self.fy, self.cy), (0, 0, 1))
        return torch.tensor(rows, dtype=torch.float64)

    def without_distortion(self) -> CameraModel:
        """The ideal camera with the same K and size: the one that undistorted points and images belong to."""
        return CameraModel(self.width, self.height, self.fx, self.fy, self.cx, self.cy)

    def project(self, points: Tensor) -> Tensor:
        """Pixels (..., 2) of points (..., 3) in the camera frame, any unit.

        NaN for points that are not in front of the camera (z <= 0), and where the lens model folds back.
        """
        _check_points("points", points, 3)
        visible = points.isfinite().all(-1, keepdim=True) & (points[..., 2:] > 0)
        safe = torch.where(visible, points, torch.ones_like(points))
        distorted = distort(safe[..., :2] / safe[..., 2:], self.distortion_model, self.distortion)
        return self._to_pixels(torch.where(visible, distorted, torch.full_like(distorted, torch.nan)))

    def normalise(self, pixels: Tensor) -> Tensor:
        """Undistorted normalised coordinates (x/z, y/z), (..., 2), of pixels (..., 2); NaN where no ray ends."""
        _check_points("pixels", pixels, 2)
        x, y = pixels.unbind(-1)
        distorted = torch.stack(((x - self.cx) / self.fx, (y - self.cy) / self.fy), dim=-1)
        return undistort(distorted, self.distortion_model, self.distortion)

    def rays(self, pixels: Tensor) -> Tensor:
        """Directions (..., 3) in the camera frame with z = 1, seen at pixels (..., 2); NaN as in normalise."""
        normalised = self.normalise(pixels)
        return torch.cat((normalised, torch.ones_like(normalised[..., :1])), dim=-1)

    def back_project(self, pixels: Tensor, depth: Tensor) -> Tensor:
        """Points (..., 3) seen at pixels (..., 2), at depth (...) along z; in the unit of the depth."""
        check_shapes(("pixels", pixels, (2,)), ("depth", depth, ()))
        return self.rays(pixels) * depth[..., None]

    def undistort_points(self, pixels: Tensor) -> Tensor:
        """The pixels (..., 2) at which :meth:`without_distortion` sees what this camera sees at ``pixels``."""
        return self._to_pixels(self.normalise(pixels))

    def _to_pixels(self, normalised: Tensor) -> Tensor:
        x, y = normalised.unbind(-1)
        return torch.stack((x * self.fx + self.cx, y * self.fy + self.cy), dim=-1)


def _finite(name: str, values: Sequence[float], count: int) -> list[float]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (count,):
        got = len(array) if array.ndim == 1 else f"shape {array.shape}"
        raise ValueError(f"{name} must have {count} elements, got {got}")
    numbers = array.tolist()
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{name} must be finite, got {numbers}")
    return numbers


def _check_points(name: str, points: Tensor, size: int) -> None:
    check_shape(name, points, (size,))
    if not points.is_floating_point():
        raise ValueError(f"{name} must be floating point, got {points.dtype}")
