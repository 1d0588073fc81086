"""Writes one episode in a thread of its own, so that a slow disk or a large image never holds up the receiver."""

from __future__ import annotations

import shutil
import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from hand_pose_ros.files.bounded_text import shortened
from hand_pose_ros.recordings.bag_writer import RecordingWriter
from hand_pose_ros.recordings.description import KEY, EpisodeDescription

MOST_BYTES: Final = 256 << 20
"""Limit of the messages that wait to be written."""


class Message(NamedTuple):
    """A serialised message; type as 'std_msgs/msg/String', time of its reception by the system's clock."""

    topic: str
    msgtype: str
    serialised: bytes
    received_ns: int


@dataclass
class EpisodeReport:
    """The messages of an episode, counted by topic, and its failure.

    written: in the bag. dropped: not in it, since too many waited. unusable: not in it, since they could not be
    converted, with the first reason in ``reasons``. failure: why the writing ended; '' if it did not.
    """

    folder: Path
    written: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    unusable: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)
    first_ns: int = 0
    last_ns: int = 0
    failure: str = ""

    @property
    def seconds(self) -> float:
        """From the first message to the last."""
        return (self.last_ns - self.first_ns) * 1e-9


class EpisodeWriter:
    """A bag that is written while messages come; every method may be called from any thread.

    Args:
        folder: the bag.
        most_bytes: messages that wait for the writing have at most so many bytes; further ones are dropped.

        replace: whether an existing bag is replaced.

    Raises:
        ValueError: the folder exists, and is not to be replaced or holds something else than a bag.
        OSError: it cannot be made.
    """

    def __init__(
        self,
        folder: Path,
        description: EpisodeDescription | None = None,
        most_bytes: int = MOST_BYTES,
        replace: bool = False,
    ) -> None:
        self.report = EpisodeReport(folder)
        self._most_bytes = most_bytes
        self._waiting: deque[Message] = deque()
        self._waiting_bytes = 0
        self._closing = False
        self._changed = threading.Condition()
        described = {} if description is None else {KEY: description.to_json()}
        self._bag = RecordingWriter(folder, replace, described)
        self._bag.__enter__()
        self._thread = threading.Thread(target=self._run, name="recording")
        self._thread.start()

    @property
    def failure(self) -> str:
        """The reason why nothing is written any more; '' while all is well."""
        return self.report.failure

    def offer(self, message: Message) -> bool:
        """Take a message; False if it is dropped, since too many wait, or nothing is written any more."""
        with self._changed:
            if self._closing or self.report.failure:
                return False
            if self._waiting_bytes + len(message.serialised) > self._most_bytes:
                self.report.dropped[message.topic] += 1
                return False
            self._waiting.append(message)
            self._waiting_bytes += len(message.serialised)
            self._changed.notify()
            return True

    def close(self, discard: bool = False, keep_empty: bool = False) -> EpisodeReport:
        """Write what waits, and close the bag. An episode without messages is removed.

        Args:
            discard: remove it in any case.
            keep_empty: keep it without messages, too.
        """
        with self._changed:
            self._closing = True
            if discard:
                self._waiting.clear()
            self._changed.notify()
        self._thread.join()
        try:
            self._bag.__exit__(None, None, None)
        except OSError as error:
            self._fail(error)
        if discard or not (self.report.written or keep_empty):
            shutil.rmtree(self.report.folder, ignore_errors=True)
        return self.report

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                message = self._waiting.popleft()
            self._write(message)
            with self._changed:
                self._waiting_bytes -= len(message.serialised)
                if self.report.failure:
                    self._waiting.clear()
                    return

    def _write(self, message: Message) -> None:
        report = self.report
        try:
            self._bag.write(*message)
        except OSError as error:  # such as a full disk
            self._fail(error)
        except Exception as error:  # a message from anywhere must not end the recording of the others
            report.unusable[message.topic] += 1
            report.reasons.setdefault(message.topic, shortened(f"{type(error).__name__}: {error}", 200))
        else:
            report.written[message.topic] += 1
            report.first_ns = report.first_ns or message.received_ns
            report.last_ns = max(report.last_ns, message.received_ns)

    def _fail(self, error: OSError) -> None:
        if not self.report.failure:
            self.report.failure = f"{self.report.folder} cannot be written: {error.strerror or error}"
