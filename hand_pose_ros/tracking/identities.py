"""The module keeps the track ids of hands: births, deaths, duplicates, and hands that met or hid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hand_pose_ros.pose import Detection
from hand_pose_ros.tracking.association import match, point_distances
from hand_pose_ros.tracking.observation import Observation
from hand_pose_ros.tracking.track import Track


@dataclass(frozen=True)
class IdentityConfig:
    """When a hand is a new one, the same one, or gone. Distances are in sizes of the hand.

    max_hands: how many hands there are at most at a time.
    certain_score: a new hand is believed at once from this score on, otherwise if the next frame shows it too.
    gone_after_s: how long a hand is looked for where it should be; meanwhile it takes one of the ``max_hands``.
    hidden_s: the same for a hand that another one may cover.
    remembered_s: how long its number waits for it afterwards, in case that it comes back.
    farthest_step: from where a hand is expected to where it is found. growth_per_s: added to that for a hand not
        seen.
    same_hand: mean distance of the joints below which two observations are of one hand.
    covering: distance below which one hand may cover another.
    """

    max_hands: int = 2
    certain_score: float = 0.75
    gone_after_s: float = 0.25
    hidden_s: float = 0.75
    remembered_s: float = 2.0
    farthest_step: float = 1.0
    growth_per_s: float = 2.0
    same_hand: float = 0.2
    covering: float = 0.6

    def __post_init__(self) -> None:
        if self.max_hands < 1:
            raise ValueError(f"max_hands must be at least 1, got {self.max_hands}")
        for name in ("gone_after_s", "hidden_s", "remembered_s", "growth_per_s"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("farthest_step", "same_hand", "covering"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


class HandIdentities:
    """Assigns track ids to hands. Ids count up from 0 and are never given to a second hand."""

    def __init__(self, config: IdentityConfig | None = None) -> None:
        self._config = config or IdentityConfig()
        self._followed: list[Track] = []  # seen in the last frame, or looked for
        self._remembered: list[Track] = []  # gone, but not for long
        self._next_id = 0

    @property
    def followed(self) -> Sequence[Track]:
        """The hands that are in view or were a moment ago, and that the next frame should be searched for."""
        return self._followed

    def distinct(self, observations: Sequence[Observation]) -> list[Observation]:
        """Of observations of one hand the best, by score."""
        kept: list[Observation] = []
        for one in sorted(observations, key=lambda one: -one.detection.score):
            if not self._is_among(one, kept):
                kept.append(one)
        return kept

    def may_cover(self, time_s: float) -> bool:
        """Whether one followed hand may cover another, judged by their predicted places."""
        if len(self._followed) < 2:
            return False
        predicted = np.stack([track.predicted(time_s) for track in self._followed])
        return bool(np.triu(self._near(predicted), 1).any())

    def is_clear(self, observation: Observation, others: list[Observation]) -> bool:
        """Whether an observed hand is too far from the others to cover one of them or to be covered."""
        return not self._is_among(observation, others, self._config.covering)

    def update(self, observations: Sequence[Observation], time_s: float) -> list[Detection]:
        """The hands of a frame: those of the observations that are believed, each with its number and its side.

        A hand that is not seen in this frame is not among them.

        Args:
            time_s: must not fall from call to call; equal times are allowed.
        """
        taken = self._continue(observations, time_s)
        known = [one for _, one in taken]
        new = self.distinct([one for one in observations if not self._is_among(one, known)])
        returned = self._return(new, time_s)
        back = [one for _, one in returned]
        taken += returned + self._begin([one for one in new if one not in back], time_s)
        self._forget(time_s)
        return [track.numbered(one) for track, one in taken if track.confirmed]

    def reset(self) -> None:
        """Forget all hands; numbers go on counting."""
        self._followed, self._remembered = [], []

    def _continue(
        self, observations: Sequence[Observation], time_s: float
    ) -> list[tuple[Track, Observation]]:
        """Tracks that go on in an observation; the others are missing from now."""
        tracks, config = self._followed, self._config
        if not tracks:
            return []
        gates = [config.farthest_step + config.growth_per_s * track.missing_s(time_s) for track in tracks]
        predicted = np.stack([track.predicted(time_s) for track in tracks])
        certainties = np.array([track.side_certainty for track in tracks])
        hidden = np.array([track.hidden for track in tracks])
        pairs = match(predicted, certainties, hidden, np.array(gates), observations)
        pairs = self._without_duplicates(pairs, observations)
        seen = [index for index, _ in pairs]
        missing = [index for index in range(len(tracks)) if index not in seen]
        near = np.zeros((len(tracks), len(tracks)), dtype=bool)
        if missing and seen:
            near = self._near(predicted)
        for index, number in pairs:
            tracks[index].take(observations[number], time_s, contested=bool(near[index, missing].any()))
            tracks[index].confirmed = True
        for index in missing:
            tracks[index].miss(time_s, hidden=bool(near[index, seen].any()))
        return [(tracks[index], observations[number]) for index, number in pairs]

    def _without_duplicates(
        self, pairs: list[tuple[int, int]], observations: Sequence[Observation]
    ) -> list[tuple[int, int]]:
        """Of the pairs whose observations are of one hand the first, which is the surest."""
        kept: list[tuple[int, int]] = []
        for pair in pairs:
            if not self._is_among(observations[pair[1]], [observations[number] for _, number in kept]):
                kept.append(pair)
        return kept

    def _near(self, points: np.ndarray) -> np.ndarray:
        """Whether one hand may cover another, (T, T) bool, for points (T, 23, 2)."""
        return point_distances(points, points) < self._config.covering

    def _is_among(
        self, observation: Observation, others: list[Observation], within: float | None = None
    ) -> bool:
        """Whether an observation shows the same hand as one of the others, or lies ``within`` a distance."""
        if not others:
            return False
        if observation in others:
            return True
        points = np.stack([one.points_px for one in others])
        distances = point_distances(observation.points_px[None], points)
        return bool((distances < (self._config.same_hand if within is None else within)).any())

    def _return(self, observations: list[Observation], time_s: float) -> list[tuple[Track, Observation]]:
        """Remembered hands that are back: of the same side, near where they went, and no other could be.

        A hand that might be one of two gets a new number: two confused numbers are worse than a third one.
        """
        if not observations or not self._remembered or not self._free_places():
            return []
        config = self._config
        tracks = list(self._remembered)
        points = np.stack([one.points_px for one in observations])
        distances = point_distances(np.stack([track.last_points() for track in tracks]), points)
        gates = [config.farthest_step + config.growth_per_s * track.missing_s(time_s) for track in tracks]
        sides = np.array([[_same_side(track, one) for one in observations] for track in tracks])
        possible = sides & (distances <= np.array(gates)[:, None])
        taken = []
        for index, track in enumerate(tracks):
            numbers = np.flatnonzero(possible[index])
            alone = len(numbers) == 1 and possible[:, numbers[0]].sum() == 1
            if alone and self._free_places():
                observation = observations[int(numbers[0])]
                track.take(observation, time_s)
                self._remembered.remove(track)
                self._followed.append(track)
                taken.append((track, observation))
        return taken

    def _begin(self, observations: list[Observation], time_s: float) -> list[tuple[Track, Observation]]:
        """New tracks, best first, while there are places."""
        taken = []
        for observation in observations[: max(self._free_places(), 0)]:
            certain = observation.detection.score >= self._config.certain_score
            track = Track(self._next_id, observation, time_s, certain)
            self._next_id += 1
            self._followed.append(track)
            taken.append((track, observation))
        return taken

    def _forget(self, time_s: float) -> None:
        config = self._config
        still = []
        for track in self._followed:
            patience_s = config.hidden_s if track.hidden else config.gone_after_s
            if track.seen or (track.confirmed and track.missing_s(time_s) < patience_s):
                still.append(track)
            elif track.confirmed:
                self._remembered.append(track)
        self._followed = still
        longest = max(config.gone_after_s, config.hidden_s) + config.remembered_s
        self._remembered = [one for one in self._remembered if one.missing_s(time_s) < longest]

    def _free_places(self) -> int:
        return self._config.max_hands - len(self._followed)


def _same_side(track: Track, observation: Observation) -> bool:
    return track.side == ("right" if observation.right >= 0.5 else "left")
