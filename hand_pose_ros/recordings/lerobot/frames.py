"""The frames of an episode: at a fixed rate the newest data at or before each time, never later ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from hand_pose_ros.recordings.episode import Episode
from hand_pose_ros.recordings.lerobot.features import ACTION, FOLLOWING, STATE, DatasetLayout, hand_key
from hand_pose_ros.recordings.value_series import ValueSeries, newest_before


class EpisodeReport(NamedTuple):
    """The quality of an episode's frames.

    frames: number. hands: side -> share of frames with a valid hand. oldest_s: of images, states and commands, the
    largest age at a frame's time.
    """

    frames: int
    hands: dict[str, float]
    oldest_s: dict[str, float]


def frame_times(episode: Episode, fps: int, with_state: bool, with_action: bool) -> np.ndarray:
    """Times (t,) of the frames in nanoseconds, from when everything is known to the last image; may be empty.

    Args:
        with_state, with_action: whether the robot's state and its commands must be known.
    """
    images = episode.image_times_ns
    starts = [int(images[0])] if len(images) else []
    needed = [(with_state, episode.state), (with_action, episode.command)]
    for series in (series for wanted, series in needed if wanted):
        known_ns = series.known_from_ns if series is not None else None
        if known_ns is None:
            return np.empty(0, np.int64)
        starts.append(known_ns)
    if not starts:
        return np.empty(0, np.int64)
    first_ns, last_ns = max(starts), int(images[-1])
    count = (last_ns - first_ns) * fps // 1_000_000_000 + 1 if last_ns >= first_ns else 0
    # Each from the first: the error of a rounded period would add up.
    return first_ns + np.arange(count, dtype=np.int64) * 1_000_000_000 // fps


def frame_values(
    episode: Episode, layout: DatasetLayout, times_ns: np.ndarray, max_age_s: float
) -> dict[str, np.ndarray]:
    """The columns of the layout at the times (t,).

    Args:
        max_age_s: an older hand is not valid.

    Raises:
        ValueError: the robot's joints are not those of the layout.
    """
    values: dict[str, np.ndarray] = {}
    for side in layout.sides:
        series = episode.hands.get(side)
        columns = {name: layout.columns[hand_key(side, name)] for name in _HAND_COLUMNS}
        if series is None:
            for name, feature in columns.items():
                missing = False if name == "valid" else np.nan
                values[hand_key(side, name)] = np.full(
                    (len(times_ns), *feature.shape), missing, feature.dtype
                )
            continue
        for name, taken in zip(_HAND_COLUMNS, series.at(times_ns, max_age_s), strict=True):
            values[hand_key(side, name)] = taken
    if layout.state_names:
        values[STATE] = _in_order(episode.state, layout.state_names, STATE).at(times_ns)
    if layout.following:
        series = episode.following
        values[FOLLOWING] = np.zeros(len(times_ns), bool) if series is None else series.at(times_ns)
    if layout.action_names:
        values[ACTION] = _in_order(episode.command, layout.action_names, ACTION).at(times_ns)
    # A feature of one element is a plain value, not a list.
    shapes = {
        key: (-1,) if layout.columns[key].shape == (1,) else (-1, *layout.columns[key].shape)
        for key in values
    }
    return {key: value.reshape(shapes[key]) for key, value in values.items()}


def frame_images(episode: Episode, times_ns: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the image (H, W, 3) uint8 RGB at each time, without the last row or column where their number is odd.

    Raises:
        SourceError: the images cannot be read.
    """
    for image in episode.images_at(times_ns):
        height, width = image.shape[:2]
        even = image[: height - height % 2, : width - width % 2]
        yield cv2.cvtColor(even, cv2.COLOR_BGR2RGB)


def report(
    episode: Episode, layout: DatasetLayout, times_ns: np.ndarray, values: dict[str, np.ndarray]
) -> EpisodeReport:
    """The quality of the frames."""
    newest = newest_before(episode.image_times_ns, times_ns)
    oldest = {"image": float(((times_ns - episode.image_times_ns[newest]) * 1e-9).max())}
    if layout.state_names and episode.state is not None:
        oldest["state"] = float(episode.state.ages_s(times_ns).max())
    if layout.action_names and episode.command is not None:
        oldest["command"] = float(episode.command.ages_s(times_ns).max())
    hands = {side: float(values[hand_key(side, "valid")].mean()) for side in layout.sides}
    return EpisodeReport(len(times_ns), hands, oldest)


_HAND_COLUMNS = ("joints_m", "sigma_m", "wrist_pose", "angles_rad", "valid")
"""In the order of :class:`~hand_pose_ros.recordings.hand_series.HandAt`."""


def _in_order(series: ValueSeries | None, names: tuple[str, ...], key: str) -> ValueSeries:
    """The series with its values in the order of ``names``."""
    given = () if series is None else series.names
    if series is None or set(given) != set(names):
        raise ValueError(
            f"{key}: the joints are {', '.join(given)[:300]}, those of the first episode {', '.join(names)[:300]}"
        )
    order = [given.index(name) for name in names]
    return ValueSeries(names, series.times_ns, series.values[:, order])
