"""The plan of a recording: when episodes begin and end by themselves, and when the recorder is done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Step(Enum):
    """A step of the plan."""

    START = "start"
    STOP = "stop"
    END = "end"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Plan:
    """The order of episodes.

    manual: none begins by itself. episode_s: an episode ends after this time; None for no limit.
    episodes: the recorder ends after so many; None for no limit. reset_s: pause between two episodes.
    """

    manual: bool = False
    episode_s: float | None = None
    episodes: int | None = None
    reset_s: float = 0.0

    def due(self, now_s: float, started_s: float | None, stopped_s: float | None, kept: int) -> Step:
        """The step that is due at a time.

        Args:
            started_s: when the episode that is being recorded began; None if there is none.
            stopped_s: when the last one ended; None before the first.
            kept: number of episodes that were kept.
        """
        if started_s is not None:
            over = self.episode_s is not None and now_s - started_s >= self.episode_s
            return Step.STOP if over else Step.NOTHING
        if self.episodes is not None and kept >= self.episodes:
            return Step.END
        if self.manual:
            return Step.NOTHING
        if stopped_s is None:
            return Step.START
        # Without a time limit somebody has ended the episode, and will begin the next one.
        repeats = self.episode_s is not None and now_s - stopped_s >= self.reset_s
        return Step.START if repeats else Step.NOTHING
