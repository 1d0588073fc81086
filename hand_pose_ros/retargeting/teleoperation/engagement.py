"""The state machine of engagement: when the robot follows the human hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from hand_pose_ros.common.options import Options, option


class State(Enum):
    """States of the engagement.

    DISENGAGED: nothing; commands are not sent. RAMPING: approaches the human hand's pose slowly, from where the
    robot is. ENGAGED: follows. HOLDING: stays where it is, until the doubt ends or it takes too long. LATCHED: as
    DISENGAGED, after a hold that took too long. STOPPED: as DISENGAGED, after an emergency stop; must be reset.
    """

    DISENGAGED = "disengaged"
    RAMPING = "ramping"
    ENGAGED = "engaged"
    HOLDING = "holding"
    LATCHED = "disengaged_latched"
    STOPPED = "emergency_stop"

    @property
    def active(self) -> bool:
        """Whether commands are sent."""
        return self in _ACTIVE

    @property
    def following(self) -> bool:
        """Whether the robot moves after the hand."""
        return self in (State.RAMPING, State.ENGAGED)


_ACTIVE: Final = (State.RAMPING, State.ENGAGED, State.HOLDING)


@dataclass(frozen=True)
class WatchdogOptions(Options):
    """Times of the watchdog."""

    timeout_s: float = option(
        0.25, "Without a valid hand for this time the robot holds, in seconds.", minimum=0.02, maximum=5.0
    )
    disengage_after_s: float = option(
        2.0,
        "After holding for this time the robot disengages and must be engaged again, in seconds.",
        minimum=0.1,
        maximum=3600.0,
    )


@dataclass(frozen=True)
class Change:
    """A change of state, and why."""

    old: State
    new: State
    reason: str


class Engagement:
    """Holds the state; the callers decide on what they know, the machine on what is allowed.

    Times are seconds of a monotonic clock.

    Args:
        stopped: why an emergency stop is in force from the start; '' if none is.
    """

    def __init__(
        self, options: WatchdogOptions, on_change: Callable[[Change], None], stopped: str = ""
    ) -> None:
        self.options = options
        self._on_change = on_change
        self._state = State.STOPPED if stopped else State.DISENGAGED
        self._reason = stopped or "not engaged yet"
        self._holding_since_s = 0.0

    @property
    def state(self) -> State:
        """The present state."""
        return self._state

    @property
    def reason(self) -> str:
        """Why the state is as it is."""
        return self._reason

    def engage(self, how: str) -> str:
        """Start to follow; returns why not, or ''. The caller has checked that robot and hand are there."""
        if self._state is State.STOPPED:
            return "an emergency stop is in force: reset it first"
        if not self._state.active:
            self._change(State.RAMPING, f"engaged by {how}")
        return ""

    def caught_up(self) -> None:
        """The command has reached the human hand's pose."""
        if self._state is State.RAMPING:
            self._change(State.ENGAGED, "the robot has reached the pose of the hand")

    def hold(self, reason: str, now_s: float) -> None:
        """Stay, because of a doubt."""
        if self._state.following:
            self._holding_since_s = now_s
            self._change(State.HOLDING, reason)
        elif self._state is State.HOLDING:
            self._reason = reason

    def resume(self) -> None:
        """The doubt is over."""
        if self._state is State.HOLDING:
            self._change(State.RAMPING, "the hand is back")

    def disengage(self, reason: str) -> None:
        """Stop following."""
        if self._state.active:
            self._change(State.DISENGAGED, reason)

    def stop(self, reason: str) -> None:
        """Emergency stop, from any state."""
        if self._state is not State.STOPPED:
            self._change(State.STOPPED, reason)

    def reset(self) -> None:
        """Take back an emergency stop or a latch. The robot stays disengaged."""
        if self._state in (State.STOPPED, State.LATCHED):
            self._change(State.DISENGAGED, "reset")

    def tick(self, now_s: float) -> None:
        """End a hold that takes too long."""
        if self._state is State.HOLDING and now_s - self._holding_since_s >= self.options.disengage_after_s:
            self._change(
                State.LATCHED, f"held for {self.options.disengage_after_s:g} s, because {self._reason}"
            )

    def _change(self, new: State, reason: str) -> None:
        old, self._state, self._reason = self._state, new, reason
        self._on_change(Change(old, new, reason))
