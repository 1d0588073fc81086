"""Named values over time: a robot's joint states, or its commands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from hand_pose_ros.files.bounded_text import shown

MOST_VALUES: Final = 1024
"""Limit of the names of one series."""
_MOST_NAME: Final = 256
JOINT_STATE: Final = "sensor_msgs/msg/JointState"
JOINT_TRAJECTORY: Final = "trajectory_msgs/msg/JointTrajectory"
MULTI_ARRAY: Final = "std_msgs/msg/Float64MultiArray"
VALUE_TYPES: Final = (JOINT_STATE, JOINT_TRAJECTORY, MULTI_ARRAY)
"""Types of messages that hold values of joints."""


def newest_before(times_ns: np.ndarray, at_ns: np.ndarray) -> np.ndarray:
    """Index of the newest of ``times_ns`` (n,), which rise, at or before each of ``at_ns`` (k,); -1 for none."""
    return np.searchsorted(times_ns, at_ns, side="right") - 1


@dataclass(frozen=True, eq=False)
class ValueSeries:
    """Values (n, k) of k names at times (n,) in nanoseconds, which do not fall; NaN where a name was never given.

    A message that holds some of the names only leaves the others as they were.
    """

    names: tuple[str, ...]
    times_ns: np.ndarray
    values: np.ndarray

    @property
    def known_from_ns(self) -> int | None:
        """The first time at which every name has a value; None if there is none."""
        known = np.isfinite(self.values).all(axis=1)
        return int(self.times_ns[np.argmax(known)]) if known.any() else None

    def at(self, times_ns: np.ndarray) -> np.ndarray:
        """Values (t, k) float32: the newest at or before each time (t,); NaN before the first."""
        index = newest_before(self.times_ns, times_ns)
        values = self.values[np.maximum(index, 0)].astype(np.float32)
        values[index < 0] = np.nan
        return values

    def ages_s(self, times_ns: np.ndarray) -> np.ndarray:
        """Age (t,) of the newest message at or before each time, seconds; infinite before the first."""
        index = newest_before(self.times_ns, times_ns)
        ages = (times_ns - self.times_ns[np.maximum(index, 0)]) * 1e-9
        return np.where(index < 0, np.inf, ages)


class ValueCollector:
    """Collects the messages of one topic; any type of :data:`VALUE_TYPES`.

    Args:
        names: of a message without names; value_0, value_1 ... if empty.
    """

    def __init__(self, names: Sequence[str] = ()) -> None:
        self._given = tuple(names)
        self._columns: dict[str, int] = {}
        self._rows: list[tuple[int, list[int], list[float]]] = []

    def add(self, message: Any, msgtype: str, time_ns: int) -> None:
        """Add a message.

        Raises:
            ValueError: names and values differ in number, a name is there twice, or there are too many.
        """
        names, values = _content(message, msgtype)
        if not names:
            names = list(self._given) or [f"value_{number}" for number in range(len(values))]
        if len(names) != len(values):
            raise ValueError(f"{len(values)} values for {len(names)} names")
        if len(set(names)) != len(names):
            raise ValueError(f"a name is there twice: {shown(names)}")
        known = len(self._columns.keys() | set(names))
        if known > MOST_VALUES or any(len(name) > _MOST_NAME for name in names):
            raise ValueError(f"more than {MOST_VALUES} names, or names of more than {_MOST_NAME} characters")
        columns = [self._columns.setdefault(name, len(self._columns)) for name in names]
        self._rows.append((time_ns, columns, values))

    def series(self) -> ValueSeries | None:
        """The series in order of time; None without a message."""
        if not self._rows or not self._columns:
            return None
        rows = sorted(self._rows, key=lambda row: row[0])
        values = np.empty((len(rows), len(self._columns)))
        newest = np.full(len(self._columns), np.nan)
        for row, (_, columns, given) in zip(values, rows, strict=True):
            finite = np.isfinite(given)
            newest[np.asarray(columns, int)[finite]] = np.asarray(given)[finite]
            row[:] = newest
        return ValueSeries(tuple(self._columns), np.array([row[0] for row in rows], np.int64), values)


def _content(message: Any, msgtype: str) -> tuple[list[str], list[float]]:
    """Names and values of a message; of a trajectory its last point."""
    if msgtype == MULTI_ARRAY:
        return [], [float(value) for value in message.data[: MOST_VALUES + 1]]
    if msgtype == JOINT_TRAJECTORY:
        if not len(message.points):
            raise ValueError("the trajectory has no point")
        return list(message.joint_names), [float(value) for value in message.points[-1].positions]
    if msgtype == JOINT_STATE:
        return list(message.name), [float(value) for value in message.position]
    raise ValueError(f"{msgtype} does not hold values of joints; {', '.join(VALUE_TYPES)} do")
