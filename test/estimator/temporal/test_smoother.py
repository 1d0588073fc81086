"""The temporal transformer at run time: windows of tracks, resets, mirrored hands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.temporal import TINY, noisy_videos

from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.estimator.estimate import EstimatedHands
from hand_pose_ros.estimator.temporal.smoother import TemporalSmoother
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.registry import TEMPORAL, load_network
from hand_pose_ros.networks.temporal.transformer import TemporalTransformer
from hand_pose_ros.networks.temporal.window import TYPICAL_SIGMA, HandWindow
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.pose import Detection
from hand_pose_ros.synthetic.motion.video_bank import cut_windows

SAMPLES = 4
SPREAD_SCALE = 1.5


@pytest.fixture(scope="module")
def model() -> TemporalTransformer:
    torch.manual_seed(1)
    model = TemporalTransformer(TINY).eval()
    for layer in (model.correction, model.mixing.query):
        torch.nn.init.normal_(layer.weight, std=0.05)
    return model


@pytest.fixture(scope="module")
def videos():
    return noisy_videos(3, stamps_s=(torch.arange(12) / 30).expand(3, -1))


def frame(videos, number, rows=(0,), stamp=None, ids=None, sides=None):
    """One frame of some videos, as an estimator hands it over, and its time."""
    rows = torch.tensor(rows)
    at = videos.at(rows, torch.full((len(rows), 1), number))
    view = at.views[:, 0]
    angles, proportions = at.window.angles[:, 0], at.proportions[:, 0]
    rotation = view @ at.window.rotation[:, 0]
    fused = HandParameters(angles, proportions, rotation, *forward_kinematics(angles, proportions, rotation))
    found = [
        Detection(side, 0.9, np.array((0.0, 0.0, 1.0, 1.0)), track_id=track_id)
        for track_id, side in zip(ids or rows.tolist(), sides or ["right"] * len(rows), strict=True)
    ]
    seen = KeypointView(view, torch.ones(len(rows)), torch.zeros(len(rows), 21, 2))
    generator = torch.Generator().manual_seed(number)
    samples = HandParameters(*(value[:, None].repeat_interleave(SAMPLES, 1) for value in fused))
    noise = (
        TYPICAL_SIGMA / SPREAD_SCALE * torch.randn(3, *samples.joints.shape[1:], generator=generator)[rows]
    )
    samples = samples._replace(joints=samples.joints + noise - noise.mean(1, keepdim=True))
    weights = torch.full((len(rows), SAMPLES), 1 / SAMPLES)
    estimate = EstimatedHands(found, tuple(range(len(rows))), {}, seen, fused, samples, weights, SPREAD_SCALE)
    return estimate, number / 30 if stamp is None else stamp


def last(smoother, videos, numbers, **changes):
    """What comes out after these frames."""
    for number in numbers:
        out = smoother.smooth(*frame(videos, number, **changes))
    return out.hands, out.samples


def alike(one, other, atol=1e-4):
    return all(torch.allclose(a, b, atol=atol) for a, b in zip(one, other, strict=True))


def test_it_gives_what_the_network_gives_for_the_window(model, videos):
    steadied, _ = last(TemporalSmoother(model), videos, range(7))
    windows = cut_windows(videos, 5)
    samples = [frame(videos, number)[0].samples for number in range(2, 7)]
    sigma = torch.stack([SPREAD_SCALE * one.joints.var(1).mean(-1).sqrt() for one in samples], dim=1)
    window = HandWindow(*(value[2:3] for value in windows.window))._replace(sigma=sigma)
    expected = model(window, videos.proportions[:1, 0])
    assert torch.allclose(steadied.angles, expected.angles[:, -1], atol=1e-4)
    assert torch.allclose(steadied.joints, expected.joints[:, -1], atol=1e-4)


def test_several_tracks_are_as_each_alone(model, videos):
    together = TemporalSmoother(model)
    last(together, videos, range(3), rows=(0, 1))
    steadied, moved = last(together, videos, range(3, 5), rows=(0, 1, 2))  # the third begins here
    for row, numbers in ((0, range(5)), (1, range(5)), (2, range(3, 5))):
        alone, alone_moved = last(TemporalSmoother(model), videos, numbers, rows=(row,))
        assert alike(HandParameters(*(value[row : row + 1] for value in steadied)), alone)
        assert alike(HandParameters(*(value[row : row + 1] for value in moved)), alone_moved)


def test_the_first_frame_is_the_frames_own_before_training(videos):
    torch.manual_seed(0)
    fused = frame(videos, 4)[0].hands
    steadied, moved = last(TemporalSmoother(TemporalTransformer(TINY)), videos, [4])
    assert torch.allclose(steadied.joints, fused.joints, atol=2e-3)
    assert torch.allclose(moved.joints.mean(1), fused.joints, atol=2e-3)


@pytest.mark.parametrize(
    "changes",
    [
        {"stamp": 7 / 30 + 0.35},  # a gap
        {"stamp": 2 / 30},  # time runs backwards
        {"sides": ["left"]},
        {"ids": [9]},
    ],
    ids=["gap", "backwards", "side", "identity"],
)
def test_a_track_begins_anew(model, videos, changes):
    smoother = TemporalSmoother(model)
    last(smoother, videos, range(7))
    begun = smoother.smooth(*frame(videos, 7, **changes))
    fresh = TemporalSmoother(model).smooth(*frame(videos, 7, **changes))
    assert alike(begun.hands, fresh.hands)
    kept = last(TemporalSmoother(model), videos, range(8))
    assert not alike(begun.hands, kept[0])


def test_a_short_gap_is_bridged(model, videos):
    smoother = TemporalSmoother(model)
    last(smoother, videos, [0, 1, 2])
    bridged = smoother.smooth(*frame(videos, 8))
    fresh = TemporalSmoother(model).smooth(*frame(videos, 8))
    assert not alike(bridged.hands, fresh.hands)


def test_a_repeated_stamp_replaces_the_frame(model, videos):
    smoother = TemporalSmoother(model)
    last(smoother, videos, [0, 1, 2])
    smoother.smooth(*frame(videos, 5, stamp=3 / 30))
    again = smoother.smooth(*frame(videos, 3))
    assert alike(again.hands, last(TemporalSmoother(model), videos, range(4))[0])


def test_reset_forgets(model, videos):
    smoother = TemporalSmoother(model)
    last(smoother, videos, range(4))
    smoother.reset()
    assert alike(smoother.smooth(*frame(videos, 4)).hands, last(TemporalSmoother(model), videos, [4])[0])


def test_mirrored_left_hands_come_out_as_right_ones(model, videos):
    right = last(TemporalSmoother(model), videos, range(6))
    left = last(TemporalSmoother(model), videos, range(6), sides=["left"])
    assert alike(right[0], left[0], 0.0)


def test_a_hand_without_a_track_stays_as_it_is(model, videos):
    smoother = TemporalSmoother(model)
    last(smoother, videos, range(3), rows=(0, 1))
    estimate, time_s = frame(videos, 3, rows=(0, 1), ids=[0, None])
    steadied = smoother.smooth(estimate, time_s)
    assert torch.equal(steadied.hands.joints[1], estimate.hands.joints[1])
    assert not torch.allclose(steadied.hands.joints[0], estimate.hands.joints[0], atol=1e-3)


def test_samples_keep_their_deviations(model, videos):
    smoother = TemporalSmoother(model)
    last(smoother, videos, range(3))
    before, time_s = frame(videos, 3)
    after = smoother.smooth(before, time_s)
    deviations = [one.samples.joints - one.hands.joints[:, None] for one in (before, after)]
    assert torch.allclose(*deviations, atol=1e-5)
    assert torch.allclose(after.samples.rotation[:, 0], after.hands.rotation, atol=1e-4)


def test_hands_without_samples_are_steadied_too(model, videos):
    """As the inverse kinematics estimates them, in double precision."""
    smoother, sampled = TemporalSmoother(model), TemporalSmoother(model)
    for number in range(5):
        estimate, time_s = frame(videos, number)
        doubled = HandParameters(*(value.double() for value in estimate.hands))
        steadied = smoother.smooth(replace(estimate, hands=doubled, samples=None, weights=None), time_s)
        with_samples = sampled.smooth(estimate, time_s)
    assert steadied.samples is None
    assert all(bool(value.isfinite().all()) for value in steadied.hands)
    assert not torch.allclose(steadied.hands.joints, estimate.hands.joints, atol=1e-3)
    # The samples' mean is the hand, so that only the spread, which is not known now, makes a difference.
    assert torch.allclose(steadied.hands.joints, with_samples.hands.joints, atol=0.1)


def test_a_frame_without_hands_passes(model):
    estimate = EstimatedHands([])
    assert TemporalSmoother(model).smooth(estimate, 1.0) is estimate


def test_proportions_are_those_of_the_track(model, videos):
    smoother = TemporalSmoother(model)
    for number, size in enumerate((1.0, 1.1, 0.9)):
        estimate, time_s = frame(videos, number)
        fused = estimate.hands._replace(proportions=estimate.hands.proportions * size)
        steadied = smoother.smooth(replace(estimate, hands=fused), time_s).hands
    mean = frame(videos, 0)[0].hands.proportions
    assert torch.allclose(steadied.proportions, mean, rtol=0.04)
    assert not torch.allclose(steadied.proportions, fused.proportions, rtol=0.04)


def test_window_and_weights(model, tmp_path):
    with pytest.raises(ValueError, match="window must lie in"):
        TemporalSmoother(model, 6)
    path = tmp_path / "temporal.safetensors"
    save_weights(path, model, "temporal", model.config.to_dict())
    loaded = load_network(path, TEMPORAL).network
    assert loaded.config == model.config
    assert torch.equal(loaded.embed.weight, model.embed.weight)
