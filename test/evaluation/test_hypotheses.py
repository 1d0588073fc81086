"""Hypotheses are scored by their mean, their best, their spread and their tilts."""

import numpy as np
import pytest

from hand_pose_ros.evaluation.hypotheses import FIGURES, hypothesis_scores


def hands(count):
    random = np.random.default_rng(0)
    truth = random.normal(0, 0.5, (count, 21, 3))
    return truth - truth[:, :1]


def normal(truth, samples, sigma, seed=1):
    """Hypotheses about a mean that errs as much as they differ from it, as samples of a posterior do."""
    random = np.random.default_rng(seed)
    mean = truth + random.normal(0, sigma, truth.shape)
    drawn = mean[:, None] + random.normal(0, sigma, (len(truth), samples, *truth.shape[1:]))
    return drawn - drawn[:, :, :1]


def test_samples_of_the_posterior_have_the_least_energy_and_a_ratio_of_one():
    truth = hands(400)
    size = np.full(400, 0.1)
    right = normal(truth, 8, 0.1)
    mean = right.mean(1, keepdims=True)
    scores = {
        scale: hypothesis_scores(mean + scale * (right - mean), truth, size) for scale in (0.1, 1.0, 3.0)
    }
    assert scores[1.0].keys() == FIGURES.keys()
    # The mean of eight errs by the posterior's deviation and an eighth of its variance.
    assert scores[1.0]["error / spread"] == pytest.approx(np.sqrt(9 / 8), rel=0.05)
    assert scores[0.1]["error / spread"] == pytest.approx(10 * scores[1.0]["error / spread"])
    assert scores[1.0]["energy score mm"] < min(scores[scale]["energy score mm"] for scale in (0.1, 3.0))
    for scale in scores:
        assert scores[scale]["mean, PA mm"] == pytest.approx(scores[1.0]["mean, PA mm"])
        assert scores[scale]["best, PA mm"] <= scores[scale]["best, root-relative mm"]


def test_a_hand_tilted_the_wrong_way_may_have_a_hypothesis_that_is_not():
    truth = hands(4)
    mirrored = truth * (1, 1, -1)
    samples = np.stack((mirrored, mirrored, mirrored), axis=1)
    samples[:2, 0] = truth[:2]
    samples[3] = truth[3]
    scores = hypothesis_scores(samples, truth, np.ones(4))
    assert scores["tilt of the mean wrong %"] == 75
    assert scores["of these, one right %"] == pytest.approx(200 / 3)
    assert scores["best, root-relative mm"] < scores["mean, root-relative mm"]


def test_joints_without_a_label_do_not_count():
    truth = hands(30)
    samples = normal(truth, 4, 0.05)
    some, other = truth.copy(), samples.copy()
    some[:, 15:] = np.nan
    other[:, :, 15:] += 3
    size = np.ones(30)
    assert hypothesis_scores(samples, some, size) == pytest.approx(
        hypothesis_scores(other, some, size), nan_ok=True
    )
