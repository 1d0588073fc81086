"""Whatever happens, in any order and at any time, every command of a session is safe."""

from __future__ import annotations

import numpy as np
from helpers.teleoperation import LIMITS, NAMES, FakeRetargeter, observed, view
from hypothesis import given, settings
from hypothesis import strategies as st

from hand_pose_ros.retargeting.teleoperation.engagement import Change, State
from hand_pose_ros.retargeting.teleoperation.observed_hand import ObservedHand
from hand_pose_ros.retargeting.teleoperation.session import SessionOptions, TeleopSession

HANDS = {
    "followed": observed(),
    "far": observed(wrist_m=(0.8, 0.0, 0.5)),
    "second person": observed(track_id=9, score=1.0),
    "flipped": observed(side="left"),
    "fist": observed("fist", "left", 4),
    "NaN": ObservedHand("right", np.full((21, 3), np.nan), np.full(21, np.nan), 3),
}
NUMBER = st.one_of(st.floats(-3, 3), st.sampled_from([1e9, -1e9, float("nan"), float("inf")]))
EVENT = st.one_of(
    st.tuples(st.just("hands"), st.lists(st.sampled_from(sorted(HANDS)), max_size=3)),
    st.tuples(st.just("follow"), st.integers(1, 10)),
    st.tuples(st.just("target"), st.lists(NUMBER, min_size=3, max_size=3)),
    st.tuples(st.just("robot"), st.lists(NUMBER, min_size=3, max_size=3)),
    st.tuples(st.just("clock"), st.floats(-5, 5)),
    st.tuples(st.just("pause"), st.floats(0, 3)),
    st.tuples(st.sampled_from(["engage", "disengage", "stop", "reset", "raise", "obstacle"]), st.booleans()),
)


class Checked:
    """A session whose commands are checked one by one."""

    def __init__(self, rate_hz: float) -> None:
        self.retargeter = FakeRetargeter()
        self.obstacle = False
        self.now_s, self.clock_s = 10.0, 500.0
        options = {"motion.output_rate_hz": rate_hz, "gesture.name": "fist", "gesture.hold_s": 0.3}
        self.session = TeleopSession(
            self.retargeter,
            LIMITS,
            SessionOptions.from_flat(options),
            self._changed,
            lambda: "something" if self.obstacle else "",
        )
        self.last: np.ndarray | None = None
        self.commands = 0
        self.starts = 0
        self.robot = [0.0, 0.0, 0.0]

    def _changed(self, change: Change) -> None:
        started, self.starts = len(self.retargeter.resets) > self.starts, len(self.retargeter.resets)
        assert not started or change.new is State.RAMPING
        assert started or change.old.active or not change.new.active
        if started:
            start = self.session.robot_state.positions_rad()
            assert np.isfinite(start).all(), "it never starts from what is not known"
            np.testing.assert_array_equal(self.retargeter.resets[-1], LIMITS.clamped(start))
            self.last = LIMITS.clamped(start)

    def pass_time(self, passed_s: float) -> None:
        self.now_s += passed_s
        self.clock_s += passed_s
        self.session.robot_state.update(NAMES, self.robot, self.now_s)
        was_active = self.session.engagement.state.active
        command = self.session.tick(self.now_s)
        if command is None:
            assert not self.session.engagement.state.following
            return
        self.commands += 1
        assert (command >= LIMITS.lower_rad).all()
        assert (command <= LIMITS.upper_rad).all()
        assert self.last is not None, "nothing is sent before it was engaged"
        longest_s = min(passed_s, self.session.period_s)
        step = np.abs(command - self.last)
        assert (step <= LIMITS.velocity_rad_s * longest_s + 1e-9).all(), (was_active, step)
        self.last = command

    def event(self, name: str, value: object) -> None:
        session = self.session
        if name in ("hands", "follow"):
            for _ in range(value if name == "follow" else 1):
                seen = [HANDS["followed"]] if name == "follow" else [HANDS[hand] for hand in value]
                session.observe(view(*seen, stamp_s=self.clock_s - 0.03), self.clock_s, self.now_s)
                self.pass_time(1 / 60)
        elif name == "target":
            self.retargeter.positions = np.array(value)
        elif name == "robot":
            self.robot = value
        elif name == "clock":
            self.clock_s += value
        elif name == "pause":
            self.pass_time(value)
        elif name == "engage":
            session.engage("test", self.now_s)
        elif name == "disengage":
            session.disengage("test")
        elif name == "stop":
            session.press_stop(value)
        elif name == "reset":
            session.reset()
        elif name == "raise":
            self.retargeter.error = RuntimeError("no solution") if value else None
        elif name == "obstacle":
            self.obstacle = value
        self.pass_time(1 / 60)


@settings(max_examples=120, deadline=None)
@given(events=st.lists(EVENT, max_size=60), rate_hz=st.sampled_from([0.0, 30.0, 60.0, 200.0]))
def test_no_sequence_of_events_makes_an_unsafe_command(events, rate_hz):
    checked = Checked(rate_hz)
    for name, value in (("follow", 3), ("engage", True), ("follow", 5), *events):
        checked.event(name, value)
    assert checked.commands > 5
