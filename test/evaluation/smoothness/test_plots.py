"""The plots of jitter: axes have names and units, and one legend names the lines."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.temporal import noisy_videos
from matplotlib.figure import Figure

from hand_pose_ros import hand
from hand_pose_ros.evaluation.smoothness.command import plot
from hand_pose_ros.evaluation.smoothness.measures import Published
from hand_pose_ros.evaluation.smoothness.videos import VideoJoints, plot_labelled


@pytest.fixture
def saved(monkeypatch) -> list[Figure]:
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    return figures


def legend(figure: Figure) -> list[str]:
    (one,) = figure.legends
    return [text.get_text() for text in one.get_texts()]


def test_labelled_videos_have_a_row_each(saved, tmp_path):
    joints = np.zeros((12, hand.NUM_JOINTS, 3))
    videos = {name: VideoJoints(joints, joints, joints, joints) for name in ("left", "right")}
    plot_labelled(tmp_path / "labelled.png", videos)
    (figure,) = saved
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == [f"{name}, {axis}" for name in videos for axis in "xyz"]
    assert [axes.get_xlabel() for axes in figure.axes[-3:]] == 3 * ["frame"]
    assert {axes.get_ylabel() for axes in figure.axes[::3]} == {"mm"}
    assert legend(figure) == ["labels", "per frame", "temporal"]


def test_generated_videos_have_a_row_each(saved, tmp_path):
    videos = noisy_videos(4, 0.05, stamps_s=(torch.arange(12) / 30).expand(4, -1))
    plot(tmp_path / "generated.png", videos, Published(videos.true_joints, videos.true_joints), 3)
    (figure,) = saved
    assert figure.axes[4].get_title() == "video 2: thumb tip"
    assert [axes.get_xlabel() for axes in figure.axes[-3:]] == 3 * ["time (s)"]
    assert [axes.get_ylabel() for axes in figure.axes[::3]] == [
        f"{axis} from the wrist (mm)" for axis in "xyz"
    ]
    assert legend(figure) == ["truth", "per frame", "temporal"]
