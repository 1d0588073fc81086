"""The operator's switches: a dead-man switch that must stay pressed, and an emergency stop."""

from __future__ import annotations

from dataclasses import dataclass

from hand_pose_ros.common.options import Options, option


@dataclass(frozen=True)
class SwitchOptions(Options):
    """The dead-man switch."""

    used: bool = option(
        False,
        "Follow the hand only while the topic dead_man says true; pressing engages, releasing disengages.",
        read_only=True,
    )
    timeout_s: float = option(
        0.5,
        "A dead-man switch that has not been heard for this time counts as released, in seconds.",
        minimum=0.05,
        maximum=60.0,
    )


class OperatorSwitch:
    """Levels of the switches, and the time at which the dead-man switch was heard last (monotonic clock).

    An emergency stop stays in force until :meth:`reset`, across sessions that share the switch.
    """

    def __init__(self, options: SwitchOptions) -> None:
        self.options = options
        self.stop_pressed = False
        self.stop_reason = ""
        """Why an emergency stop is in force; '' if none is."""
        self._pressed = False
        self._heard_s = 0.0

    def stop(self, reason: str) -> None:
        """Put an emergency stop in force; the reason of the first one is kept."""
        self.stop_reason = self.stop_reason or reason

    def press_stop(self, pressed: bool) -> None:
        """The level of the emergency stop's switch came; releasing it does not end the stop."""
        self.stop_pressed = pressed
        if pressed:
            self.stop("emergency stop switch")

    def reset(self) -> str:
        """Take the emergency stop back; returns why not, or ''."""
        if self.stop_pressed:
            return "the emergency stop is still pressed"
        self.stop_reason = ""
        return ""

    def press(self, pressed: bool, now_s: float) -> bool:
        """A level came; returns whether the switch has just been pressed."""
        was_pressed = self._pressed and not self._is_silent(now_s)
        self._pressed, self._heard_s = pressed, now_s
        return self.options.used and pressed and not was_pressed

    def why_released(self, now_s: float) -> str:
        """Why the robot must not follow; '' if the switch is pressed or not used."""
        if not self.options.used:
            return ""
        if not self._pressed:
            return "the dead-man switch is not pressed"
        return "the dead-man switch is silent" if self._is_silent(now_s) else ""

    def _is_silent(self, now_s: float) -> bool:
        return now_s - self._heard_s > self.options.timeout_s
