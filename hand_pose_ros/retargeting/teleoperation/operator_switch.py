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
    """Levels of the switches, and the time at which the dead-man switch was heard last (monotonic clock)."""

    def __init__(self, options: SwitchOptions) -> None:
        self.options = options
        self.stop_pressed = False
        self._pressed = False
        self._heard_s = 0.0

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
