"""The module counts processed and missed images and times them."""

from __future__ import annotations

from collections import deque
from typing import Final

_RATE_WINDOW: Final = 30


class Progress:
    """Counts since the recording, or the warm-up before it, began.

    images: number received. shown: number processed, that is with an overlay, which is published last. missed:
    number dropped for a newer one. busy_s: of the processed ones, seconds from the image's arrival to the
    overlay's. last_shown_ns: stamp of the newest processed one.

    The two topics are independent, so an overlay may come before its image.
    """

    def __init__(self) -> None:
        self.images = self.shown = self.missed = 0
        self.busy_s: list[float] = []
        self.last_shown_ns = 0
        self._last_image_ns = 0
        self._arrived_s: dict[int, float] = {}
        self._early: set[int] = set()
        self._shown_at_s: deque[float] = deque(maxlen=_RATE_WINDOW)

    @property
    def idle(self) -> bool:
        """Whether the newest image has been processed."""
        return self._last_image_ns == self.last_shown_ns

    @property
    def rate_hz(self) -> float:
        """Recently processed images per second."""
        if len(self._shown_at_s) < 2:
            return 0.0
        return (len(self._shown_at_s) - 1) / (self._shown_at_s[-1] - self._shown_at_s[0])

    def image(self, stamp_ns: int, now_s: float) -> None:
        """Count an image."""
        self.images += 1
        self._last_image_ns = stamp_ns
        if stamp_ns in self._early:
            self._early.discard(stamp_ns)
            self.shown += 1
        elif stamp_ns < self.last_shown_ns:
            self.missed += 1
        else:
            self._arrived_s[stamp_ns] = now_s

    def overlay(self, stamp_ns: int, now_s: float) -> None:
        """Count an overlay."""
        self.last_shown_ns = stamp_ns
        self._shown_at_s.append(now_s)
        if stamp_ns in self._arrived_s:
            self.shown += 1
            self.busy_s.append(now_s - self._arrived_s.pop(stamp_ns))
        else:
            self._early.add(stamp_ns)
        waiting = {stamp: s for stamp, s in self._arrived_s.items() if stamp > stamp_ns}
        self.missed += len(self._arrived_s) - len(waiting)
        self._arrived_s = waiting
