"""Statistics against slow and obvious ones; unknown values do not count."""

from __future__ import annotations

import numpy as np
import pytest

from hand_pose_ros.recordings.lerobot.statistics import (
    QUANTILES,
    ImageStatistics,
    known,
    sampled_frames,
    value_statistics,
)


def test_values_are_those_of_the_known_ones():
    values = np.random.default_rng(1).normal(size=(50, 3)).astype(np.float32)
    values[10:30, 1] = np.nan
    found = value_statistics(values)
    for column in range(3):
        taken = values[np.isfinite(values[:, column]), column].astype(float)
        assert found["min"][column] == taken.min()
        assert found["max"][column] == taken.max()
        assert found["mean"][column] == pytest.approx(taken.mean())
        assert found["std"][column] == pytest.approx(taken.std())
        for name, share in QUANTILES.items():
            assert found[name][column] == pytest.approx(np.quantile(taken, share))
    assert found["count"].tolist() == [50]
    assert known(found)


def test_an_element_that_is_never_known_has_no_statistics():
    values = np.full((5, 2), np.nan)
    values[:, 0] = 1
    found = value_statistics(values)
    assert np.isnan(found["mean"]).tolist() == [False, True]
    assert not known(found)
    assert not known(value_statistics(np.full((5, 2), np.nan)))


def test_whole_numbers_and_truth_values():
    assert value_statistics(np.arange(4))["mean"].tolist() == [1.5]
    assert value_statistics(np.array([True, False]))["mean"].tolist() == [0.5]


@pytest.mark.parametrize(("size", "step"), [((40, 50), 1), ((240, 320), 2), ((640, 480), 4)])
def test_images_are_in_the_unit_interval_per_channel(size, step):
    """LeRobot takes every pixel of small images, and of large ones every width / 150th."""
    images = np.random.default_rng(2).integers(0, 256, (3, *size, 3), np.uint8)
    images[..., 2] //= 2
    halves = [ImageStatistics(), ImageStatistics()]
    for image, half in zip(images, (0, 0, 1), strict=True):
        halves[half].add(image)
    halves[0].merge(halves[1])
    found = halves[0].statistics()
    pixels = images[:, ::step, ::step].reshape(-1, 3) / 255
    assert found["mean"].shape == (3, 1, 1)
    np.testing.assert_allclose(found["mean"].ravel(), pixels.mean(axis=0))
    np.testing.assert_allclose(found["std"].ravel(), pixels.std(axis=0), atol=1e-9)
    np.testing.assert_allclose(found["min"].ravel(), pixels.min(axis=0))
    np.testing.assert_allclose(found["max"].ravel(), pixels.max(axis=0))
    for name, share in QUANTILES.items():
        expected = np.quantile(pixels, share, axis=0, method="inverted_cdf")
        np.testing.assert_allclose(found[name].ravel(), expected)
    assert found["count"].tolist() == [3]


@pytest.mark.parametrize(("count", "samples"), [(1, 1), (7, 7), (100, 100), (1000, 177), (5000, 594)])
def test_images_are_sampled_as_lerobot_does(count, samples):
    """The numbers stand in LeRobot's docstring of estimate_num_samples."""
    frames = sampled_frames(count)
    assert len(frames) == samples
    assert {0, count - 1} <= frames
    assert max(frames) < count
