"""The last fit over time: it removes lag, filters the landmarks' noise, and keeps tracks apart."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detection, hands_m

from hand_pose_ros import hand
from hand_pose_ros.estimator.estimate import EstimatedHands, SolvedWrists
from hand_pose_ros.estimator.keypoint_input import keypoint_input
from hand_pose_ros.estimator.last_fit.smoother import LastFit, LastFitConfig
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.inverse import fit_hand
from hand_pose_ros.networks.hand_head import HandParameters

_SIZE_M = hand.MEAN_ANCHOR_LENGTH_M


@cache
def base():
    """A hand in front of the camera, as the inverse kinematics fits it."""
    return fit_hand(hands_m(1), anchor_length_m=_SIZE_M)


def moving(angle, noise_px=0.0, seed=0):
    """Detection of a hand whose index finger is bent by ``angle``, rad, with noisy landmarks."""
    fit = base()
    angles = fit.angles.clone()
    angles[:, hand.ANGLE_INDEX["index_mcp_flexion"]] = angle
    frames = forward_kinematics(
        angles, fit.proportions, fit.frames.rotations[:, 0], fit.frames.joints[:, 0], _SIZE_M
    )
    found = detection(frames.joints[0])
    noise = noise_px * np.random.default_rng(seed).standard_normal((21, 2))
    return replace(found, landmarks_px=found.landmarks_px + noise, track_id=3), fit, angles


def estimate(found, fit, angle, spread=0.1, **changes):
    """A hand whose index finger is estimated to be bent by ``angle``, with samples about it."""
    view, _ = keypoint_input(CAMERA, found)
    angles = fit.angles.clone()
    index = hand.ANGLE_INDEX["index_mcp_flexion"]
    angles[:, index] = angle
    rotation = view.rotation.double() @ fit.frames.rotations[:, 0]
    hands = HandParameters(
        angles, fit.proportions, rotation, *forward_kinematics(angles, fit.proportions, rotation)
    )
    many = angles[:, None].repeat(1, 4, 1)
    many[0, :, index] += spread * torch.tensor((-1.0, 1.0, -1.0, 1.0))
    samples = HandParameters(
        many, fit.proportions[:, None].expand(1, 4, -1), rotation[:, None].expand(1, 4, 3, 3),
        *forward_kinematics(many, fit.proportions[:, None].expand(1, 4, -1), rotation[:, None].expand(1, 4, 3, 3)),
    )  # fmt: skip
    values = {"view": view, "hands": hands, "samples": samples, "weights": torch.full((1, 4), 0.25)}
    return EstimatedHands([found], (0,), {}, **(values | changes))


def index_flexion(result):
    return float(result.hands.angles[0, hand.ANGLE_INDEX["index_mcp_flexion"]])


def test_a_finger_that_trails_is_brought_to_its_landmarks():
    found, fit, _ = moving(0.8)
    result = LastFit(LastFitConfig(noise=0.03, steps=2)).smooth(estimate(found, fit, 0.4, spread=0.4), 0.0)
    assert index_flexion(result) == pytest.approx(0.8, abs=0.12)
    still = LastFit(LastFitConfig(noise=0.03)).smooth(estimate(found, fit, 0.8), 0.0)
    assert index_flexion(still) == pytest.approx(0.8, abs=0.03)


def test_noise_of_the_landmarks_is_averaged_in_a_still_hand():
    spread = {}
    for memory in (0.0, 0.95):
        smoother = LastFit(LastFitConfig(memory=memory, motion=1.0))
        angles = []
        for number in range(30):
            found, fit, _ = moving(0.5, 3.0, number)
            angles.append(index_flexion(smoother.smooth(estimate(found, fit, 0.5), number / 30)))
        spread[memory] = float(np.abs(np.diff(angles[10:], n=2)).mean())
    assert spread[0.95] < 0.5 * spread[0.0]


def test_a_track_starts_again_after_a_gap_and_on_reset():
    def second(gap_s, reset=False, track_id=3, side="right"):
        smoother = LastFit(LastFitConfig(motion=10.0))
        first, fit, _ = moving(0.9)
        smoother.smooth(estimate(first, fit, 0.3), 0.0)
        if reset:
            smoother.reset()
        found, fit, _ = moving(0.5)
        return index_flexion(smoother.smooth(estimate(replace(found, track_id=track_id), fit, 0.5), gap_s))

    alone = second(0.1, reset=True)
    assert second(0.1) > alone + 0.05
    assert second(1.0) == alone
    assert second(-1.0) == alone
    assert second(0.1, track_id=4) == alone
    assert second(0.1, track_id=None) == alone


def test_fast_motion_forgets_the_last_correction():
    smoother = LastFit(LastFitConfig(motion=0.01))
    first, fit, _ = moving(0.9)
    smoother.smooth(estimate(first, fit, 0.3), 0.0)
    found, fit, _ = moving(0.5)
    alone = LastFit().smooth(estimate(found, fit, 0.5), 0.1)
    assert index_flexion(smoother.smooth(estimate(found, fit, 0.5), 0.1)) == pytest.approx(
        index_flexion(alone), abs=1e-6
    )


def test_samples_keep_their_deviations():
    found, fit, _ = moving(0.8)
    before = estimate(found, fit, 0.4)
    after = LastFit().smooth(before, 0.0)
    for one in (before, after):
        torch.testing.assert_close(
            one.samples.joints - one.hands.joints[:, None],
            before.samples.joints - before.hands.joints[:, None],
        )
    assert place(after)[0].valid


def test_hands_without_hypotheses_stay_the_same():
    found, fit, _ = moving(0.8)
    without = estimate(found, fit, 0.4, samples=None, weights=None)
    assert LastFit().smooth(without, 0.0) is without
    solved = estimate(found, fit, 0.4, wrist=SolvedWrists.exact(torch.tensor([[0.0, 0.0, 5.0]])))
    assert LastFit().smooth(solved, 0.0) is solved
    nothing = EstimatedHands([found], (), {0: "why"})
    assert LastFit().smooth(nothing, 0.0) is nothing


def test_bad_options_are_refused():
    for values in ({"memory": 1.0}, {"motion": 0.0}, {"noise": 0.0}, {"steps": 0}):
        with pytest.raises(ValueError, match=next(iter(values))):
            LastFitConfig(**values)
