"""The schedule decides when to search the whole image: rarely, because a search costs as much as tracking."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

_SHARE: Final = 1 / 11  # of the frames in which a hand is followed
_SAVED_SEARCHES: Final = 2.0
_HIDDEN_WAIT: Final = 4  # frames between searches for a covered hand, which is not visible at once
_LONGEST_WAIT: Final = 14  # frames between the searches for a hand that may have appeared
_CHANGE_SHARE: Final = 1 / 4  # of the frames in which something else than the tracked hands changes
_CHANGE_WAIT: Final = 3  # frames between two searches for what changed: a tenth of a second at 30 Hz


class SearchSchedule:
    """Decides frame by frame. With no hand in view every frame is searched; with all hands in view, none.

    Otherwise, a lost hand is searched for at once and then after 1, 2, 4 ... frames, and every 14th frame is
    searched for a new hand, on a budget of one frame in eleven. While something besides the tracked hands changes,
    every third frame is searched, on a further budget of one frame in four.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Return to the state before the first frame."""
        self._credit = self._change_credit = 0.0
        self._since_search = 0
        self._wait = 1
        self._last_seen = 0
        self._hidden_for = 0

    def due(
        self, seen: int, max_hands: int, hidden: bool = False, changed: Callable[[], bool] = lambda: False
    ) -> bool:
        """Whether to search this frame, in which ``seen`` hands were found where they were expected.

        Call it once for each frame.

        Args:
            hidden: another hand may cover a missing hand.
            changed: tells whether the image changed since the last search; called only where that matters.
        """
        lost = seen < self._last_seen
        self._last_seen = seen
        self._since_search += 1
        if seen == 0:
            return self._searched()
        self._credit = min(self._credit + _SHARE, _SAVED_SEARCHES)
        self._change_credit = min(self._change_credit + _CHANGE_SHARE, _SAVED_SEARCHES)
        if seen >= max_hands:
            return False
        if hidden:
            lost, self._wait = False, _HIDDEN_WAIT
            self._hidden_for += 1
            self._since_search = min(self._since_search, self._hidden_for)
        else:
            self._hidden_for = 0
        if lost:
            self._wait = 1
        if self._credit >= 1 and (lost or self._since_search >= self._wait):
            self._credit -= 1
            return self._searched()
        affordable = self._change_credit >= 1 and self._since_search >= _CHANGE_WAIT
        if affordable and not hidden and changed():
            self._change_credit -= 1
            return self._searched()
        return False

    def found(self, seen: int) -> None:
        """After a search: how many hands are in view now, so that the loss of one of them is noticed."""
        self._last_seen = seen

    def _searched(self) -> bool:
        self._since_search = 0
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        return True
