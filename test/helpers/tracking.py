"""Hands that move over an image without pictures: true joints, and what a poor detector would say of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.pose import Detection
from hand_pose_ros.tracking.observation import Observation
from helpers.detection import hand_shape

RATE_HZ = 30.0
SIZE_PX = 120.0
IMAGE_PX = np.array((640.0, 480.0))
_SHAPES = {side: hand_shape(side) for side in ("left", "right")}
Path = Callable[[float], np.ndarray]  # share of the clip in [0, 1] -> centre (2,) in pixels


@dataclass(frozen=True)
class MovingHand:
    """A hand of one side whose centre follows a path while it turns and closes a little."""

    side: str
    path: Path
    turn_rad: float = 0.0
    swing_rad: float = 0.0

    def joints(self, share: float) -> np.ndarray:
        """(21, 2) joints in pixels at a share of the clip."""
        shape = _SHAPES[self.side]
        closed = shape - (0.15 + 0.15 * np.sin(9 * share)) * (shape - shape[:1])
        angle = self.turn_rad + self.swing_rad * np.sin(5 * share)
        turn = np.array(((np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))))
        return SIZE_PX * closed @ turn.T + self.path(share)


def minimum_jerk(share: float) -> float:
    """0 to 1 as hands move; held before and after."""
    share = min(max(share, 0.0), 1.0)
    return share**3 * (10 - 15 * share + 6 * share**2)


def scene(kind: str, generator: np.random.Generator) -> list[MovingHand]:
    """Two hands that cross, touch, or of which one leaves and returns; or two of one side that cross."""
    jitter = generator.uniform(-15, 15, (4, 2))
    turns, swings = generator.uniform(-0.5, 0.5, 2), generator.uniform(-0.3, 0.3, 2)
    left, right = np.array((170.0, 240.0)) + jitter[0], np.array((470.0, 240.0)) + jitter[1]
    low = np.array((0.0, generator.uniform(0, 40)))

    def between(start: np.ndarray, end: np.ndarray, begin: float = 0.1, finish: float = 0.9) -> Path:
        return lambda share: start + minimum_jerk((share - begin) / (finish - begin)) * (end - start)

    def there_and_back(start: np.ndarray, end: np.ndarray) -> Path:
        return lambda share: start + minimum_jerk(1.5 - abs(3 * share - 1.5)) * (end - start)

    sides = ("left", "right")
    if kind in ("crossing", "same_side"):
        paths = (between(left, right + low), between(right, left - low))
        sides = ("right", "right") if kind == "same_side" else sides
    elif kind == "touching":
        near = np.array((0.45 * SIZE_PX, 0.0))
        middle = (left + right) / 2
        paths = (there_and_back(left, middle - near), there_and_back(right, middle + near))
    elif kind == "leaving":
        paths = (there_and_back(left, np.array((-200.0, 240.0))), between(right, right + jitter[2]))
    else:
        raise ValueError(f"unknown kind {kind!r}")
    return [MovingHand(*one) for one in zip(sides, paths, turns, swings, strict=True)]


def observed(
    hands: list[MovingHand], share: float, generator: np.random.Generator, poor: float = 1.0
) -> list[tuple[int, Observation]]:
    """What a detector says of a frame, in any order, each with the index of the true hand.

    ``poor`` scales how bad it is: at 1 it misses 12 % of the hands, takes 20 % for the other side, reports 10 %
    twice, and never sees the rear one (the first) of two hands in one place.
    """
    found = []
    joints = [one.joints(share) for one in hands]
    apart = np.linalg.norm(joints[0] - joints[1], axis=1).mean() / SIZE_PX
    for index, truth in enumerate(joints):
        inside = ((truth >= 0) & (truth < IMAGE_PX)).all(axis=1).mean()
        hidden = index == 0 and apart < 0.3
        if inside < 0.5 or hidden or generator.random() < 0.12 * poor:
            continue
        for _ in range(1 + (generator.random() < 0.1 * poor)):
            landmarks = truth + generator.normal(0, 0.02 * SIZE_PX * poor, truth.shape)
            wrong = generator.random() < 0.2 * poor
            likelihood = generator.uniform(0.6, 1.0)
            right = likelihood if (hands[index].side == "right") != wrong else 1 - likelihood
            side = "right" if right >= 0.5 else "left"
            detection = Detection(side, generator.uniform(0.55, 1), box_around(landmarks, 0.1), landmarks)
            found.append((index, Observation.of(detection, right)))
    return [found[k] for k in generator.permutation(len(found))]
