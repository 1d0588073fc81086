"""Depths of a still hand are averaged over frames, those of a moving one are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from hand_pose_ros.estimator.depth_memory import DepthMemory
from hand_pose_ros.pose import Detection, ReadLandmarks

POINTS = np.random.default_rng(0).uniform(100, 300, (21, 2))
FRAME_S = 1 / 30


def seen(landmarks_px=POINTS, track_id=1, side="right", read=True):
    states = ReadLandmarks(np.zeros(21), np.zeros(21)) if read else None
    return Detection(side, 0.9, np.array([0.0, 0, 1, 1]), landmarks_px, track_id=track_id, read=states)


def depths(value):
    return torch.full((1, 21), float(value))


def test_the_noise_of_a_still_hand_is_averaged():
    memory, generator = DepthMemory(), torch.Generator().manual_seed(0)
    noisy = 0.1 * torch.randn(400, 21, generator=generator)
    given = [memory.filtered(one[None], [seen()], i * FRAME_S)[0] for i, one in enumerate(noisy)]
    assert float(torch.stack(given[20:]).std() / noisy.std()) < 0.5


def test_a_hand_that_changes_its_shape_shows_its_depths_at_once():
    memory = DepthMemory()
    memory.filtered(depths(0), [seen()], 0.0)
    moved = np.random.default_rng(1).permutation(POINTS)
    assert (memory.filtered(depths(1), [seen(moved)], FRAME_S) > 0.99).all()
    # Its place and size do not matter.
    assert torch.allclose(
        memory.filtered(depths(2), [seen(2 * moved + 50)], 2 * FRAME_S), depths(1.3), atol=1e-3
    )


def test_what_is_missing_is_what_it_was():
    memory = DepthMemory()
    memory.filtered(depths(0.5), [seen()], 0.0)
    one = depths(0.5)
    one[0, 4] = torch.nan
    assert torch.equal(memory.filtered(one, [seen()], FRAME_S), depths(0.5))
    assert memory.filtered(one, [seen(track_id=2)], FRAME_S)[0, 4].isnan()


def test_other_hands_and_times_are_not_mixed():
    memory = DepthMemory()
    memory.filtered(depths(0), [seen()], 0.0)
    for other in (seen(track_id=2), seen(side="left"), seen(read=False), replace(seen(), track_id=None)):
        assert torch.equal(memory.filtered(depths(1), [other], FRAME_S), depths(1))
        memory.reset()
        memory.filtered(depths(0), [seen()], 0.0)
    assert torch.equal(memory.filtered(depths(1), [seen()], None), depths(1))
    assert torch.equal(memory.filtered(depths(1), [seen()], 1.0), depths(1)), "too long ago"
    assert torch.equal(memory.filtered(depths(3), [seen()], 0.5), depths(3)), "a clock that went back"
    memory.reset()
    two = torch.cat((depths(4), depths(5)))
    memory.filtered(two, [seen(), seen(track_id=2)], 0.6)
    mixed = memory.filtered(two + 1, [seen(track_id=2), seen()], 0.6 + FRAME_S)
    torch.testing.assert_close(mixed[:, 0], torch.tensor((0.7 * 5 + 0.3 * 5, 0.7 * 4 + 0.3 * 6)))
