"""A worker thread processes the newest item, at a limited rate; one that waits is dropped when another comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class NewestItemWorker(Generic[Item]):
    """Calls ``process``, which must not raise, in a thread of its own; at most one item waits.

    Args:
        process: gets an item; returns the least time, in seconds, from its start to that of the next one, or None.
        name: of the thread.
    """

    def __init__(self, process: Callable[[Item], float | None], name: str) -> None:
        self._process = process
        self._waiting: Item | None = None
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, item: Item) -> bool:
        """Hand over an item; return whether one that waited was dropped for it."""
        with self._changed:
            dropped = self._waiting is not None
            self._waiting = item
            self._changed.notify()
        return dropped

    def stop(self) -> None:
        """Finish the item in work, drop the one that waits, and end the thread."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        next_s = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped, timeout=max(0.0, next_s - time.monotonic()))
                self._changed.wait_for(lambda: self._waiting is not None or self._stopped)
                if self._stopped:
                    return
                item, self._waiting = self._waiting, None
            assert item is not None
            began_s = time.monotonic()
            next_s = began_s + (self._process(item) or 0.0)
            del item  # an image must not be kept alive until the next comes
