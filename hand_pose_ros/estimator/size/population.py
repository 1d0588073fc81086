"""Distribution of hand sizes: a mixture of men, women and, on request, children, in multiples of the mean adult's.

Hand lengths are rounded from anthropometric surveys: adults of the US Army's of 2012 (NATICK/TR-15/007); for
children of 4 to 12 years one broad group stands. Standard deviations are within a group.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from hand_pose_ros import hand
from hand_pose_ros.estimator.hand_size import HandSize

_MEAN_ADULT_M: Final = 0.187


class Group(NamedTuple):
    """A share of the population, and the mean and standard deviation of its hand length, metres."""

    share: float
    length_m: float
    sigma_m: float


@dataclass(frozen=True)
class Population:
    """A mixture of normal distributions of the hand size."""

    groups: tuple[Group, ...]

    def size(self, evidence: Sequence[HandSize] = ()) -> HandSize:
        """Mean and standard deviation of the size, given independent measurements of one hand.

        Each group's distribution is multiplied by those of the measurements; a group counts by its share and by
        how well it explains them.
        """
        weights, means, variances = [], [], []
        for share, length_m, sigma_m in self.groups:
            unit = hand.MEAN_ANCHOR_LENGTH_M / _MEAN_ADULT_M
            mean, variance, log_weight = unit * length_m, (unit * sigma_m) ** 2, math.log(share)
            for one in evidence:
                spread = variance + one.sigma_m**2
                log_weight -= (one.size_m - mean) ** 2 / (2 * spread) + math.log(spread) / 2
                mean += variance / spread * (one.size_m - mean)
                variance *= one.sigma_m**2 / spread
            weights.append(log_weight)
            means.append(mean)
            variances.append(variance)
        largest = max(weights)
        weights = [math.exp(one - largest) for one in weights]
        total = sum(weights)
        mean = sum(w * m for w, m in zip(weights, means, strict=True)) / total
        second = sum(w * (v + m * m) for w, m, v in zip(weights, means, variances, strict=True)) / total
        return HandSize(mean, math.sqrt(max(second - mean * mean, 0.0)))


_MEN, _WOMEN, _CHILDREN = (0.193, 0.010), (0.181, 0.0095), (0.145, 0.016)
POPULATIONS: Final = {
    "adults": Population((Group(0.5, *_MEN), Group(0.5, *_WOMEN))),
    "all": Population((Group(0.4, *_MEN), Group(0.4, *_WOMEN), Group(0.2, *_CHILDREN))),
}
"""Who may be before the camera."""
