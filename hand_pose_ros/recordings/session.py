"""A folder of recorded episodes: numbered bags of one recorder at a time, on a disk that is not nearly full."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import threading
from collections import deque
from pathlib import Path
from typing import Final

from hand_pose_ros.recordings.description import EpisodeDescription
from hand_pose_ros.recordings.episode_writer import MOST_BYTES, EpisodeReport, EpisodeWriter, Message

_LOCK: Final = ".recorder.lock"
_EPISODE: Final = re.compile(r"episode_(\d{6,})")
_LATCHED_TOPICS: Final = {"/tf_static": 20}
"""Kept messages of topics to which several publishers add; of other topics the newest."""


class RecordingSession:
    """The episodes that one recorder writes into a folder; a context manager. Any thread may call its methods.

    Episodes that are there already stay; new ones get the next numbers.

    Args:
        folder: made if it is not there.
        most_bytes: of the messages that wait to be written.
        least_free_bytes: with less space on the disk no episode begins, see also :meth:`nearly_full`.

    Raises:
        ValueError: another recorder writes to the folder, or it holds other things than episodes.
        OSError: it cannot be made or written to.
    """

    def __init__(
        self,
        folder: Path,
        description: EpisodeDescription,
        most_bytes: int = MOST_BYTES,
        least_free_bytes: int = 0,
    ) -> None:
        self.folder = folder
        self._description = description
        self._most_bytes, self._least_free_bytes = most_bytes, least_free_bytes
        self._lock = threading.RLock()
        self._writer: EpisodeWriter | None = None
        self._latched: dict[str, deque[Message]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        others = [
            one.name for one in folder.iterdir() if one.name != _LOCK and not _EPISODE.fullmatch(one.name)
        ]
        if others:
            raise ValueError(f"{folder} holds other things than episodes, such as {sorted(others)[0]}")
        self._lock_file = os.open(
            folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644
        )
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock_file)
            raise ValueError(f"another recorder writes to {folder}") from None

    def __enter__(self) -> RecordingSession:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()
        os.close(self._lock_file)

    @property
    def recording(self) -> bool:
        """Whether an episode is being recorded."""
        return self._writer is not None

    @property
    def failure(self) -> str:
        """The reason why the episode cannot be written any more; '' if all is well."""
        writer = self._writer
        return "" if writer is None else writer.failure

    def nearly_full(self) -> str:
        """A sentence if the disk is nearly full; '' otherwise."""
        free = shutil.disk_usage(self.folder).free
        if free >= self._least_free_bytes:
            return ""
        return f"{self.folder} has {free >> 20} MB free, of {self._least_free_bytes >> 20} MB that must stay"

    def receive(self, message: Message, latched: bool = False) -> None:
        """Record a message, if an episode is being recorded.

        Args:
            latched: of a topic whose messages late subscribers get: every episode begins with its newest one.
        """
        with self._lock:
            if latched:
                most = _LATCHED_TOPICS.get(message.topic, 1)
                self._latched.setdefault(message.topic, deque(maxlen=most)).append(message)
            if self._writer is not None:
                self._writer.offer(message)

    def start(self, now_ns: int) -> Path:
        """Begin an episode; returns its folder.

        Args:
            now_ns: by the system's clock; latched messages are recorded with this time.

        Raises:
            ValueError: one is being recorded already.
            OSError: the disk is nearly full, or cannot be written to.
        """
        with self._lock:
            if self._writer is not None:
                raise ValueError(f"{self._writer.report.folder.name} is being recorded already")
            if full := self.nearly_full():
                raise OSError(full)
            folder = self.folder / f"episode_{self._next_number():06d}"
            writer = EpisodeWriter(folder, self._description, self._most_bytes)
            for messages in self._latched.values():
                for message in messages:
                    writer.offer(message._replace(received_ns=now_ns))
            self._writer = writer
            return folder

    def stop(self, discard: bool = False) -> EpisodeReport | None:
        """End the episode and write all that was received; None if none is being recorded.

        Args:
            discard: remove it.
        """
        with self._lock:
            writer, self._writer = self._writer, None
        return None if writer is None else writer.close(discard)

    def _next_number(self) -> int:
        names = (_EPISODE.fullmatch(path.name) for path in self.folder.iterdir())
        return max((int(name[1]) for name in names if name), default=-1) + 1
