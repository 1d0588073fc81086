"""Numbers that stay with a hand from frame to frame: the nearest box of the frames before, greedily."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hand_pose_ros.detection.boxes import box_centres, box_sizes
from hand_pose_ros.pose import Detection

_FARTHEST_STEP = 1.0  # of the hand's size: beyond it, it is another hand
_OTHER_SIDE = 0.5  # what a change of side counts, as a share of the hand's size


@dataclass
class _Track:
    track_id: int
    side: str
    box_px: np.ndarray
    missed_frames: int = 0


class Associator:
    """Gives each detection the ``track_id`` of the hand that it continues, or a new one.

    A track continues in the nearest detection, if that is at most one hand's size away; one of the other side must
    be nearer, so that touching hands keep their own numbers while a hand whose side the detector mistakes for a
    frame keeps its own as well. Numbers count up from 0 and are never given to a second hand.
    """

    def __init__(self, max_missed_frames: int = 5) -> None:
        """``max_missed_frames``: how many frames in a row a hand may be missing and still keep its number."""
        if max_missed_frames < 0:
            raise ValueError(f"max_missed_frames must be at least 0, got {max_missed_frames}")
        self._max_missed_frames = max_missed_frames
        self._tracks: list[_Track] = []
        self._next_id = 0

    def update(self, detections: Sequence[Detection]) -> list[Detection]:
        """The detections of the next frame, in their order, each with its ``track_id``."""
        track_of = self._match(detections)
        for track in self._tracks:
            track.missed_frames += 1
        numbered = []
        for index, detection in enumerate(detections):
            track = track_of.get(index) or self._new_track(detection)
            track.side, track.box_px, track.missed_frames = detection.side, detection.box_px, 0
            numbered.append(replace(detection, track_id=track.track_id))
        self._tracks = [one for one in self._tracks if one.missed_frames <= self._max_missed_frames]
        return numbered

    def reset(self) -> None:
        """Forget all hands; numbers go on counting."""
        self._tracks = []

    def _new_track(self, detection: Detection) -> _Track:
        track = _Track(self._next_id, detection.side, detection.box_px)
        self._next_id += 1
        self._tracks.append(track)
        return track

    def _match(self, detections: Sequence[Detection]) -> dict[int, _Track]:
        """The track of each detection that continues one, by the detection's index; the nearest pairs first."""
        pairs = sorted(
            (_cost(track, detection), t, d)
            for t, track in enumerate(self._tracks)
            for d, detection in enumerate(detections)
        )
        tracks: set[int] = set()
        matched: dict[int, _Track] = {}
        for cost, t, d in pairs:
            if cost <= _FARTHEST_STEP and t not in tracks and d not in matched:
                tracks.add(t)
                matched[d] = self._tracks[t]
        return matched


def _cost(track: _Track, detection: Detection) -> float:
    step = np.linalg.norm(box_centres(detection.box_px) - box_centres(track.box_px))
    size = max(box_sizes(detection.box_px), box_sizes(track.box_px))
    return float(step / size) + _OTHER_SIDE * (detection.side != track.side)
