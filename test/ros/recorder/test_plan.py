"""When episodes begin and end by themselves."""

from __future__ import annotations

import pytest

from hand_pose_ros.ros.recorder.plan import Plan, Step


def played(plan: Plan, until_s: float, tick_s: float = 0.5) -> list[tuple[float, str]]:
    """The steps of a plan in which every step is done at once."""
    found, started_s, stopped_s, kept, now_s = [], None, None, 0, 0.0
    while now_s <= until_s:
        step = plan.due(now_s, started_s, stopped_s, kept)
        if step is not Step.NOTHING:
            found.append((now_s, step.value))
        if step is Step.START:
            started_s = now_s
        elif step is Step.STOP:
            started_s, stopped_s, kept = None, now_s, kept + 1
        elif step is Step.END:
            return found
        now_s += tick_s
    return found


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (Plan(), [(0.0, "start")]),
        (Plan(manual=True), []),
        (
            Plan(episode_s=2, episodes=2),
            [(0, "start"), (2, "stop"), (2.5, "start"), (4.5, "stop"), (5, "end")],
        ),
        (
            Plan(episode_s=2, reset_s=3),
            [(0, "start"), (2, "stop"), (5, "start"), (7, "stop"), (10, "start")],
        ),
        (Plan(manual=True, episode_s=1, episodes=1), []),
    ],
)
def test_a_plan_that_runs_by_itself(plan, expected):
    assert played(plan, 10) == expected


def test_a_manual_start_ends_after_its_time():
    plan = Plan(manual=True, episode_s=2, episodes=3)
    assert plan.due(1.9, 0.0, None, 0) is Step.NOTHING
    assert plan.due(2.0, 0.0, None, 0) is Step.STOP
    assert plan.due(2.1, None, 2.0, 3) is Step.END


def test_an_episode_that_somebody_ended_is_not_begun_again():
    assert Plan().due(5.0, None, 4.0, 1) is Step.NOTHING
