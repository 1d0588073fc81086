"""One run of the demo, from the nodes' start to the source's end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from lifecycle_msgs.msg import Transition

from hand_pose_ros.recordings.episode_writer import EpisodeWriter
from hand_pose_ros.ros.demo.node import DemoNode
from hand_pose_ros.ros.demo.pace import adapted_rate_hz, sustainable_rate_hz
from hand_pose_ros.ros.demo.processes import DemoError, GraphProcess
from hand_pose_ros.ros.demo.robot.node import RobotDemoNode
from hand_pose_ros.ros.demo.robot.session import RobotSession
from hand_pose_ros.ros.demo.source import DemoSource
from hand_pose_ros.ros.demo.status_line import StatusLine
from hand_pose_ros.ros.demo.summary import Outcome, OutputFiles, latency_text

_WARM_UP_FRAMES: Final = 8
_COLD_FRAMES: Final = 2  # the first ones take longer: models are loaded lazily
_FIRST_FRAME_TIMEOUT_S: Final = 60.0
_DRAIN_S: Final = 3.0
_TICK_S: Final = 0.1
_ADAPT_S: Final = 1.0


class DemoSession:
    """One run, from the nodes' start to the source's end; ``outcome`` is None until then."""

    def __init__(
        self,
        source: DemoSource,
        player: GraphProcess,
        estimator: GraphProcess,
        files: OutputFiles,
        status: StatusLine,
        robot: RobotSession | None = None,
    ) -> None:
        self._source = source
        self._robot = robot
        self._player = player
        self._estimator = estimator
        self._files = files
        self._status = status
        self._began_s = time.monotonic()
        self._stopping = False
        self._writer: EpisodeWriter | None = None
        self.outcome: Outcome | None = None

    def play(self, node: DemoNode) -> int:
        """Start the graph, play and record; return the exit code 0."""
        self._status.update("the nodes start ...")
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            if not node.change_state("hand_estimator", transition, self._preparing):
                raise DemoError(f"hand_estimator did not get ready:\n{self._estimator.last_words()}")
        self._writer = writer = EpisodeWriter(self._files.bag, replace=True)
        try:
            source_rate_hz = self._source.rate_hz
            rate_hz = None if source_rate_hz is None else self._warm_up(node, source_rate_hz)
            if self._robot is not None:
                self._robot.start(node, rate_hz, source_rate_hz, self._preparing)
            try:
                with self._ended_by_interrupt():
                    self._begin(node, writer, rate_hz)
                    complete = self._watch(node, rate_hz)
                    if self._robot is not None:
                        self._robot.end()
            finally:
                node.record(None)  # before the writer closes
        finally:
            report = writer.close(keep_empty=True)
        self._check()
        if report.dropped or report.unusable:
            raise DemoError(f"not all messages were recorded: {report.dropped}, {report.reasons}")
        seconds = time.monotonic() - self._began_s
        if self._estimator.end() != 0:
            raise DemoError(f"hand_estimator did not end well:\n{self._estimator.last_words()}")
        slow_motion = 1.0 if self._robot is None else self._robot.slow_motion
        self.outcome = Outcome(node.latencies, seconds, complete, slow_motion)
        return 0

    # --- phases ------------------------------------------------------------------------------------------------

    def _warm_up(self, node: DemoNode, source_rate_hz: float) -> float:
        """Play a few frames to measure their time; return the rate for the whole source."""
        node.set_parameters_of("video_player", {"loop": True}, self._preparing)  # finds the service
        node.record(None)
        deadline_s = time.monotonic() + _FIRST_FRAME_TIMEOUT_S
        while node.progress.processed < _COLD_FRAMES + _WARM_UP_FRAMES:
            self._preparing()
            if node.progress.processed == 0 and time.monotonic() > deadline_s:
                raise DemoError(
                    f"hand_estimator processes nothing. It says: {node.estimator_says or 'nothing'}"
                )
            time.sleep(_TICK_S)
        return sustainable_rate_hz(node.progress.busy_s[_COLD_FRAMES:], source_rate_hz)

    def _begin(self, node: DemoNode, writer: EpisodeWriter, rate_hz: float | None) -> None:
        """Record from the source's first frame on, right after a frame of the warm-up was processed."""
        newest_ns, deadline_s = node.progress.last_processed_ns, time.monotonic() + _DRAIN_S
        while rate_hz is not None and time.monotonic() < deadline_s:
            if node.progress.idle and node.progress.last_processed_ns != newest_ns:
                break
            time.sleep(0.001)
        node.record(writer)
        self._began_s = time.monotonic()
        if rate_hz is not None:
            values = {"loop": False, "rate_hz": rate_hz, "start_s": 0.0}
            node.set_parameters_of("video_player", values, self._playing)

    def _watch(self, node: DemoNode, rate_hz: float | None) -> bool:
        """Wait for the source's end, or Ctrl-C; return whether it was the end."""
        sustainable_hz = rate_hz or 0.0
        adapt_at_s, missed = time.monotonic() + _ADAPT_S, 0
        while self._playing():
            self._check()
            if isinstance(node, RobotDemoNode):
                node.keep_engaged()
            self._status.update(self._progress_text(node))
            if rate_hz is not None and time.monotonic() > adapt_at_s:
                before_hz, late = rate_hz, node.progress.missed + node.progress.unshown
                rate_hz = adapted_rate_hz(before_hz, sustainable_hz, late > missed)
                missed = late
                if rate_hz != before_hz:
                    node.set_parameters_of("video_player", {"rate_hz": rate_hz}, self._playing)
                adapt_at_s = time.monotonic() + _ADAPT_S
            time.sleep(_TICK_S)
        complete = not self._stopping
        if complete and self._player.exit_code != 0:
            raise DemoError(f"video_player stopped:\n{self._player.last_words()}")
        self._player.end()
        deadline_s = time.monotonic() + _DRAIN_S
        while not node.progress.settled and time.monotonic() < deadline_s:
            self._check()
            time.sleep(_TICK_S)
        return complete

    # --- checks while it runs ----------------------------------------------------------------------------------

    def _preparing(self) -> bool:
        self._check()
        if self._player.exit_code is not None:
            raise DemoError(f"video_player ended before the demo began:\n{self._player.last_words()}")
        self._status.update(f"the nodes start ... {time.monotonic() - self._began_s:.0f} s")
        return True

    def _playing(self) -> bool:
        """Return whether the source goes on: it may end at any moment, even during a service call."""
        self._check()
        return self._player.exit_code is None and not self._stopping

    def _check(self) -> None:
        """Raise if something is broken."""
        if self._estimator.exit_code is not None:
            raise DemoError(f"hand_estimator stopped by itself:\n{self._estimator.last_words()}")
        if self._player.exit_code not in (None, 0):
            raise DemoError(f"video_player stopped:\n{self._player.last_words()}")
        if self._robot is not None:
            self._robot.check()
        if self._writer is not None and self._writer.failure:
            raise DemoError(f"the recording failed: {self._writer.failure}")

    def _progress_text(self, node: DemoNode) -> str:
        progress = node.progress
        of_all = f" of {self._source.frames}" if self._source.frames else ""
        parts = [
            f"{time.monotonic() - self._began_s:5.1f} s",
            f"frame {progress.images}{of_all}",
            f"{progress.rate_hz:4.1f} fps",
            latency_text(node.latencies),
            f"{node.hands} hand{'' if node.hands == 1 else 's'}",
        ]
        if progress.missed:
            parts.append(f"{progress.missed} dropped")
        if node.estimator_says:
            parts.append(node.estimator_says)
        if isinstance(node, RobotDemoNode):
            parts.append(RobotSession.progress_text(node))
        return " | ".join(part for part in parts if part)

    @contextmanager
    def _ended_by_interrupt(self) -> Iterator[None]:
        """Let the first Ctrl-C end the playing in order, and the second one the demo."""

        def stop(_number: int, _frame: object) -> None:
            if self._stopping:
                raise KeyboardInterrupt
            self._stopping = True

        previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
