"""The robot's present joint state, and whether it is known well enough to start from."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from hand_pose_ros.common.options import Options, option
from hand_pose_ros.common.shapes import Array

_SETTLED_S: Final = 1.0
"""After a jump the state is known again when no joint has jumped for this time."""
_LATE_S: Final = 0.5
"""Time by which the robot may follow its commands late."""


@dataclass(frozen=True)
class RobotStateOptions(Options):
    """Requirements on the robot's joint state."""

    required: bool = option(
        True,
        "Send nothing before the robot's joint state is known, and hold when it is lost. If false, a robot "
        "without joint states is commanded as if it stood at zero: only for robots that report none.",
        read_only=True,
    )
    timeout_s: float = option(
        0.5, "A joint state older than this is unknown, in seconds.", minimum=0.02, maximum=60.0
    )
    max_jump_rad: float = option(
        0.3,
        "Largest distance of a joint from the range of its last position and its newest commands, in rad. Beyond "
        "it the joint has jumped, as when the driver restarts: the robot holds and gets no more commands.",
        minimum=0.01,
        maximum=100.0,
    )


class RobotState:
    """Positions of the commanded joints, by name, from messages that may hold other joints too.

    A robot that follows its commands, up to half a second late, stays between where it was and where the commands
    were since, however fast it is and however many messages are lost. What leaves that range at once did not
    follow them: the driver has restarted, or the measurement is wrong.
    """

    def __init__(
        self,
        joint_names: Sequence[str],
        options: RobotStateOptions,
        reported: Sequence[str] | None = None,
        turning: Sequence[str] = (),
    ) -> None:
        """Know nothing yet.

        Args:
            joint_names: the J commanded joints.
            reported: those of them that the robot reports; all if None. The others count as standing at zero.
            turning: joints that turn all round, whose position may go on at the other end of the turn.
        """
        self.options = options
        self._joint_names = tuple(joint_names)
        self._names = self._joint_names if reported is None else tuple(reported)
        self._positions: dict[str, float] = {}
        self._times_s: dict[str, float] = {}
        self._fault = ""
        self._not_finite: dict[str, None] = {}  # a set in order
        self._turning = frozenset(turning)
        self._commands: deque[tuple[float, Array]] = deque()
        self._jump = ""
        self._jumped_s = -math.inf

    def commanded(self, positions_rad: Array, now_s: float) -> None:
        """A command (J,) was sent at ``now_s``."""
        self._commands.append((now_s, positions_rad))
        while now_s - self._commands[0][0] > self.options.timeout_s + _LATE_S:
            self._commands.popleft()

    def update(self, names: Sequence[str], positions_rad: Sequence[float], now_s: float) -> None:
        """A message came at ``now_s`` of a monotonic clock. Joints that are not commanded are left out.

        A message with a position that is not finite, or with fewer positions than names, is not used at all.
        """
        if len(names) != len(positions_rad):
            self._fault = f"the joint state has {len(names)} names and {len(positions_rad)} positions"
            return
        ours = {n: float(p) for n, p in zip(names, positions_rad, strict=True) if n in self._names}
        self._fault = ""
        if unknown := [name for name, position in ours.items() if not np.isfinite(position)]:
            self._not_finite.update(dict.fromkeys(unknown))
            return
        for name in ours:
            self._not_finite.pop(name, None)
        self._watch(ours, now_s)
        self._positions.update(ours)
        self._times_s.update(dict.fromkeys(ours, now_s))

    def _watch(self, positions_rad: Mapping[str, float], now_s: float) -> None:
        """Note the joints that jumped."""
        excess_rad = {
            name: self._excess_rad(name, position, now_s) for name, position in positions_rad.items()
        }
        jumped = {name: excess for name, excess in excess_rad.items() if excess > self.options.max_jump_rad}
        if jumped:
            self._jumped_s = now_s
            joints = ", ".join(f"{name} by {excess:.2f} rad" for name, excess in jumped.items())
            self._jump = f"the robot jumped away from its commands: {joints}"

    def _excess_rad(self, name: str, position_rad: float, now_s: float) -> float:
        """How far a joint has left the range of its last position and the newest commands."""
        reported_s = self._times_s.get(name, -math.inf)
        if now_s - reported_s > self.options.timeout_s:
            return 0.0  # the state was lost meanwhile, which holds too
        last_rad = self._positions[name]
        change_rad = position_rad - last_rad
        if name in self._turning:
            change_rad = math.remainder(change_rad, 2 * math.pi)
        if abs(change_rad) <= self.options.max_jump_rad:
            return 0.0
        joint = self._joint_names.index(name)
        changes = [
            command[joint] - last_rad for sent_s, command in self._commands if sent_s >= reported_s - _LATE_S
        ]
        if not changes:
            return 0.0  # nobody knows where it should be
        return float(max(change_rad - max(0.0, *changes), min(0.0, *changes) - change_rad))

    def why_jumped(self, now_s: float) -> str:
        """Why the robot may have nothing more to do with its commands; '' if it has not jumped lately."""
        return self._jump if self.options.required and now_s - self._jumped_s < _SETTLED_S else ""

    def why_unknown(self, now_s: float) -> str:
        """Why the state is not known at ``now_s``; '' if it is."""
        if not self.options.required:
            return ""
        if self._fault:
            return self._fault
        if self._not_finite:
            return f"the joint state of {', '.join(self._not_finite)} is not finite"
        if jump := self.why_jumped(now_s):
            return jump
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
