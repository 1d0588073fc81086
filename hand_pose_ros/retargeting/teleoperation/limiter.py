"""The limiter moves a robot hand's command towards a target within position, velocity and acceleration limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hand_pose_ros.common.shapes import Array

_REST_RAD_S: Final = 1e-4
"""Speed below which a joint counts as at rest."""
_SHORTEST_STEP_S: Final = 1e-6
_FAR_RAD: Final = 1e9
"""Stands for an infinite distance, from where the speed does not depend on it."""


@dataclass(frozen=True, eq=False)
class JointLimits:
    """Limits of J commanded joints, each an array (J,).

    lower_rad, upper_rad: position; infinite for a continuous joint. velocity_rad_s, acceleration_rad_s2: largest
    absolute values, positive and finite.

    Raises:
        ValueError: shapes differ, a lower limit exceeds the upper, or a rate is not positive and finite.
    """

    lower_rad: Array
    upper_rad: Array
    velocity_rad_s: Array
    acceleration_rad_s2: Array

    def __post_init__(self) -> None:
        shape = np.shape(self.lower_rad)
        for name in ("lower_rad", "upper_rad", "velocity_rad_s", "acceleration_rad_s2"):
            values = np.array(getattr(self, name), np.float64)
            if values.shape != shape or values.ndim != 1:
                raise ValueError(f"{name} must have shape {shape}, got {values.shape}")
            object.__setattr__(self, name, values)
        if not (self.lower_rad <= self.upper_rad).all():
            raise ValueError("lower_rad must not exceed upper_rad")
        for name in ("velocity_rad_s", "acceleration_rad_s2"):
            values = getattr(self, name)
            if not (np.isfinite(values) & (values > 0)).all():
                raise ValueError(f"{name} must be positive and finite")

    def clamped(self, positions_rad: Array) -> Array:
        """Positions (J,) moved into the position limits."""
        return np.clip(positions_rad, self.lower_rad, self.upper_rad)


class CommandLimiter:
    """The newest command of J joints, with its velocity.

    A step keeps the invariant that each joint can stop before its position limit with its acceleration limit:
    ``v <= sqrt(2 a d)`` for the distance d to the limit. The largest speed after which the invariant still holds
    solves ``v dt + v^2 / (2 a) = d``; :meth:`_stoppable_speed` is its positive root. The same speed towards the
    target arrives there without overshoot.
    """

    def __init__(self, limits: JointLimits) -> None:
        self.limits = limits
        self._positions: Array = limits.clamped(np.zeros(len(limits.lower_rad)))
        self._velocities: Array = np.zeros_like(self._positions)

    @property
    def positions_rad(self) -> Array:
        """The newest command (J,)."""
        return self._positions.copy()

    @property
    def at_rest(self) -> bool:
        """Whether no joint moves."""
        return bool((np.abs(self._velocities) < _REST_RAD_S).all())

    @property
    def stopping_point_rad(self) -> Array:
        """Where the joints (J,) come to rest if they brake now, within the position limits."""
        braking = self._velocities * np.abs(self._velocities) / (2 * self.limits.acceleration_rad_s2)
        return self.limits.clamped(self._positions + braking)

    def reset(self, positions_rad: Array) -> None:
        """Start at rest from positions (J,), moved into the limits.

        Raises:
            ValueError: a position is not finite, or the shape is wrong.
        """
        positions = np.array(positions_rad, np.float64)
        if positions.shape != self._positions.shape or not np.isfinite(positions).all():
            raise ValueError(f"positions must be {len(self._positions)} finite numbers, got {positions}")
        self._positions = self.limits.clamped(positions)
        self.halt()

    def halt(self) -> None:
        """Stop at once at the newest command, without regard to the acceleration limit."""
        self._velocities = np.zeros_like(self._positions)

    def step(self, target_rad: Array, dt_s: float, speed: float = 1.0) -> Array:
        """The command (J,) after ``dt_s`` seconds on the way to ``target_rad`` (J,).

        A joint whose target is not finite brakes. A ``dt_s`` below a microsecond, or not finite, changes nothing.

        Args:
            target_rad: may lie outside the limits.
            speed: fraction of the velocity limits to move at, in (0, 1]; a joint that is faster brakes.
        """
        if not _SHORTEST_STEP_S <= dt_s < np.inf:
            return self.positions_rad
        limits = self.limits
        fastest, change = limits.velocity_rad_s, limits.acceleration_rad_s2 * dt_s
        target = np.where(np.isfinite(target_rad), target_rad, self.stopping_point_rad)
        distance = limits.clamped(target) - self._positions
        wanted = np.sign(distance) * self._stoppable_speed(np.abs(distance), dt_s)
        wanted = np.clip(wanted, -speed * fastest, speed * fastest)
        velocities = np.clip(wanted, self._velocities - change, self._velocities + change)
        velocities = np.clip(
            velocities,
            -self._stoppable_speed(self._positions - limits.lower_rad, dt_s),
            self._stoppable_speed(limits.upper_rad - self._positions, dt_s),
        )
        self._velocities = np.clip(velocities, -fastest, fastest)
        # Only rounding is left for this clamp.
        self._positions = limits.clamped(self._positions + self._velocities * dt_s)
        return self.positions_rad

    def _stoppable_speed(self, distance: Array, dt_s: float) -> Array:
        """The largest speed (J,) for one step after which a joint can stop within ``distance`` (J,) >= 0.

        The root of ``v dt + v^2 / (2 a) = d`` in a form without cancellation for small distances.
        """
        acceleration = self.limits.acceleration_rad_s2
        change = acceleration * dt_s
        distance = np.clip(distance, 0.0, _FAR_RAD)
        return 2 * acceleration * distance / (change + np.sqrt(change**2 + 2 * acceleration * distance))
