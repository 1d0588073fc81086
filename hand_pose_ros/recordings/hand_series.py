"""One side's hand over time, from the hand_estimator's messages, without ROS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from hand_pose_ros import hand
from hand_pose_ros.recordings.value_series import newest_before

_CLOUD: Final = np.dtype(
    [
        *((name, "<f4") for name in ("x", "y", "z", "sigma", "score")),
        ("track_id", "<i4"),
        ("side", "u1"),
        ("joint", "u1"),
    ]
)
"""Fields that are read of a point of the topic ``hands``, see hand_pose_ros.ros.messages.cloud."""
_MOST_POINT_BYTES: Final = 1 << 16
_POINT_FIELD_TYPES: Final = {"<f4": 7, "<i4": 5, "|u1": 2}
_SAME_HAND_M: Final = 1e-4
"""Positions are float64 in the poses and float32 in the cloud."""
_WRIST_VALUES: Final = 7


class HandAt(NamedTuple):
    """Hands (t, ...) float32 at t times; NaN where not known.

    joints_m (t, 21, 3), sigma_m (t, 21), wrist (t, 7): x, y, z in metres, quaternion xyzw; angles_rad (t, 38). The
    frame is the camera's optical frame. valid (t,): whether the joints are known.
    """

    joints_m: np.ndarray
    sigma_m: np.ndarray
    wrist: np.ndarray
    angles_rad: np.ndarray
    valid: np.ndarray


@dataclass
class _Sample:
    """The hand of one image; what is None is not known."""

    joints_m: np.ndarray | None = None
    sigma_m: np.ndarray | None = None
    wrist: np.ndarray | None = None
    angles_rad: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class HandSeries:
    """The hand of one side at times (n,) in nanoseconds, which rise: of every image that was processed."""

    times_ns: np.ndarray
    hands: HandAt

    def at(self, times_ns: np.ndarray, max_age_s: float) -> HandAt:
        """The newest hand at or before each time (t,); not known where that is older than ``max_age_s``."""
        index = newest_before(self.times_ns, times_ns)
        newest = np.maximum(index, 0)
        missing = (index < 0) | ((times_ns - self.times_ns[newest]) * 1e-9 > max_age_s)
        taken = [values[newest].copy() for values in self.hands]
        for values in taken[:-1]:
            values[missing] = np.nan
        taken[-1][missing] = False
        return HandAt(*taken)


@dataclass
class HandCollector:
    """Collects the messages of both sides; those of one image have its stamp."""

    _samples: dict[str, dict[int, _Sample]] = field(default_factory=lambda: {side: {} for side in hand.SIDES})
    _clouds: dict[int, list[tuple[str, np.ndarray, np.ndarray]]] = field(default_factory=dict)

    def add_joints(self, message: Any, side: str, time_ns: int) -> None:
        """Add a PoseArray of ``{side}/joints``.

        Raises:
            ValueError: not 21 poses, or a position that is not finite.
        """
        if len(message.poses) != hand.NUM_JOINTS:
            raise ValueError(f"a hand has {hand.NUM_JOINTS} poses, got {len(message.poses)}")
        joints = np.array([(p.position.x, p.position.y, p.position.z) for p in message.poses], np.float32)
        if not np.isfinite(joints).all():
            raise ValueError("a position is not finite")
        self._of(side, time_ns).joints_m = joints

    def add_wrist(self, message: Any, side: str, time_ns: int) -> None:
        """Add a PoseWithCovarianceStamped of ``{side}/wrist``."""
        position, q = message.pose.pose.position, message.pose.pose.orientation
        wrist = np.array([position.x, position.y, position.z, q.x, q.y, q.z, q.w], np.float32)
        self._of(side, time_ns).wrist = wrist

    def add_angles(self, message: Any, side: str, time_ns: int) -> None:
        """Add a JointState of ``{side}/joint_states``; angles are found by name.

        Raises:
            ValueError: names and positions differ in number.
        """
        if len(message.name) != len(message.position):
            raise ValueError(f"{len(message.position)} positions for {len(message.name)} names")
        given = dict(zip(message.name, message.position, strict=True))
        names = hand.joint_state_names(side)
        self._of(side, time_ns).angles_rad = np.array([given.get(n, np.nan) for n in names], np.float32)

    def add_cloud(self, message: Any, time_ns: int) -> None:
        """Add a PointCloud2 of ``hands``: an image without a hand of a side ends that hand.

        Raises:
            ValueError: the cloud has other fields, or is not of whole hands.
        """
        self._clouds[time_ns] = _hands_of_cloud(message)

    def series(self, side: str) -> HandSeries | None:
        """The hands of a side; None if it was never known."""
        samples = self._samples[side]
        if not any(sample.joints_m is not None for sample in samples.values()):
            return None
        times = sorted(samples.keys() | self._clouds.keys())
        hands = _unknown(len(times), len(hand.joint_state_names(side)))
        for row, time_ns in enumerate(times):
            sample = samples.get(time_ns)
            if sample is None or sample.joints_m is None:
                continue
            hands.joints_m[row] = sample.joints_m
            hands.valid[row] = True
            if sample.wrist is not None:
                hands.wrist[row] = sample.wrist
            if sample.angles_rad is not None:
                hands.angles_rad[row] = sample.angles_rad
            for cloud_side, joints, sigma in self._clouds.get(time_ns, ()):
                if cloud_side == side and np.abs(joints - sample.joints_m).max() < _SAME_HAND_M:
                    hands.sigma_m[row] = sigma
        return HandSeries(np.array(times, np.int64), hands)

    def _of(self, side: str, time_ns: int) -> _Sample:
        return self._samples[side].setdefault(time_ns, _Sample())


def _unknown(count: int, angles: int) -> HandAt:
    def nan(*shape: int) -> np.ndarray:
        return np.full((count, *shape), np.nan, np.float32)

    joints = nan(hand.NUM_JOINTS, 3)
    return HandAt(joints, nan(hand.NUM_JOINTS), nan(_WRIST_VALUES), nan(angles), np.zeros(count, bool))


def _hands_of_cloud(message: Any) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Side, joints (21, 3) and sigma (21,) of each hand; further fields of the cloud are passed over."""
    given = {one.name: (one.offset, one.datatype, one.count) for one in message.fields}
    kinds = {name: _CLOUD[name] for name in _CLOUD.names or ()}
    wanted = {name: (_POINT_FIELD_TYPES[kind.str], 1) for name, kind in kinds.items()}
    if any(given.get(name, (0,))[1:] != one for name, one in wanted.items()) or message.is_bigendian:
        raise ValueError(f"the cloud has the fields {list(given)[:20]}, not those of hands")
    step = int(message.point_step)
    ends = [given[name][0] + kind.itemsize for name, kind in kinds.items()]
    if not max(ends) <= step <= _MOST_POINT_BYTES:
        raise ValueError(f"the cloud has points of {step} bytes, which do not fit its fields")
    point = np.dtype(
        {
            "names": list(kinds),
            "formats": list(kinds.values()),
            "offsets": [given[name][0] for name in kinds],
            "itemsize": step,
        }
    )
    points = np.frombuffer(bytes(message.data), point) if len(message.data) % step == 0 else None
    if points is None or len(points) != message.width * message.height or len(points) % hand.NUM_JOINTS:
        raise ValueError(f"the cloud has {len(message.data)} bytes: no whole hands")
    found = []
    for row in points.reshape(-1, hand.NUM_JOINTS):
        side = int(row["side"][0])
        if (row["side"] != side).any() or side >= len(hand.SIDES) or (row["joint"] != np.arange(21)).any():
            raise ValueError("21 points of the cloud are not one hand")
        found.append((hand.SIDES[side], np.stack([row[axis] for axis in "xyz"], axis=1), row["sigma"].copy()))
    return found
