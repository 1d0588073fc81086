"""The temporal transformer, its windows, and its training."""

from __future__ import annotations

import pytest
import torch
from helpers.temporal import FRAMES, TINY, noisy_videos

from hand_pose_ros import hand
from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.evaluation.smoothness.measures import lag_frames, publish
from hand_pose_ros.networks.temporal.transformer import TemporalConfig, TemporalTransformer, frame_features
from hand_pose_ros.networks.temporal.window import (
    HandWindow,
    newest_valid,
    running_proportions,
    samples_sigma,
)
from hand_pose_ros.synthetic.motion.video_bank import (
    Windows,
    cut_windows,
    load_videos,
    random_clips,
    save_videos,
)
from hand_pose_ros.synthetic.motion.videos import HandVideos
from hand_pose_ros.training.tasks.temporal import TemporalOptions, TemporalSmoothing


@pytest.fixture(scope="module")
def videos() -> HandVideos:
    return noisy_videos(6)


@pytest.fixture
def windows(videos) -> Windows:
    return cut_windows(videos, TINY.window)


@pytest.fixture
def model() -> TemporalTransformer:
    """With a correction that is not zero, so that everything takes part."""
    torch.manual_seed(0)
    model = TemporalTransformer(TINY).eval()
    for layer in (model.correction, model.mixing.query):
        torch.nn.init.normal_(layer.weight, std=0.05)
    return model


def some(windows: Windows, frames: slice) -> HandWindow:
    return HandWindow(*(value[:, frames] for value in windows.window))


def test_shapes_and_limits(model, windows):
    hands = model(windows.window, windows.proportions)
    count = 6 * (FRAMES - 4)
    assert hands.angles.shape == (count, 5, hand.NUM_ANGLES)
    assert hands.joints.shape == (count, 5, hand.NUM_JOINTS, 3)
    assert torch.allclose(torch.linalg.det(hands.rotation), torch.ones(count, 5), atol=1e-4)
    assert torch.equal(hands.proportions[:, 3], windows.proportions)


def test_newest_only_is_the_last_frame_of_all(model, windows):
    every = model(windows.window, windows.proportions)
    newest = model(windows.window, windows.proportions, newest_only=True)
    for one, other in zip(every, newest, strict=True):
        assert torch.allclose(one[:, -1:], other, atol=1e-5)


def test_what_is_hidden_changes_nothing(model, windows):
    window = windows.window
    valid = window.valid.clone()
    valid[:, 1], valid[:, 3] = False, False
    shown = model(window._replace(valid=valid), windows.proportions)
    nan = torch.tensor(torch.nan)
    hidden = (~valid)[..., None, None]
    changed = window._replace(
        valid=valid,
        joints=torch.where(hidden, nan, window.joints),
        sigma=torch.where(hidden[..., 0], nan, window.sigma),
        angles=torch.where(hidden[..., 0], nan, window.angles),
        rotation=torch.where(hidden, nan, window.rotation),
    )
    for one, other in zip(shown, model(changed, windows.proportions), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_missing_frames_are_as_if_they_never_were(model, windows):
    short = model(some(windows, slice(2, None)), windows.proportions)
    valid = windows.window.valid.clone()
    valid[:, :2] = False
    masked = model(windows.window._replace(valid=valid), windows.proportions)
    assert torch.allclose(short.joints, masked.joints[:, 2:], atol=1e-5)


def test_a_window_of_one_starts_as_the_frames_own_hand(windows):
    torch.manual_seed(0)
    untrained = TemporalTransformer(TINY).eval()
    window = some(windows, slice(-1, None))
    hands = untrained(window, windows.proportions)
    assert torch.allclose(hands.angles, window.angles, atol=1e-3)
    assert torch.allclose(hands.rotation, window.rotation, atol=1e-4)


def test_only_differences_of_time_count(model, windows):
    hands = model(windows.window, windows.proportions)
    later = windows.window._replace(stamps_s=windows.window.stamps_s + 100)
    assert torch.allclose(hands.joints, model(later, windows.proportions).joints, atol=1e-3)
    slower = windows.window._replace(stamps_s=windows.window.stamps_s * 2)
    assert not torch.allclose(hands.joints, model(slower, windows.proportions).joints, atol=1e-3)


def test_unknown_sigma_is_a_typical_one(model, windows):
    unknown = windows.window._replace(sigma=torch.full_like(windows.window.sigma, torch.nan))
    assert bool(model(unknown, windows.proportions).joints.isfinite().all())
    assert bool(frame_features(unknown).isfinite().all())


def test_wrong_shapes_are_refused(model, windows):
    with pytest.raises(ValueError, match="proportions must have shape"):
        model(windows.window, windows.proportions[:, :19])
    with pytest.raises(ValueError, match="sigma must have shape"):
        model(windows.window._replace(sigma=windows.window.sigma[..., :20]), windows.proportions)


def test_configuration_round_trip():
    assert TemporalConfig.from_dict(TINY.to_dict()) == TINY
    with pytest.raises(ValueError, match="width must be even and a multiple of heads"):
        TemporalConfig(width=50, heads=4)
    with pytest.raises(ValueError, match=r"unknown key: TemporalConfig\.depth"):
        TemporalConfig.from_dict({"depth": 3})


def test_windows_are_in_the_view_of_their_newest_frame(videos, windows):
    second = 1  # frames 1 to 5 of the first video
    view = videos.views[0, 5]
    assert torch.equal(windows.view[second], view)
    expected = videos.true_joints[0, 1:6] @ view.T
    assert torch.allclose(windows.true_joints[second], expected, atol=1e-5)
    assert torch.allclose(windows.window.joints[second], videos.window.joints[0, 1:6] @ view.T, atol=1e-5)


def test_newest_valid_frame():
    valid = torch.tensor([[True, True, False], [True, False, True], [False, False, False]])
    assert newest_valid(valid).tolist() == [1, 2, 2]


def test_proportions_are_averaged_so_far():
    proportions, sigma = torch.rand(1, 4, 20), torch.full((1, 4, 21), 0.05)
    valid = torch.tensor([[False, True, True, True]])
    mean = running_proportions(proportions, sigma, valid)
    assert torch.allclose(mean[0, 0], proportions[0, 1])
    assert torch.allclose(mean[0, 3], proportions[0, 1:].mean(0))
    sigma[0, 3] = 0.5
    assert float((running_proportions(proportions, sigma, valid)[0, 3] - mean[0, 2]).abs().max()) < 0.02


def test_sigma_of_samples():
    samples = 0.3 * torch.randn(4000, 21, 3, generator=torch.Generator().manual_seed(0))
    equal = torch.full((4000,), 1 / 4000)
    assert torch.allclose(samples_sigma(samples), torch.full((21,), 0.3), atol=0.01)
    assert torch.allclose(samples_sigma(samples, equal), samples_sigma(samples), atol=1e-5)
    assert bool(samples_sigma(samples[:1]).isnan().all())


def test_clips_are_cut_at_random_with_something_to_see(videos):
    clips = random_clips(videos, 400, 7, 5, 0.5, torch.Generator().manual_seed(0))
    valid = clips.window.valid
    assert clips.true_angles.shape[:2] == (400, 7)
    assert bool((clips.window.stamps_s.diff(dim=1) > 0).all())
    assert bool(valid.unfold(1, 5, 1).any(-1).all())
    assert 0.05 < float((~valid).float().mean()) < 0.5
    again = random_clips(videos, 400, 7, 5, 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(clips.window.joints, again.window.joints)
    with pytest.raises(ValueError, match="cannot be cut"):
        random_clips(videos, 4, FRAMES + 1, 7, 0.5, torch.Generator())
    with pytest.raises(ValueError, match="frames must lie in"):
        random_clips(videos, 4, 10, 5, 0.5, torch.Generator())


def test_a_bank_is_kept_in_a_file(videos, tmp_path):
    path = tmp_path / "bank.pt"
    save_videos(path, videos, {"videos": 6})
    assert torch.equal(load_videos(path, {"videos": 6}).window.joints, videos.window.joints)
    with pytest.raises(ValueError, match="was made with"):
        load_videos(path, {"videos": 7})


def test_training_removes_noise_without_lag():
    stamps = (torch.arange(FRAMES) / 30).expand(6, -1)
    videos = noisy_videos(6, 0.08, stamps_s=stamps)
    task = TemporalSmoothing(
        TemporalOptions(diffusion="", batch_size=10, network=TINY), lambda observed, generator: None
    )
    task._bank = videos
    optimiser = torch.optim.AdamW(task.model.parameters(), 3e-3)
    for step in range(60):
        terms = task.losses(torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
    published = publish(task.model, videos, torch.ones_like(videos.window.valid))
    errors = [joints - videos.true_joints for joints in (published.single, published.temporal)]
    single, temporal = (float(error[:, 4:].norm(dim=-1).mean()) for error in errors)
    assert temporal < 0.75 * single
    jitter, smoothed = (float(error.diff(n=2, dim=1).norm(dim=-1).mean()) for error in errors)
    assert smoothed < 0.5 * jitter
    assert abs(lag_frames(published.temporal, videos.true_joints)) <= 1.0


def test_options_of_the_task():
    options = read_dataclass(TemporalOptions, {"diffusion": "x", "network": {"window": 4}, "losses": {}})
    assert options.network.window == 4
    with pytest.raises(ValueError, match="missing key: diffusion"):
        TemporalSmoothing.from_options({})
    with pytest.raises(ValueError, match="there is no weight file"):
        TemporalSmoothing.from_options({"diffusion": "nowhere.safetensors"})
