"""Lens distortion in normalised image coordinates: the models that CameraInfo names, both ways, in torch.

``plumb_bob`` (k1, k2, p1, p2, k3) and ``rational_polynomial`` (... k3, k4, k5, k6, and optionally s1 .. s4 of a
thin prism and the tilts tau_x, tau_y of the sensor) are OpenCV's default model, ``equidistant`` (k1 .. k4) is its
fisheye model, and '' means no distortion. A polynomial folds back beyond some radius, where two rays share one
image point; beyond it both directions give NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
import torch
from torch import Tensor

NONE: Final = ""
PLUMB_BOB: Final = "plumb_bob"
RATIONAL_POLYNOMIAL: Final = "rational_polynomial"
EQUIDISTANT: Final = "equidistant"
MODELS: Final = (NONE, PLUMB_BOB, RATIONAL_POLYNOMIAL, EQUIDISTANT)
_NAMES: Final = {
    "": NONE,
    "none": NONE,
    "no": NONE,
    "null": NONE,
    "pinhole": NONE,
    "perspective": NONE,
    "undistorted": NONE,
    "rectified": NONE,
    "plumb_bob": PLUMB_BOB,
    "radtan": PLUMB_BOB,
    "radial_tangential": PLUMB_BOB,
    "brown_conrady": PLUMB_BOB,
    "rational_polynomial": RATIONAL_POLYNOMIAL,
    "rational": RATIONAL_POLYNOMIAL,
    "thin_prism": RATIONAL_POLYNOMIAL,
    "tilted": RATIONAL_POLYNOMIAL,
    "equidistant": EQUIDISTANT,
    "equi": EQUIDISTANT,
    "fisheye": EQUIDISTANT,
    "kannala_brandt": EQUIDISTANT,
    "kannala_brandt4": EQUIDISTANT,
    "kannalabrandt": EQUIDISTANT,
    "kannalabrandt8": EQUIDISTANT,
}
"""Names of the models, in lower case with underscores, as drivers and calibration tools write them."""
_POLYNOMIAL_COUNTS: Final = (4, 5, 8, 12, 14)
_EQUIDISTANT_COUNT: Final = 4
_CACHED_LENSES: Final = 64

_MAX_ITERATIONS: Final = 20
_MIN_SLOPE: Final = 1e-6
_PROFILE_SAMPLES: Final = 512
_RADIAL: Final = (0, 1, 4, 5, 6, 7)  # of the coefficients
_WIDEST_ANGLE: Final = math.radians(89.5)  # from the optical axis, of the rays that the inverse can find

Coefficients = tuple[float, ...]


def check_coefficients(model: str, coefficients: Sequence[float]) -> tuple[str, Coefficients]:
    """The model and its full set of coefficients, or ('', ()) without distortion.

    Coefficients that are absent or all zero mean no distortion, whatever the model's name, except for equidistant,
    whose zeros are a fisheye lens. The number of coefficients selects the terms, as in OpenCV: a plumb_bob with 8
    is a rational_polynomial, and zeros beyond a model's own are ignored.

    Raises:
        ValueError: the model is unknown, or a coefficient is missing, too many, or not finite.
    """
    array = np.asarray(coefficients, dtype=np.float64)
    if array.ndim != 1:
        raise ValueError(f"distortion coefficients must be one row of numbers, got shape {array.shape}")
    values = tuple(array.tolist())
    if not all(math.isfinite(value) for value in values):
        raise ValueError(f"distortion coefficients must be finite, got {_short(values)}")
    known = _NAMES.get(_plain(model))
    if not values or (known != EQUIDISTANT and not any(values)):
        return NONE, ()
    if known is None:
        raise ValueError(f"unknown distortion model {_short(model)!r}; expected one of {MODELS}")
    if known == NONE:
        raise ValueError(
            f"distortion model {model!r} takes no coefficients, got {len(values)}: {_short(values)}"
        )
    counts = (_EQUIDISTANT_COUNT,) if known == EQUIDISTANT else _POLYNOMIAL_COUNTS
    needed = max((index + 1 for index, value in enumerate(values) if value), default=0)
    fitting = [count for count in counts if count >= needed]
    if len(values) < min(counts) or not fitting:
        expected = ", ".join(map(str, counts))
        raise ValueError(
            f"distortion model {model!r} takes {expected} coefficients, got {len(values)}: {_short(values)}"
        )
    count = max(fitting[0], 8 if known == RATIONAL_POLYNOMIAL else 5 if known == PLUMB_BOB else 4)
    if known == PLUMB_BOB and count > 5:
        known = RATIONAL_POLYNOMIAL
    return known, (*values, *[0.0] * count)[:count]


def distortion_model_named(name: str) -> str:
    """The model with coefficients that a name means, one of ``MODELS``; '' for other names."""
    return _NAMES.get(_plain(name), NONE)


def _plain(name: object) -> str:
    return "_".join(str(name)[:100].lower().replace("-", " ").replace("_", " ").split())


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def distort(points: Tensor, model: str, coefficients: Coefficients) -> Tensor:
    """Distorted image points of the ideal points (..., 2) = (x/z, y/z); NaN beyond the radius of the fold."""
    if model == NONE:
        return points
    radius = max_radius(model, coefficients)
    valid = points.square().sum(-1, keepdim=True) <= radius * radius
    safe = torch.where(valid, points, torch.zeros_like(points))
    distorted = _equidistant(safe, coefficients) if model == EQUIDISTANT else _tilted(safe, coefficients)
    return torch.where(valid, distorted, torch.full_like(distorted, torch.nan))


def undistort(points: Tensor, model: str, coefficients: Coefficients) -> Tensor:
    """The ideal points (..., 2) whose distorted images are ``points`` (..., 2): the inverse of :func:`distort`.

    NaN beyond the fold of the lens, so every number returned is a true inverse.
    """
    if model == NONE:
        return points
    finite = points.isfinite().all(-1, keepdim=True)
    safe = torch.where(finite, points, torch.zeros_like(points))
    ideal = (_undo_equidistant if model == EQUIDISTANT else _undo_brown)(safe, model, coefficients)
    return torch.where(finite, ideal, torch.full_like(ideal, torch.nan))


@lru_cache(maxsize=_CACHED_LENSES)
def max_radius(model: str, coefficients: Coefficients) -> float:
    """Ideal radius sqrt(x^2 + y^2) up to which the radial part of the model is increasing; may be infinite."""
    if model == NONE:
        return math.inf
    if model == EQUIDISTANT:
        angle = _max_angle(coefficients)
        return math.tan(angle) if angle < math.pi / 2 else math.inf
    k1, k2, _, _, k3, *denominator = _as_rational(coefficients)[:8]
    top = np.polynomial.Polynomial((1, k1, k2, k3))  # in s = r^2
    bottom = np.polynomial.Polynomial((1, *denominator))
    s = np.polynomial.Polynomial((0, 1))
    slope = top * bottom + 2 * s * (top.deriv() * bottom - top * bottom.deriv())
    return math.sqrt(min(_first_positive_root(slope), _first_positive_root(bottom)))


def _max_angle(coefficients: Coefficients) -> float:
    """Angle from the optical axis up to which the equidistant model is increasing, at most pi / 2."""
    k1, k2, k3, k4 = coefficients
    slope = np.polynomial.Polynomial((1, 3 * k1, 5 * k2, 7 * k3, 9 * k4))  # in s = theta^2
    return min(math.sqrt(_first_positive_root(slope)), math.pi / 2)


@lru_cache(maxsize=_CACHED_LENSES)
def _radial_profile(model: str, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
    """Angles from the axis, and the increasing radii at which the radial part of the lens images them."""
    widest = min(math.atan(max_radius(model, coefficients)), _WIDEST_ANGLE)
    with torch.inference_mode(False):
        angles = torch.linspace(0, widest, _PROFILE_SAMPLES + 1, dtype=torch.float64)[:-1]
        if model == EQUIDISTANT:
            return angles, _equidistant_radius(angles, coefficients)[0]
        radial_only = tuple(value if index in _RADIAL else 0.0 for index, value in enumerate(coefficients))
        on_x_axis = torch.stack((torch.tan(angles), torch.zeros_like(angles)), dim=-1)
        return angles, _brown(on_x_axis, radial_only)[:, 0].contiguous()


def _first_angle(radius: Tensor, model: str, coefficients: Coefficients) -> Tensor:
    """Angle from the axis (...) at which the lens images a distorted radius (...), interpolated in its profile.

    It starts the inverses next to their solution, on the near side of any fold.
    """
    angles, radii = (values.to(radius) for values in _radial_profile(model, coefficients))
    after = torch.searchsorted(radii, radius).clamp(1, len(radii) - 1)
    fraction = ((radius - radii[after - 1]) / (radii[after] - radii[after - 1])).clamp(0, 1)
    return torch.lerp(angles[after - 1], angles[after], fraction)


def _first_positive_root(polynomial: np.polynomial.Polynomial) -> float:
    roots = polynomial.trim().roots()
    real = roots[np.abs(roots.imag) < 1e-9 * (1 + np.abs(roots.real))].real
    return float(min(real[real > 0], default=math.inf))


def _as_rational(coefficients: Coefficients) -> Coefficients:
    """(k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4) of either polynomial model, without the tilts."""
    return (*coefficients[:12], *[0.0] * 12)[:12]


def _tilt(coefficients: Coefficients, like: Tensor) -> Tensor | None:
    """Homography (3, 3) of a tilted sensor (OpenCV's computeTiltProjectionMatrix); None for a straight one."""
    tau_x, tau_y = (*coefficients[12:], 0.0, 0.0)[:2]
    if not (tau_x or tau_y):
        return None
    cos_x, sin_x, cos_y, sin_y = math.cos(tau_x), math.sin(tau_x), math.cos(tau_y), math.sin(tau_y)
    about_x = np.array(((1, 0, 0), (0, cos_x, sin_x), (0, -sin_x, cos_x)))
    about_y = np.array(((cos_y, 0, -sin_y), (0, 1, 0), (sin_y, 0, cos_y)))
    rotation = about_y @ about_x
    projection = np.array(
        ((rotation[2, 2], 0, -rotation[0, 2]), (0, rotation[2, 2], -rotation[1, 2]), (0, 0, 1))
    )
    return torch.as_tensor(projection @ rotation, dtype=like.dtype, device=like.device)


def _transform(points: Tensor, homography: Tensor) -> Tensor:
    """Points (..., 2) through a homography (3, 3); NaN behind it."""
    moved = torch.cat((points, torch.ones_like(points[..., :1])), dim=-1) @ homography.mT
    depth = moved[..., 2:]
    return torch.where(depth > 0, moved[..., :2] / depth, torch.full_like(points, torch.nan))


def _tilted(points: Tensor, coefficients: Coefficients) -> Tensor:
    """The polynomial model on a sensor that may be tilted."""
    distorted, tilt = _brown(points, coefficients), _tilt(coefficients, points)
    return distorted if tilt is None else _transform(distorted, tilt)


def _brown(points: Tensor, coefficients: Coefficients) -> Tensor:
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = _as_rational(coefficients)
    x, y = points.unbind(-1)
    s = x * x + y * y
    radial = 1 + s * (k1 + s * (k2 + s * k3))
    if k4 or k5 or k6:
        radial = radial / (1 + s * (k4 + s * (k5 + s * k6)))
    cross = 2 * x * y
    return torch.stack(
        (
            x * radial + p1 * cross + p2 * (s + 2 * x * x) + s * (s1 + s * s2),
            y * radial + p2 * cross + p1 * (s + 2 * y * y) + s * (s3 + s * s4),
        ),
        dim=-1,
    )


def _brown_jacobian(points: Tensor, coefficients: Coefficients) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The Jacobian of :func:`_brown` as (dx/dx, dx/dy, dy/dx, dy/dy), each (...)."""
    k1, k2, p1, p2, k3, k4, k5, k6, s1, s2, s3, s4 = _as_rational(coefficients)
    x, y = points.unbind(-1)
    s = x * x + y * y
    top, top_slope = 1 + s * (k1 + s * (k2 + s * k3)), k1 + s * (2 * k2 + s * 3 * k3)
    bottom, bottom_slope = 1 + s * (k4 + s * (k5 + s * k6)), k4 + s * (2 * k5 + s * 3 * k6)
    radial = top / bottom
    slope = 2 * (top_slope - radial * bottom_slope) / bottom
    cross = slope * x * y + 2 * p1 * x + 2 * p2 * y
    prism_x, prism_y = 2 * (s1 + 2 * s2 * s), 2 * (s3 + 2 * s4 * s)
    return (
        radial + slope * x * x + 2 * p1 * y + 6 * p2 * x + prism_x * x,
        cross + prism_x * y,
        cross + prism_y * x,
        radial + slope * y * y + 6 * p1 * y + 2 * p2 * x + prism_y * y,
    )


def _undo_brown(points: Tensor, model: str, coefficients: Coefficients) -> Tensor:
    """Newton's method on both coordinates, held inside the radius where the lens does not fold."""
    tilt = _tilt(coefficients, points)
    if tilt is not None:
        points = _transform(points, torch.linalg.inv(tilt.double()).to(tilt))
    limit = max_radius(model, coefficients)
    target = points.detach()
    tolerance = _tolerance(target)
    radius = target.norm(dim=-1)
    start = torch.tan(_first_angle(radius, model, coefficients)) / radius.clamp(
        min=torch.finfo(radius.dtype).tiny
    )
    ideal = target * torch.where(radius > tolerance, start, torch.ones_like(start))[..., None]
    for _ in range(_MAX_ITERATIONS):
        residual = _brown(ideal, coefficients) - target
        if not bool((residual.abs() > tolerance).any()):
            break
        ideal = _within(ideal - _solve(_brown_jacobian(ideal, coefficients), residual)[0], limit)
    residual = _brown(ideal, coefficients) - target
    # To first order a change of the image point moves the ideal one by the inverse Jacobian: the exact
    # derivative, without unrolling the iteration. The residual's own step polishes the last digits.
    step, determinant = _solve(_brown_jacobian(ideal, coefficients), residual + target - points)
    valid = (residual.abs() <= tolerance).all(-1) & (determinant > 0)
    return torch.where(valid[..., None], ideal - step, torch.full_like(ideal, torch.nan))


def _solve(jacobian: tuple[Tensor, Tensor, Tensor, Tensor], right: Tensor) -> tuple[Tensor, Tensor]:
    """Solve the 2x2 systems for ``right`` (..., 2); also the determinants (...)."""
    xx, xy, yx, yy = jacobian
    determinant = xx * yy - xy * yx
    tiny = torch.finfo(right.dtype).eps
    safe = torch.where(determinant.abs() < tiny, torch.full_like(determinant, tiny), determinant)
    x, y = right.unbind(-1)
    return torch.stack((yy * x - xy * y, xx * y - yx * x), dim=-1) / safe[..., None], determinant


def _within(points: Tensor, radius: float) -> Tensor:
    if radius == math.inf:
        return points
    return points * (radius / points.norm(dim=-1, keepdim=True).clamp(min=1e-12)).clamp(max=1.0)


def _equidistant(points: Tensor, coefficients: Coefficients) -> Tensor:
    squared = points.square().sum(-1, keepdim=True)
    near = squared < torch.finfo(points.dtype).eps ** 2
    radius = torch.where(near, torch.ones_like(squared), squared).sqrt()
    scale = _equidistant_radius(torch.atan(radius), coefficients)[0] / radius
    return points * torch.where(near, torch.ones_like(scale), scale)


def _equidistant_radius(angle: Tensor, coefficients: Coefficients) -> tuple[Tensor, Tensor]:
    """Distorted radius and its derivative with respect to the angle from the optical axis, radians."""
    k1, k2, k3, k4 = coefficients
    s = angle * angle
    radius = angle * (1 + s * (k1 + s * (k2 + s * (k3 + s * k4))))
    return radius, 1 + s * (3 * k1 + s * (5 * k2 + s * (7 * k3 + s * 9 * k4)))


def _undo_equidistant(points: Tensor, model: str, coefficients: Coefficients) -> Tensor:
    """Newton's method on the angle; points 90 degrees or more off the axis give NaN."""
    squared = points.square().sum(-1, keepdim=True)
    near = squared < torch.finfo(points.dtype).eps ** 2
    radius = torch.where(near, torch.ones_like(squared), squared).sqrt()
    target = radius.detach()
    tolerance = _tolerance(target)
    limit = _max_angle(coefficients)
    angle = _first_angle(target, model, coefficients)
    for _ in range(_MAX_ITERATIONS):
        image, slope = _equidistant_radius(angle, coefficients)
        if not bool(((image - target).abs() > tolerance).any()):
            break
        angle = (angle - (image - target) / slope.clamp(min=_MIN_SLOPE)).clamp(0, limit)
    image, slope = _equidistant_radius(angle, coefficients)
    # As above: one more step carries the exact derivative.
    polished = angle - (image - radius) / slope.clamp(min=_MIN_SLOPE)
    valid = ((image - target).abs() <= tolerance) & (slope > 0) & (polished < math.pi / 2)
    scale = torch.tan(torch.where(valid, polished, torch.ones_like(polished))) / radius
    scale = torch.where(near, torch.ones_like(scale), scale)
    return torch.where(valid | near, points * scale, torch.full_like(points, torch.nan))


def _tolerance(target: Tensor) -> float:
    """Largest residual, in normalised coordinates, of a converged inverse: 2e-12 in float64, 6e-6 in float32."""
    return torch.finfo(target.dtype).eps ** 0.75
