"""The hand_recorder node records episodes into bags, by plan, by service, or by key."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from rclpy.clock import Clock, ClockType  # pyright: ignore[reportPrivateImportUsage] - defined here in Humble
from rclpy.node import Node
from std_srvs.srv import Trigger

from hand_pose_ros.recordings.episode_writer import EpisodeReport
from hand_pose_ros.recordings.session import RecordingSession
from hand_pose_ros.ros.recorder.interface import NAME, SERVICES
from hand_pose_ros.ros.recorder.keys import HELP, terminal_keys
from hand_pose_ros.ros.recorder.plan import Plan, Step
from hand_pose_ros.ros.recorder.topics import TopicSubscriptions, WantedTopic

_LOOK_S: Final = 0.5
_TICK_S: Final = 0.05
_SECOND_S: Final = 1.0
_REMIND_S: Final = 5.0
_STALLED_S: Final = 2.0


class HandRecorder(Node):
    """Subscribes to the wanted topics, and writes episodes between start and stop.

    The executor's thread receives messages and answers services; :meth:`run` is the main thread's work.
    """

    def __init__(
        self, session: RecordingSession, wanted: Sequence[WantedTopic], plan: Plan, namespace: str
    ) -> None:
        super().__init__(NAME, namespace=namespace)
        self._session, self._plan = session, plan
        self._started_s: float | None = None
        self._stopped_s: float | None = None
        self._kept = 0
        self._ready = self._ending = False
        self._failure = ""
        self._control = threading.RLock()
        self._topics = TopicSubscriptions(self, wanted, session.receive)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_LOOK_S, self._topics.look, clock=steady)
        answers = (self._start, self._stop, self._discard)
        for service, answer in zip(SERVICES, answers, strict=True):
            self.create_service(Trigger, service.name, _service(answer))

    def run(self, timeout_s: float) -> int:
        """Record until the plan, a key or a signal ends it; returns the exit code.

        Args:
            timeout_s: how long to wait for the needed topics.
        """
        with self._ended_by_signals(), terminal_keys(self._on_key) as keys:
            if keys:
                self.get_logger().info(HELP)
            if not self._wait_for_topics(timeout_s):
                return 1
            checked_s = 0.0
            while not self._ending:
                now_s = time.monotonic()
                self._advance(now_s)
                if now_s - checked_s >= _SECOND_S:
                    checked_s = now_s
                    self._check()
                time.sleep(_TICK_S)
            self._stop()
            if self._failure:
                self.get_logger().fatal(self._failure)
            return 1 if self._failure else 0

    # --- the plan ----------------------------------------------------------------------------------------------

    def _wait_for_topics(self, timeout_s: float) -> bool:
        """Wait for a message on every needed topic; say what is missing."""
        began_s = reminded_s = time.monotonic()
        while missing := self._topics.missing():
            now_s = time.monotonic()
            text = "; ".join(f"no message on {name}: {why}" for name, why in missing.items())
            if self._ending:
                return True
            if now_s - began_s > timeout_s:
                self.get_logger().fatal(f"nothing is recorded: {text}")
                return False
            if now_s - reminded_s > _REMIND_S:
                reminded_s = now_s
                self.get_logger().warning(f"waiting: {text}")
            time.sleep(_TICK_S)
        self._ready = True
        silent = self._topics.silent()
        if silent:
            self.get_logger().info(f"no message yet on {', '.join(silent)}")
        return True

    def _advance(self, now_s: float) -> None:
        with self._control:
            step = self._plan.due(now_s, self._started_s, self._stopped_s, self._kept)
            if step is Step.START:
                good, text = self._start()
                if not good:
                    self._fail(text)
            elif step is Step.STOP:
                self._stop()
            elif step is Step.END:
                self._ending = True

    def _check(self) -> None:
        """End the recording if the disk fails or is nearly full; warn of topics that stand still."""
        if not self._session.recording:
            return
        if text := self._session.failure or self._session.nearly_full():
            self._fail(text)
            return
        for name, age_s in self._topics.stalled(_STALLED_S).items():
            self.get_logger().warning(
                f"no message on {name} for {age_s:.0f} s", throttle_duration_sec=_REMIND_S
            )

    def _fail(self, text: str) -> None:
        self._failure, self._ending = text, True

    # --- what services and keys do -----------------------------------------------------------------------------

    def _start(self) -> tuple[bool, str]:
        with self._control:
            if not self._ready or self._ending:
                return False, "not yet: " + "; ".join(
                    f"no message on {name}" for name in self._topics.missing()
                )
            try:
                folder = self._session.start(time.time_ns())
            except (ValueError, OSError) as error:
                return False, str(error)
            self._started_s = time.monotonic()
            return self._tell(f"{folder.name} begins")

    def _stop(self) -> tuple[bool, str]:
        return self._finish(discard=False)

    def _discard(self) -> tuple[bool, str]:
        return self._finish(discard=True)

    def _finish(self, discard: bool) -> tuple[bool, str]:
        with self._control:
            report = self._session.stop(discard)
            if report is None:
                return False, "no episode is being recorded"
            self._started_s, self._stopped_s = None, time.monotonic()
            if report.failure:
                self._fail(report.failure)
                return False, report.failure
            if discard:
                return self._tell(f"{report.folder.name} is discarded")
            if not report.written:
                return self._tell(f"{report.folder.name} has no message and is not kept", good=False)
            self._kept += 1
            for text in _warnings(report):
                self.get_logger().warning(text)
            count = sum(report.written.values())
            return self._tell(f"{report.folder} holds {report.seconds:.1f} s, {count} messages")

    def _on_key(self, line: str) -> None:
        if line == "q":
            self._ending = True
            return
        action = {"d": self._discard, "": self._stop if self._session.recording else self._start}.get(line)
        good, text = action() if action is not None else (False, HELP)
        if not good:
            self.get_logger().warning(text)

    def _tell(self, text: str, good: bool = True) -> tuple[bool, str]:
        self.get_logger().info(text)
        return good, text

    @contextmanager
    def _ended_by_signals(self) -> Iterator[None]:
        """Let the first Ctrl-C end the recording in order: what was received is written."""

        def stop(_number: int, _frame: object) -> None:
            self._ending = True

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        previous = {number: signal.signal(number, stop) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _warnings(report: EpisodeReport) -> list[str]:
    """The faults of an episode, a sentence each."""
    dropped = [
        f"{count} messages of {topic} were dropped: the disk or the processor is too slow"
        for topic, count in report.dropped.items()
    ]
    unusable = [
        f"{count} messages of {topic} could not be recorded: {report.reasons[topic]}"
        for topic, count in report.unusable.items()
    ]
    return [f"{report.folder.name}: {text}" for text in dropped + unusable]


def _service(
    answer: Callable[[], tuple[bool, str]],
) -> Callable[[Trigger.Request, Trigger.Response], Trigger.Response]:
    def call(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = answer()
        return response

    return call
