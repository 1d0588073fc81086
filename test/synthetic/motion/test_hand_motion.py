"""Generated hand motion, time stamps, and noise that is correlated over time."""

from __future__ import annotations

import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.synthetic.detector.noise import NO_VARIETY, DetectorNoise
from hand_pose_ros.synthetic.detector.noise_over_time import MotionNoise, MotionNoiseConfig, mixing_weights
from hand_pose_ros.synthetic.motion.frame_stamps import random_stamps
from hand_pose_ros.synthetic.motion.hand_motion import sample_motion
from hand_pose_ros.synthetic.motion.minimum_jerk import minimum_jerk, movement_shares, oscillation
from hand_pose_ros.synthetic.observed_hands import observe
from hand_pose_ros.synthetic.poses.sampler import PoseSampler


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def motion():
    stamps = (torch.arange(60) / 240).expand(24, -1)  # fine steps show jumps
    return sample_motion(24, 60, PoseSampler(), generator(), stamps)


def test_minimum_jerk_rests_at_both_ends():
    share = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    value = minimum_jerk(share)
    (velocity,) = torch.autograd.grad(value.sum(), share, create_graph=True)
    (acceleration,) = torch.autograd.grad(velocity.sum(), share)
    assert torch.equal(value, torch.tensor([0.0, 1.0], dtype=torch.float64))
    assert torch.allclose(velocity, torch.zeros(2, dtype=torch.float64))
    assert torch.allclose(acceleration, torch.zeros(2, dtype=torch.float64))
    assert torch.equal(minimum_jerk(torch.tensor([-1.0, 0.5, 3.0])), torch.tensor([0.0, 0.5, 1.0]))


def test_movements_follow_one_another_and_may_overlap():
    times = torch.linspace(0, 3, 31)
    shares = movement_shares(times, torch.tensor([0.5, 1.0]), torch.tensor([1.0, 1.5]))
    assert shares.shape == (31, 2)
    assert torch.equal(shares[times <= 0.5], torch.zeros(int((times <= 0.5).sum()), 2))
    assert torch.allclose(shares[times >= 2.5], torch.ones(int((times >= 2.5).sum()), 2))
    assert bool((shares.diff(dim=0) >= 0).all())


def test_oscillation_stays_in_its_band():
    times = (torch.arange(1200) / 120).expand(3, -1)
    waves = oscillation(times, 2, 6.0, 12.0, generator())
    power = torch.fft.rfft(waves, dim=1).abs().square()
    frequency = torch.fft.rfftfreq(1200, 1 / 120)
    inside = (frequency >= 5.5) & (frequency <= 12.5)
    assert float(power[:, inside].sum() / power.sum()) > 0.95
    assert float(waves.square().mean()) == pytest.approx(1.0, abs=0.15)


def test_stamps_rise_at_the_rates_of_cameras():
    stamps = random_stamps(500, 24, generator())
    gaps = stamps.diff(dim=1)
    assert torch.equal(stamps[:, 0], torch.zeros(500))
    assert bool((gaps > 0).all())
    median = gaps.median(dim=1).values
    assert float(median.min()) > 1 / 75
    assert float(median.max()) < 1 / 7
    assert float((gaps > 1.7 * median[:, None]).float().mean()) > 0.02  # dropped frames


def test_motion_is_within_the_limits_and_in_front_of_the_camera(motion):
    assert motion.angles.shape == (24, 60, hand.NUM_ANGLES)
    assert bool(angle_bounds().contains(motion.angles, 1e-5).all())
    assert bool(proportion_bounds().contains(motion.proportions, 1e-5).all())
    eye = motion.rotation @ motion.rotation.transpose(-1, -2)
    assert torch.allclose(eye, torch.eye(3).expand_as(eye), atol=1e-4)
    relative = motion.joints() @ motion.rotation.transpose(-1, -2)
    in_camera = relative * motion.anchor_length_m[:, None, None, None] + motion.wrist_m[:, :, None]
    assert float(in_camera[..., 2].min()) > 0.03


def test_motion_has_no_jumps(motion):
    step = 1 / 240
    # The fastest minimum-jerk movement: 1.875 times the range over the shortest duration, tremor beside it.
    assert float(motion.angles.diff(dim=1).abs().max()) < 1.875 * 2.3 / 0.06 * step + 0.05
    acceleration = motion.angles.diff(n=2, dim=1).abs()
    assert float(acceleration.median()) < 0.004
    moved = (motion.angles[:, -1] - motion.angles[:, 0]).abs().amax(-1)
    assert float((moved > 0.3).float().mean()) > 0.3


def test_offset_angles_belong_to_the_person(motion):
    offsets = motion.angles[..., hand.NUM_ARTICULATION :]
    assert torch.equal(offsets, offsets[:, :1].expand_as(offsets))


def test_motion_is_reproducible_by_seed():
    first, again, other = (sample_motion(3, 8, PoseSampler(), generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.angles, other.angles)


def test_no_frame_is_refused():
    with pytest.raises(ValueError, match="frames must be at least 1"):
        sample_motion(2, 0, PoseSampler(), generator())


def test_mixing_keeps_the_systematic_part_and_the_size_of_the_random_one():
    weights = mixing_weights(random_stamps(50, 30, generator()), MotionNoiseConfig(), generator())
    assert weights.shape == (50, 30, hand.NUM_JOINTS, 4)
    ones = torch.ones(50, 30, hand.NUM_JOINTS)
    assert torch.allclose(weights.sum(-1), ones, atol=1e-4)
    assert torch.allclose(weights.square().sum(-1), ones, atol=1e-4)


def test_errors_of_neighbouring_frames_are_alike():
    motion = sample_motion(12, 20, PoseSampler(), generator(), (torch.arange(20) / 30).expand(12, -1))
    joints = motion.joints().flatten(0, 1)
    clean = observe(joints, motion.view(), DetectorNoise(0.0, variety=NO_VARIETY), generator())
    noisy = observe(joints, motion.view(), MotionNoise(motion.stamps_s), generator())
    again = observe(joints, motion.view(), MotionNoise(motion.stamps_s), generator())
    assert torch.equal(noisy.rays, again.rays)
    direction = [torch.nn.functional.normalize(hands.rays, dim=-1) for hands in (clean, noisy)]
    error = (direction[1] - direction[0]).unflatten(0, (12, 20))
    typical = error.norm(dim=-1).median()
    assert float(typical) > 1e-3
    assert float(error.diff(dim=1).norm(dim=-1).median()) < 0.5 * float(typical)
    later = (error[:, 15:] - error[:, :5]).norm(dim=-1).median()
    assert float(later) > 2 * float(error.diff(dim=1).norm(dim=-1).median())


def test_a_single_draw_cannot_be_mixed():
    with pytest.raises(ValueError, match="draws must be at least 2"):
        MotionNoiseConfig(draws=1)
