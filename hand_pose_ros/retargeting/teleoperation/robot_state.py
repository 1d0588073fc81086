"""The robot's present joint state, and whether it is known well enough to start from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hand_pose_ros.common.options import Options, option
from hand_pose_ros.common.shapes import Array


@dataclass(frozen=True)
class RobotStateOptions(Options):
    """What is demanded of the robot's joint state."""

    required: bool = option(
        True,
        "Send nothing before the robot's joint state is known, and hold when it is lost. If false, a robot "
        "without joint states is commanded as if it stood at zero: only for robots that report none.",
        read_only=True,
    )
    timeout_s: float = option(
        0.5, "A joint state older than this is unknown, in seconds.", minimum=0.02, maximum=60.0
    )


class RobotState:
    """Positions of the commanded joints, by name, from messages that may hold other joints too."""

    def __init__(
        self,
        joint_names: Sequence[str],
        options: RobotStateOptions,
        reported: Sequence[str] | None = None,
    ) -> None:
        """Know nothing yet.

        Args:
            joint_names: the J commanded joints.
            reported: those of them that the robot reports; all if None. The others count as standing at zero.
        """
        self.options = options
        self._joint_names = tuple(joint_names)
        self._names = self._joint_names if reported is None else tuple(reported)
        self._positions: dict[str, float] = {}
        self._times_s: dict[str, float] = {}
        self._fault = ""

    def update(self, names: Sequence[str], positions_rad: Sequence[float], now_s: float) -> None:
        """A message came at ``now_s`` of a monotonic clock. Joints that are not commanded are left out.

        A message with a position that is not finite, or with fewer positions than names, is not used at all.
        """
        if len(names) != len(positions_rad):
            self._fault = f"the joint state has {len(names)} names and {len(positions_rad)} positions"
            return
        ours = {n: float(p) for n, p in zip(names, positions_rad, strict=True) if n in self._names}
        if unknown := [name for name, position in ours.items() if not np.isfinite(position)]:
            self._fault = f"the joint state of {', '.join(unknown)} is not finite"
            return
        self._fault = ""
        self._positions.update(ours)
        self._times_s.update(dict.fromkeys(ours, now_s))

    def why_unknown(self, now_s: float) -> str:
        """Why the state is not known at ``now_s``; '' if it is."""
        if not self.options.required:
            return ""
        if self._fault:
            return self._fault
        if not self._positions:
            return "the robot's joint state is not known"
        if missing := [name for name in self._names if name not in self._positions]:
            return f"the robot's joint state lacks {', '.join(missing)}"
        age_s = now_s - min(self._times_s[name] for name in self._names)
        if age_s > self.options.timeout_s:
            return f"the robot's joint state is {age_s:.1f} s old"
        return ""

    def positions_rad(self) -> Array:
        """Positions (J,) as known; a joint that is not known stands at zero."""
        return np.array([self._positions.get(name, 0.0) for name in self._joint_names])

    def fresh_rad(self, now_s: float) -> Array:
        """Positions (J,) that are not older than the timeout; NaN of a joint that is not known."""
        oldest_s = now_s - self.options.timeout_s
        return np.array(
            [
                self._positions[name] if self._times_s.get(name, -np.inf) >= oldest_s else np.nan
                for name in self._joint_names
            ]
        )

    @property
    def reported(self) -> Array:
        """(J,) whether each joint is reported."""
        return np.array([name in self._names for name in self._joint_names])
