"""The command measures networks on shards, averages repetitions, and draws their maps."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
from helpers.image_networks import drawn_hands

from hand_pose_ros.evaluation.heatmaps.command import main
from hand_pose_ros.evaluation.heatmaps.runs import read_runs, spread_of
from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.networks.heatmap.config import HeatmapConfig
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork
from hand_pose_ros.networks.registry import HAND_HEATMAP
from hand_pose_ros.networks.weights import save_weights

LATENT = {"image_size": 64, "width": 8, "levels": 3}


def write_run(folder, seed, **config):
    torch.manual_seed(seed)
    network = HeatmapNetwork(HeatmapConfig(**config))
    folder.mkdir(parents=True)
    save_weights(folder / "weights.safetensors", network, HAND_HEATMAP, network.config.to_dict())
    (folder / "summary.json").write_text(json.dumps({"steps": 5 + seed}))
    return folder


@pytest.fixture
def runs(tmp_path):
    folders = [write_run(tmp_path / f"latent_{seed}", seed, **LATENT) for seed in (1, 2)]
    folders.append(write_run(tmp_path / "direct_1", 1, variant="direct", **LATENT))
    folders.append(write_run(tmp_path / "holistic", 1, variant="holistic", image_size=64, resnet_depth=18))
    save_shard(tmp_path / "hands" / "one", drawn_hands(7), 0, {})
    return folders


def test_tables_and_picture(runs, tmp_path, capsys):
    hands, picture = str(tmp_path / "hands"), tmp_path / "maps.png"
    status = main([*map(str, runs), "--rendered", hands, "--held-back", hands, "--picture", str(picture)])
    assert status == 0
    text = capsys.readouterr().out
    assert "Unseen renders: 7 hands" in text
    assert "Photos of unseen sources: 7 hands" in text
    assert "Widths of the heatmaps" in text
    assert [line for line in text.splitlines() if line.startswith("| holistic | - | - |")]
    rows = [line for line in text.splitlines() if line.startswith("| latent | 2 | 6 |")]
    assert len(rows) == 2
    assert rows[0].count("±") == 6  # no hand is solved: its three errors are dashes
    assert rows[1].count("±") == 3
    drawn = cv2.imread(str(picture))
    # Titles and six hands; the crop, three joints of latent and direct: holistic has no maps.
    assert drawn.shape == (44 + 6 * 160, 7 * 160, 3)
    assert drawn.std() > 10


def test_repetitions_are_grouped_by_name(runs):
    groups = read_runs(runs)
    assert {name: len(of_group) for name, of_group in groups.items()} == {
        "latent": 2,
        "direct": 1,
        "holistic": 1,
    }
    spread = spread_of([{"a": 1.0}, {"a": 3.0}])["a"]
    assert spread.mean == 2
    assert spread.deviation == pytest.approx(np.sqrt(2))


@pytest.mark.parametrize("missing", ["summary.json", "weights.safetensors"])
def test_unfinished_runs_are_named(runs, missing, capsys):
    (runs[0] / missing).unlink()
    assert main([str(runs[0]), "--rendered", "nowhere"]) == 2
    assert "latent_1" in capsys.readouterr().err
