"""A teleoperation session in simulated time, for tests without ROS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hand_pose_ros.retargeting.teleoperation.engagement import Change, State
from hand_pose_ros.retargeting.teleoperation.observed_hand import HandsInView
from hand_pose_ros.retargeting.teleoperation.session import SessionOptions, TeleopSession
from helpers.teleoperation import LIMITS, NAMES, FakeRetargeter, assert_safe, observed, view

START = np.array([0.1, 0.2, -0.3])


class Run:
    """A session in simulated time: hands at 30 Hz, robot states and commands at 60 Hz.

    ``hands``: makes the view at a time, None for no image. ``clock_offset_s``: of the node's clock. ``robot``: its
    joint positions, None for silence. ``follows``: it goes where the commands say, ``lag`` commands late, and
    reports it once in ``every`` commands.
    """

    def __init__(self, **options: object) -> None:
        self.retargeter = FakeRetargeter()
        self.changes: list[Change] = []
        self.obstacle = ""
        self.session = TeleopSession(
            self.retargeter,
            LIMITS,
            SessionOptions.from_flat(
                {"watchdog.disengage_after_s": 1.0, "motion.output_rate_hz": 60.0, **options}
            ),
            self.changes.append,
            lambda: self.obstacle,
        )
        self.now_s = 100.0
        self.clock_offset_s = 1000.0
        self.hands: Callable[[float], HandsInView | None] = lambda stamp_s: view(observed(), stamp_s=stamp_s)
        self.robot: np.ndarray | None = START
        self.follows, self.lag, self.every = False, 0, 1
        self.series: list[list[np.ndarray]] = []
        """Commands between engaging and the end of sending."""
        self._sending = False
        self.run(0.1)

    @property
    def state(self) -> State:
        return self.session.engagement.state

    @property
    def commands(self) -> list[np.ndarray]:
        return [command for series in self.series for command in series]

    def run(self, duration_s: float) -> None:
        for _ in range(round(60 * duration_s)):
            self.now_s += 1 / 60
            if round(self.now_s * 60) % 2 == 0:
                seen = self.hands(self.now_s + self.clock_offset_s - 0.03)
                if seen is not None:
                    self.session.observe(seen, self.now_s + self.clock_offset_s, self.now_s)
            if self.robot is not None and round(self.now_s * 60) % self.every == 0:
                self.session.robot_state.update(NAMES, self.robot.tolist(), self.now_s)
            command = self.session.tick(self.now_s)
            if command is not None and not self._sending:
                self.series.append([])
            self._sending = command is not None
            if command is not None:
                self.series[-1].append(command)
                if self.follows:
                    self.robot = self.series[-1][-1 - self.lag :][0]

    def restart(self, positions: np.ndarray) -> None:
        """The robot stands elsewhere at once, and stays there."""
        self.robot, self.follows = positions, False

    def engage(self) -> None:
        assert self.session.engage("test", self.now_s) == ""

    def engaged(self) -> Run:
        self.engage()
        self.run(3.0)
        assert self.state is State.ENGAGED
        return self

    def check(self) -> None:
        for series in self.series:
            assert_safe(series, LIMITS, self.session.period_s, None if self.robot is None else self.robot)
