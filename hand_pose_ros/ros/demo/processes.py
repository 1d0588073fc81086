"""The module starts nodes as processes on a ROS domain that nothing else on this machine uses."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from hand_pose_ros.common.share import share_file

_HIGHEST_DOMAIN_ID: Final = 101  # of those whose ports lie below Linux' ephemeral range
_PR_SET_PDEATHSIG: Final = 1
_LIBC: Final = ctypes.CDLL(None)
_LAST_LINES: Final = 8


@contextmanager
def own_domain(domain_id: int | None = None) -> Iterator[int]:
    """Put this process and those it starts on a ROS domain of their own, with the shipped Fast DDS profile.

    Args:
        domain_id: the domain to take; a free one if None.

    Raises:
        OSError: all are taken.
    """
    lock = None
    if domain_id is None:
        domain_id, lock = _free_domain()
    profile = str(share_file("config/fastdds.xml"))
    os.environ.update(
        ROS_DOMAIN_ID=str(domain_id),
        ROS_AUTOMATIC_DISCOVERY_RANGE="LOCALHOST",
        FASTRTPS_DEFAULT_PROFILES_FILE=profile,
        FASTDDS_DEFAULT_PROFILES_FILE=profile,
    )
    try:
        yield domain_id
    finally:
        if lock is not None:
            os.close(lock)


def _free_domain() -> tuple[int, int]:
    """Return a free domain and the descriptor of its lock."""
    for domain_id in random.sample(range(1, _HIGHEST_DOMAIN_ID + 1), _HIGHEST_DOMAIN_ID):
        path = Path(tempfile.gettempdir()) / f"hand_pose_ros_test_domain_{domain_id}.lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError:
            continue  # another user's, or a link that somebody has put there
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        return domain_id, lock
    raise OSError("all ROS domains of this machine are taken")


class DemoError(RuntimeError):
    """A failure that ends the demo; the message is for the user."""


class GraphProcess:
    """A node, started as ``python -m module --ros-args ...`` in a namespace, with its output in a file.

    The terminal's Ctrl-C does not reach it, so that it can be ended in order. It ends when this process dies.

    Args:
        log: file of the output, named after the node.
        parameters: name -> value; they override those of the file.
        parameter_file: YAML file of parameters.
    """

    def __init__(
        self,
        module: str,
        namespace: str,
        log: Path,
        parameters: Mapping[str, bool | int | float | str],
        parameter_file: Path | None = None,
    ) -> None:
        self.name = log.stem
        self.log = log
        command = [sys.executable, "-m", module, "--ros-args", "-r", f"__ns:={namespace}"]
        if parameter_file is not None:
            command += ["--params-file", str(parameter_file)]
        for name, value in parameters.items():
            command += ["-p", f"{name}:={json.dumps(value)}"]  # JSON is YAML: quoted where it has to be
        parent = os.getpid()

        def end_with_parent() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:
                os._exit(1)

        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "RCUTILS_LOGGING_BUFFERED_STREAM": "0", "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - prctl works in the child only; it takes no lock
            )

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def last_words(self) -> str:
        """Return the end of its output."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return "\n".join(lines[-_LAST_LINES:])

    def end(self, patience_s: float = 10.0) -> int:
        """End it and everything that it started, by SIGINT first; return its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(patience_s)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        return self._process.wait()
