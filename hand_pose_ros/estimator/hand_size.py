"""A hand's size with its uncertainty, and its relation to the length that people measure with a ruler.

The *hand size* of this package is the length of the bone wrist -> index MCP of a hand with mean proportions. The
*hand length* is what tables of body measures list: from the crease of the wrist to the tip of the middle finger,
with the fingers straight. docs/use/hand_size.md shows how to measure it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from hand_pose_ros import hand

POPULATION_SPREAD: Final = 0.065
"""Standard deviation of adults' hand size, as a share of the mean."""
_CREASE_TO_WRIST: Final = 0.09
"""From the crease of the wrist to the wrist joint, in hand sizes: 8 mm. The joint of detectors and data sets lies
distal of the crease; by how much differs from one to the next, from 3 to 12 mm (docs/how/detector_noise.md)."""
_FLESH_OF_TIP: Final = 0.04
"""From the tip joint of the middle finger to the end of its flesh, in hand sizes: 3.7 mm in the mesh template."""
LENGTH_PER_SIZE: Final = (
    sum(mean for _, mean, _ in hand.PROPORTIONS[hand.MIDDLE_FINGER]) + _CREASE_TO_WRIST + _FLESH_OF_TIP
)
"""Hand length divided by hand size: the bones of the middle finger, plus crease and flesh."""
LENGTH_SPREAD: Final = 0.041
"""Standard deviation, as a share, of the hand size that follows from a hand length. Its independent parts: 3.4 %
by which people's proportions differ (of the pose sampler's hands), 4 mm of the wrist joint's place, 2 mm of
reading a ruler."""
BONE_SPREAD: Final = 0.041
"""Standard deviation, as a share, of a hand size that was measured by hand on the bone wrist -> index MCP: 2 mm
for finding the knuckle's joint under the skin, 3 mm of the wrist joint's place."""


@dataclass(frozen=True)
class HandSize:
    """The size of one hand, a normal distribution.

    size_m: length of the bone wrist -> index MCP, metres. sigma_m: its standard deviation.
    """

    size_m: float
    sigma_m: float

    def __post_init__(self) -> None:
        if not (0 < self.size_m < math.inf and 0 <= self.sigma_m < math.inf):
            raise ValueError(f"a hand size must be positive and finite, got {self.size_m} +- {self.sigma_m}")

    @classmethod
    def of_length(cls, length_m: float) -> HandSize:
        """The size of a hand of a measured length, crease of the wrist -> tip of the middle finger, metres."""
        size_m = length_m / LENGTH_PER_SIZE
        return cls(size_m, LENGTH_SPREAD * size_m)

    @property
    def length_m(self) -> float:
        """The hand length of a hand of this size and mean proportions, metres."""
        return LENGTH_PER_SIZE * self.size_m

    @property
    def factor(self) -> float:
        """The size in sizes of the mean adult's hand."""
        return self.size_m / hand.MEAN_ANCHOR_LENGTH_M

    @property
    def spread(self) -> float:
        """The standard deviation as a share of the size, which is also that of the distance."""
        return self.sigma_m / self.size_m
