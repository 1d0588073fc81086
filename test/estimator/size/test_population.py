"""The population of hands, and what a measurement makes of it."""

import numpy as np
import pytest

from hand_pose_ros import hand
from hand_pose_ros.estimator.hand_size import POPULATION_SPREAD, HandSize
from hand_pose_ros.estimator.size.population import POPULATIONS

ADULTS, ALL = POPULATIONS["adults"], POPULATIONS["all"]


def on_a_grid(population, evidence):
    """Mean and standard deviation by summing the product of all densities on a fine grid."""
    grid = np.linspace(0.03, 0.15, 20001)
    unit = hand.MEAN_ANCHOR_LENGTH_M / 0.187
    density = sum(
        share / sigma * np.exp(-0.5 * ((grid - unit * length) / (unit * sigma)) ** 2)
        for share, length, sigma in population.groups
    )
    for one in evidence:
        density = density * np.exp(-0.5 * ((grid - one.size_m) / one.sigma_m) ** 2)
    density /= density.sum()
    mean = (density * grid).sum()
    return mean, np.sqrt((density * (grid - mean) ** 2).sum())


@pytest.mark.parametrize("population", [ADULTS, ALL], ids=["adults", "all"])
@pytest.mark.parametrize(
    "evidence",
    [(), (HandSize(0.07, 0.004),), (HandSize(0.095, 0.003), HandSize(0.091, 0.006)), (HandSize(0.05, 0.02),)],
)
def test_the_closed_form_is_the_sum_over_all_sizes(population, evidence):
    size = population.size(evidence)
    assert (size.size_m, size.sigma_m) == pytest.approx(on_a_grid(population, evidence), rel=1e-4)


def test_adults_are_what_placement_assumes_and_children_are_smaller_and_more_varied():
    adults, everybody = ADULTS.size(), ALL.size()
    assert adults.size_m == pytest.approx(hand.MEAN_ANCHOR_LENGTH_M, rel=1e-6)
    assert adults.spread == pytest.approx(POPULATION_SPREAD, abs=0.006)
    assert everybody.size_m < 0.97 * adults.size_m
    assert everybody.spread > 0.09


def test_a_measurement_decides_between_the_groups():
    small = HandSize(0.068, 0.004)
    assert ALL.size((small,)).size_m < ADULTS.size((small,)).size_m
    for population in POPULATIONS.values():
        exact = population.size((HandSize(0.08, 1e-5),))
        assert exact.size_m == pytest.approx(0.08, rel=1e-4)
        assert exact.sigma_m < 2e-5
