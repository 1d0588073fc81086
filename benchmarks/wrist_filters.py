"""Filters of the wrist's position side by side on made-up reaches: error, jitter and lag of each.

``python -m benchmarks.wrist_filters``. The one-euro filter is here because it was measured against the Kalman
filter that the package uses, and lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from hand_pose_ros.estimator.wrist_kalman import WristKalman

RATE_HZ = 30.0
ROW = "{:<34} {:>10} {:>14} {:>12}"
Filter = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def reaches(generator: np.random.Generator, seconds: float = 8.0) -> np.ndarray:
    """(frames, 3) wrist positions, metres: minimum-jerk reaches of 0.3 to 1 s before the camera, with holds."""
    count = round(seconds * RATE_HZ)
    path = np.empty((0, 3))
    here = _target(generator)
    while len(path) < count:
        there = _target(generator)
        share = np.linspace(0, 1, round(generator.uniform(0.3, 1.0) * RATE_HZ))[:, None]
        moved = here + (share**3 * (10 - 15 * share + 6 * share**2)) * (there - here)
        hold = np.repeat(there[None], round(generator.uniform(0, 0.7) * RATE_HZ), axis=0)
        path, here = np.concatenate((path, moved, hold)), there
    return path[:count]


def _target(generator: np.random.Generator) -> np.ndarray:
    depth = generator.uniform(0.35, 0.75)
    return depth * np.append(generator.uniform(-0.45, 0.45, 2) * (1, 0.7), 1)


def measured(
    truth: np.ndarray, generator: np.random.Generator, along: float, across: float
) -> tuple[np.ndarray, np.ndarray]:
    """Positions (frames, 3) with noise along and across the ray, shares of the distance; covariances."""
    squared = (truth**2).sum(axis=1)[:, None, None]
    outer = truth[:, :, None] * truth[:, None]
    covariance = across**2 * squared * np.eye(3) + (along**2 - across**2) * outer
    noise = np.linalg.cholesky(covariance) @ generator.normal(size=(len(truth), 3, 1))
    return truth + noise[..., 0], covariance


def raw(positions: np.ndarray, covariances: np.ndarray, stamps_s: np.ndarray) -> np.ndarray:
    """No filter."""
    return positions


def kalman(positions: np.ndarray, covariances: np.ndarray, stamps_s: np.ndarray) -> np.ndarray:
    """The package's, with the covariances as they are reported."""
    filtered = WristKalman(positions[0], covariances[0])
    rest = zip(positions[1:], covariances[1:], np.diff(stamps_s), strict=True)
    return np.stack([positions[0]] + [filtered.update(*one) for one in rest])


def kalman_typical(positions: np.ndarray, covariances: np.ndarray, stamps_s: np.ndarray) -> np.ndarray:
    """The package's, without covariances, which is what inverse kinematics gives."""
    return kalman(positions, np.full_like(covariances, np.nan), stamps_s)


def one_euro(min_cutoff_hz: float, beta: float) -> Filter:
    """Casiez et al. 2012, on (x / z, y / z, log z), whose noise is alike at every distance."""

    def run(positions: np.ndarray, covariances: np.ndarray, stamps_s: np.ndarray) -> np.ndarray:
        values = np.column_stack((positions[:, :2] / positions[:, 2:], np.log(positions[:, 2])))
        result, last, speed = [values[0]], values[0], np.zeros(3)
        for value, previous, passed_s in zip(values[1:], values, np.diff(stamps_s), strict=False):
            speed = speed + _share(1.0, passed_s) * ((value - previous) / passed_s - speed)
            last = last + _share(min_cutoff_hz + beta * np.abs(speed), passed_s) * (value - last)
            result.append(last)
        rays, depth = np.array(result)[:, :2], np.exp(np.array(result)[:, 2:])
        return np.concatenate((rays * depth, depth), axis=1)

    return run


def _share(cutoff_hz: float | np.ndarray, passed_s: float) -> float | np.ndarray:
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz * passed_s))


FILTERS: dict[str, Filter] = {
    "no filter": raw,
    "Kalman, reported covariance": kalman,
    "Kalman, typical covariance": kalman_typical,
    "one-euro, 1 Hz, beta 12": one_euro(1.0, 12.0),
    "one-euro, 1 Hz, beta 25": one_euro(1.0, 25.0),
    "one-euro, 4 Hz, beta 40": one_euro(4.0, 40.0),
}


def lag_frames(estimate: np.ndarray, truth: np.ndarray) -> float:
    """By how many frames the estimate (frames, 3) is late: the shift at which its velocity fits best."""
    moves, goal = (np.gradient(one, axis=0) for one in (estimate, truth))
    shifts = np.arange(-3, 6)
    inner = slice(6, len(goal) - 6)
    fit = np.array([(np.roll(moves, -shift, axis=0)[inner] * goal[inner]).sum() for shift in shifts])
    best = int(np.clip(fit.argmax(), 1, len(shifts) - 2))
    before, peak, after = fit[best - 1 : best + 2]
    return float(shifts[best] + 0.5 * (before - after) / (before - 2 * peak + after))


def jitter_m_s2(estimate: np.ndarray, truth: np.ndarray, rate_hz: float = RATE_HZ) -> float:
    """Mean error of the acceleration, metres per second squared."""
    return float(np.linalg.norm(np.diff(estimate - truth, n=2, axis=0), axis=1).mean() * rate_hz**2)


def rows(along: float, across: float, sequences: int = 20) -> list[tuple[str, float, float, float]]:
    """(name, error mm, jitter m/s^2, lag in frames) of every filter over made-up sequences."""
    collected: dict[str, list[tuple[float, ...]]] = {name: [] for name in FILTERS}
    for seed in range(sequences):
        generator = np.random.default_rng(seed)
        truth = reaches(generator)
        positions, covariances = measured(truth, generator, along, across)
        stamps = np.arange(len(truth)) / RATE_HZ
        for name, function in FILTERS.items():
            estimate = function(positions, covariances, stamps)
            error = 1e3 * np.sqrt(((estimate - truth) ** 2).sum(axis=1).mean())
            collected[name].append((error, jitter_m_s2(estimate, truth), lag_frames(estimate, truth)))
    return [(name, *np.mean(values, axis=0)) for name, values in collected.items()]


def main() -> None:
    for along, across in ((0.012, 0.003), (0.03, 0.004)):
        print(f"noise {100 * along:g} % of the distance along the ray, {100 * across:g} % across")
        print(ROW.format("", "error mm", "jitter m/s^2", "lag frames"))
        for name, error, jitter, lag in rows(along, across):
            print(ROW.format(name, f"{error:.1f}", f"{jitter:.1f}", f"{lag:+.2f}"))


if __name__ == "__main__":
    main()
