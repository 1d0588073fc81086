"""The module checks that distortion coefficients are those of a lens, and finds where they stop being one.

A calibration's polynomial is fitted to the points that were seen. Beyond them it may fold back: two rays share one
image point, and nothing can be measured there. Coefficients in another unit or of another model fold, or magnify
beyond any lens, in the middle of the image.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import torch

from hand_pose_ros.camera.distortion import EQUIDISTANT, NONE, Coefficients, distort, max_radius
from hand_pose_ros.camera.model import CameraModel

_SAMPLES: Final = 2048
_WIDEST_ANGLE: Final = math.radians(89.5)
_LEAST_SLOPE: Final = 0.1
"""Least change of the image radius with the ideal one; a polynomial that folds is next to its fold below it."""
_CENTRAL_SHARE: Final = 0.5  # of the shorter half side, which every lens must image
_MOST_PINCUSHION: Final = 2.5  # image radius / ideal radius
_MOST_BARREL: Final = 10.0  # ideal radius / image radius, at the middle of a side
_LARGEST: Final = ((2, 0.1), (3, 0.1), (8, 1.0), (9, 1.0), (10, 1.0), (11, 1.0), (12, 0.5), (13, 0.5))
"""Largest tangential and prism coefficients and tilts (radians) of a lens, by their index."""
_FOCAL_WIDTHS: Final = (0.02, 200.0)  # focal length in widths of the image
_MOST_ASPECT: Final = 5.0  # of the two focal lengths


def check_lens(camera: CameraModel) -> str:
    """Check a camera's matrix and distortion; returns a warning, or '' where nothing is odd.

    Warned of: a principal point outside the image, and a distortion that does not cover the whole image.

    Raises:
        ValueError: no camera has such focal lengths, or no lens such coefficients: they fold back near the middle
            of the image, or magnify beyond reason. The message says from which radius.
    """
    _check_matrix(camera)
    return "; ".join(filter(None, (_principal_point_warning(camera), _distortion_warning(camera))))


def _principal_point_warning(camera: CameraModel) -> str:
    if 0 < camera.cx < camera.width and 0 < camera.cy < camera.height:
        return ""
    return (
        f"the principal point ({camera.cx:.4g}, {camera.cy:.4g}) lies outside the image of "
        f"{camera.width}x{camera.height}: hands are measured in a wrong direction unless the image is a part of a "
        "larger one that leaves out its middle"
    )


def _distortion_warning(camera: CameraModel) -> str:
    """'' if the model covers the whole image; raises as :func:`check_lens`."""
    if camera.distortion_model == NONE:
        return ""
    for index, largest in _LARGEST if camera.distortion_model != EQUIDISTANT else ():
        if index < len(camera.distortion) and abs(camera.distortion[index]) > largest:
            raise ValueError(
                f"no lens has the distortion coefficients {_short(camera.distortion)} "
                f"({camera.distortion_model}): number {index + 1} is larger than {largest:g}; are their unit and "
                "order OpenCV's?"
            )
    reach_px = coverage_px(camera)
    shorter_px = min(camera.width, camera.height) / 2
    if reach_px < _CENTRAL_SHARE * shorter_px:
        raise ValueError(
            f"no lens has the distortion coefficients {_short(camera.distortion)} ({camera.distortion_model}): "
            f"they fold back {reach_px:.0f} pixels from the image's centre; are their unit and order OpenCV's?"
        )
    if camera.distortion_model != EQUIDISTANT:  # an ideal lens sees no ray at 90 degrees, a fisheye does
        _check_magnification(camera, min(shorter_px, reach_px))
    if math.isfinite(reach_px) and reach_px < _corner_px(camera):
        return (
            f"the distortion ({camera.distortion_model}) folds back {reach_px:.0f} pixels from the image's centre:"
            " the calibration does not cover the image beyond that radius, and hands there cannot be measured"
        )
    return ""


def coverage_px(camera: CameraModel) -> float:
    """Radius around the principal point, pixels, within which every pixel has one ray; infinite without a fold."""
    return _image_reach(camera.distortion_model, camera.distortion) * min(camera.fx, camera.fy)


def covers(camera: CameraModel, pixels: torch.Tensor) -> torch.Tensor:
    """Whether the calibration says from where each pixel (..., 2) is seen, (...) bool."""
    ray = camera.normalise(pixels.double())
    seen = ray.isfinite().all(-1)
    if camera.distortion_model == EQUIDISTANT:
        return seen
    reach = _ideal_reach(camera.distortion_model, camera.distortion)
    return seen & (torch.where(seen[..., None], ray, torch.zeros_like(ray)).norm(dim=-1) <= reach)


@lru_cache(maxsize=64)
def _ideal_reach(model: str, coefficients: Coefficients) -> float:
    """Ideal radius up to which the radial part is not close to its fold; infinite if it has none."""
    fold = max_radius(model, coefficients)
    if fold == math.inf:
        return math.inf
    widest = min(math.atan(fold), _WIDEST_ANGLE)
    radii = torch.tan(torch.linspace(0, widest, _SAMPLES, dtype=torch.float64)[:-1])
    images = distort(torch.stack((radii, torch.zeros_like(radii)), dim=-1), model, coefficients)[:, 0]
    if model == EQUIDISTANT:
        return float(radii[-1])
    slopes = images.diff() / radii.diff()
    bent = torch.nonzero(~(slopes >= _LEAST_SLOPE))
    return float(radii[int(bent[0])] if len(bent) else radii[-1])


@lru_cache(maxsize=64)
def _image_reach(model: str, coefficients: Coefficients) -> float:
    """The image radius of :func:`_ideal_reach`, in focal lengths."""
    reach = _ideal_reach(model, coefficients)
    if not math.isfinite(reach):
        return math.inf
    image = distort(torch.tensor((reach * (1 - 1e-9), 0.0), dtype=torch.float64), model, coefficients)
    return float(image.norm())


def _check_magnification(camera: CameraModel, radius_px: float) -> None:
    image = 0.99 * radius_px / min(camera.fx, camera.fy)
    ideal = float(camera.normalise(_along_x(camera, image)).norm())
    if not math.isfinite(ideal):
        return  # tangential terms reach the fold a little earlier
    if not ideal or image > _MOST_PINCUSHION * ideal or ideal > _MOST_BARREL * image:
        raise ValueError(
            f"no lens has the distortion coefficients {_short(camera.distortion)} ({camera.distortion_model}): "
            f"{radius_px:.0f} pixels from the image's centre they scale the image by "
            f"{image / max(ideal, 1e-9):.2g}; are their unit and order OpenCV's?"
        )


def _check_matrix(camera: CameraModel) -> None:
    """Raise ValueError for focal lengths that no camera has."""
    low, high = _FOCAL_WIDTHS
    if not (
        low < camera.fx / camera.width < high and 1 / _MOST_ASPECT < camera.fx / camera.fy < _MOST_ASPECT
    ):
        raise ValueError(
            f"no camera has the focal lengths {camera.fx:.4g} and {camera.fy:.4g} pixels for an image of "
            f"{camera.width}x{camera.height}; are they in pixels?"
        )


def _along_x(camera: CameraModel, radius: float) -> torch.Tensor:
    return torch.tensor((camera.cx + radius * camera.fx, camera.cy), dtype=torch.float64)


def _corner_px(camera: CameraModel) -> float:
    return math.hypot(
        max(camera.cx, camera.width - 1 - camera.cx), max(camera.cy, camera.height - 1 - camera.cy)
    )


def _short(values: Coefficients) -> str:
    return "(" + ", ".join(f"{value:.4g}" for value in values) + ")"
