"""The ablation: its configurations differ in one thing, and its runs are measured on the same hands."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers.image_networks import drawn_hands, small_config, small_network

from hand_pose_ros.evaluation.images import ablation
from hand_pose_ros.hand_images.detections import ImageDetections
from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.networks.diffusion.image_baseline import HandImageRegressor, HandImageRegressorConfig
from hand_pose_ros.networks.registry import IMAGE_HAND_DIFFUSION, IMAGE_HAND_REGRESSOR
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.training.config import read_config
from hand_pose_ros.training.config_files import differences

DIFFERENCES = {
    "baseline": {"task": "image_hand_regressor"},
    "contrastive": {"options.data.pairs": True, "options.image_losses.contrastive": 0.1},
    "no_real": {"options.data.share_real": 0.0},
    "resnet34": {"options.network.image.depth": 34},
}


def test_configurations_differ_in_what_their_names_say(repository):
    folder = repository / "config" / "training" / "ablation"
    first = read_config(folder / "diffusion.yaml").to_dict()
    assert {path.stem for path in folder.iterdir()} == {"diffusion", *DIFFERENCES}
    for name, expected in DIFFERENCES.items():
        other = read_config(folder / f"{name}.yaml").to_dict()
        found = {key: value for key, (_, value) in differences(first, other).items()}
        assert found == expected, name


def write_run(folder, kind, network):
    folder.mkdir()
    save_weights(folder / "weights.safetensors", network, kind, network.config.to_dict())
    (folder / "summary.json").write_text(json.dumps({"steps": 7, "seconds": 120.0}))


@pytest.fixture
def runs(tmp_path):
    torch.manual_seed(0)
    regressor = {"head_width": 32, "condition": {"width": 32, "blocks": 1}}
    config = {"image": small_config().to_dict()["image"], "regressor": regressor}
    baseline = HandImageRegressor(HandImageRegressorConfig.from_dict(config)).eval()
    write_run(tmp_path / "baseline", IMAGE_HAND_REGRESSOR, baseline)
    write_run(tmp_path / "diffusion", IMAGE_HAND_DIFFUSION, small_network())
    save_shard(tmp_path / "rendered" / "one", drawn_hands(5), 0, {})
    return tmp_path


def test_a_table_has_a_row_for_everything_that_can_be_read_off_a_run(runs, monkeypatch, capsys):
    def detections(images, detector, cache, name):
        points, joints = images.points.astype(np.float64), images.joints.astype(np.float64)
        points[1] = np.nan
        known = np.ones(points.shape[:2], bool)
        return ImageDetections(points, joints[..., 2], joints, known, known[:, 0])

    monkeypatch.setattr(ablation, "cached_detections", detections)
    arguments = [f"{runs}/baseline", f"{runs}/diffusion", "--rendered", f"{runs}/rendered"]
    assert ablation.main(arguments) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == ["baseline", "diffusion, D", "diffusion, D*"]
    cells = [[cell.strip() for cell in row.split("|")[2:-1]] for row in rows]
    assert all(row[:2] == ["7", "2"] and row[-1] == "-" for row in cells)
    assert all(float(cell) > 0 for row in cells for cell in row[2:-1])
    assert cells[1][-2] == cells[2][-2]
    assert cells[1][2] != cells[2][2]


def test_what_is_no_finished_run_is_refused(runs, capsys):
    (runs / "baseline" / "summary.json").unlink()
    assert ablation.main([f"{runs}/baseline", "--rendered", f"{runs}/rendered"]) == 2
    assert "does not hold a finished run" in capsys.readouterr().err
