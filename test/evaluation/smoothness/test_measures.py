"""Figures, table and plot of jitter and lag."""

from __future__ import annotations

import pytest
import torch
from helpers.temporal import TINY, noisy_videos

from hand_pose_ros.evaluation.smoothness.command import main, plot, table
from hand_pose_ros.evaluation.smoothness.measures import lag_frames, publish, smoothness
from hand_pose_ros.networks.temporal.transformer import TemporalTransformer
from hand_pose_ros.synthetic.motion.videos import HandVideos


@pytest.fixture(scope="module")
def videos() -> HandVideos:
    return noisy_videos(4, 0.05, stamps_s=(torch.arange(12) / 30).expand(4, -1))


@pytest.fixture(scope="module")
def model() -> TemporalTransformer:
    torch.manual_seed(0)
    return TemporalTransformer(TINY).eval()


def test_lag_is_found(videos):
    truth = videos.true_joints
    delayed = torch.cat((truth[:, :1], truth[:, :-1]), dim=1)
    assert lag_frames(truth, truth) == pytest.approx(0.0, abs=1e-6)
    assert lag_frames(delayed, truth) == pytest.approx(1.0, abs=1e-6)


def test_lost_frames_are_missing_and_nothing_else(videos, model):
    arrived = torch.rand(4, 12, generator=torch.Generator().manual_seed(0)) > 0.4
    published = publish(model, videos, arrived)
    for joints in published:
        assert torch.equal(joints.isfinite().all(-1).all(-1), arrived)


def test_figures_are_those_of_the_obvious_formula(videos, model):
    figures = smoothness(model, videos, torch.Generator().manual_seed(0))
    single = publish(model, videos, torch.ones_like(videos.window.valid)).single
    error = 89 * (single - videos.true_joints)
    assert figures["frame_mm"] == pytest.approx(float(error.norm(dim=-1).mean()), rel=1e-4)
    second = error[:, 2:] - 2 * error[:, 1:-1] + error[:, :-2]
    assert figures["frame_jitter"] == pytest.approx(float(second.norm(dim=-1).mean()), rel=1e-4)
    assert figures["jitter"] < figures["frame_jitter"]
    assert figures["first_mm"] == pytest.approx(figures["first_frame_mm"], rel=0.02)


def test_table_and_plot(videos, model, tmp_path):
    figures = smoothness(model, videos, torch.Generator().manual_seed(0))
    text = table(figures)
    assert text.count("\n") == 7
    assert f"{figures['frame_mm']:.2f}" in text
    whole = publish(model, videos, torch.ones_like(videos.window.valid))
    plot(tmp_path / "plot.png", videos, whole, 2)
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_missing_weights_are_named(tmp_path, capsys):
    weights = str(tmp_path / "none.safetensors")
    with pytest.raises(SystemExit) as stopped:
        main(["--diffusion", weights, "--temporal", weights, "--output", str(tmp_path)])
    assert stopped.value.code == 2
    assert "there is no weight file" in capsys.readouterr().err
