"""The module counts processed and missed images and times them."""

from __future__ import annotations

from collections import deque
from typing import Final

_RATE_WINDOW: Final = 30


class Progress:
    """Counts since the recording, or the warm-up before it, began.

    images: number received. processed: number with a result. missed: number dropped for a newer one. busy_s: of
    the processed ones, seconds from the image's arrival to the result's. unshown: number of results whose overlay
    was dropped for a newer one. last_processed_ns, last_shown_ns: stamps of the newest result and overlay.

    The topics are independent, so a result may come before its image, and an overlay before its result.
    """

    def __init__(self) -> None:
        self.images = self.processed = self.missed = self.unshown = 0
        self.busy_s: list[float] = []
        self.last_processed_ns = self.last_shown_ns = 0
        self._last_image_ns = 0
        self._arrived_s: dict[int, float] = {}
        self._early: set[int] = set()
        self._waiting_ns: deque[int] = deque()
        self._processed_at_s: deque[float] = deque(maxlen=_RATE_WINDOW)

    @property
    def idle(self) -> bool:
        """Whether the newest image has been processed."""
        return self._last_image_ns == self.last_processed_ns

    @property
    def settled(self) -> bool:
        """Whether it has been processed and shown."""
        return self.idle and self.last_shown_ns == self.last_processed_ns

    @property
    def rate_hz(self) -> float:
        """Recently processed images per second."""
        if len(self._processed_at_s) < 2:
            return 0.0
        return (len(self._processed_at_s) - 1) / (self._processed_at_s[-1] - self._processed_at_s[0])

    def image(self, stamp_ns: int, now_s: float) -> None:
        """Count an image."""
        self.images += 1
        self._last_image_ns = stamp_ns
        if stamp_ns in self._early:
            self._early.discard(stamp_ns)
            self.processed += 1
        elif stamp_ns < self.last_processed_ns:
            self.missed += 1
        else:
            self._arrived_s[stamp_ns] = now_s

    def result(self, stamp_ns: int, now_s: float) -> None:
        """Count a result."""
        if stamp_ns > self.last_shown_ns:
            self._waiting_ns.append(stamp_ns)
        self.last_processed_ns = stamp_ns
        self._processed_at_s.append(now_s)
        if stamp_ns in self._arrived_s:
            self.processed += 1
            self.busy_s.append(now_s - self._arrived_s.pop(stamp_ns))
        else:
            self._early.add(stamp_ns)
        waiting = {stamp: s for stamp, s in self._arrived_s.items() if stamp > stamp_ns}
        self.missed += len(self._arrived_s) - len(waiting)
        self._arrived_s = waiting

    def overlay(self, stamp_ns: int) -> None:
        """Count an overlay."""
        self.last_shown_ns = stamp_ns
        while self._waiting_ns and self._waiting_ns[0] <= stamp_ns:
            self.unshown += self._waiting_ns.popleft() < stamp_ns
