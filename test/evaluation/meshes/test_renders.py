"""Meshes are scored through the node's crops: a network that tells the truth has no error, on either side."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.image_networks import drawn_hands
from helpers.mesh_networks import small_mesh_config, small_mesh_network

from hand_pose_ros.detection.mediapipe.finders import create_finders
from hand_pose_ros.evaluation.calibration.command import fit_spread_scale
from hand_pose_ros.evaluation.meshes import command
from hand_pose_ros.evaluation.meshes.renders import (
    EDGE_STRETCH,
    edge_stretch,
    read_renders,
    scores_of,
    true_conditions,
)
from hand_pose_ros.evaluation.meshes.runs import FIGURES
from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.mesh.skinning import pose_mesh
from hand_pose_ros.networks.registry import MESH_DIFFUSION, load_network
from hand_pose_ros.networks.weights import save_weights


@pytest.fixture(scope="module")
def hands():
    _, finder = create_finders(device="cpu", threads=1)
    return read_renders(drawn_hands(6), finder, small_mesh_config().encoder)


class Truthful:
    """Draws the true meshes in their crops, each with an offset of its fingers."""

    config = small_mesh_config()

    def __init__(self, hands, spread=0.0):
        self.meshes = (hands.truth @ hands.read.turn).float()
        self.spread, self.inputs = spread, hands.read.inputs

    def hypotheses(self, inputs, sign, noise, steps, conditions=None):
        del sign, steps
        same = (inputs[:, None] == self.inputs).flatten(2).all(-1)
        meshes = self.meshes[same.int().argmax(1)][:, None]
        along = torch.linspace(-1, 1, len(noise))[:, None, None]
        return meshes * (1 + self.spread * along)


def test_a_network_that_tells_the_truth_has_no_error(hands):
    assert len(hands.truth) >= 4
    assert set(hands.read.sign.tolist()) == {-1.0, 1.0}
    scores = scores_of(hands, Truthful(hands), steps=1, samples=2)
    assert scores["MPVPE mm"] < 1e-2
    assert scores["F@5"] == pytest.approx(1.0)
    assert scores[EDGE_STRETCH] == pytest.approx(1.0, abs=1e-2)


def test_true_conditions_lie_on_the_hand(hands):
    config = small_mesh_config(conditions=("depth", "silhouette", "keypoints"), condition_size_px=56)
    given = true_conditions(hands, config)
    assert tuple(given) == config.conditions
    peaks = given["keypoints"].flatten(2).argmax(-1)
    joints = torch.stack((peaks % 56, peaks // 56), -1) / 28 - 1
    # The labels, in half extents of the stored images, through the rotations to the crops that are read.
    drawn = drawn_hands(6)
    labels = torch.from_numpy(drawn.points.astype(float))
    rays = labels * torch.from_numpy(drawn.half_extent.astype(float))[:, None, None]
    rays = torch.cat((rays, torch.ones_like(rays[..., :1])), -1)
    to_crop = hands.read.turn.mT @ hands.read.view.rotation.double()
    rays = rays @ to_crop.mT[:, None]
    found = rays[..., :2] / rays[..., 2:] / hands.read.half_extent[:, None, None, None]
    error = (joints[:, None] - found).norm(dim=-1)
    assert error.median(-1).values.min(-1).values.max() < 0.04
    seen = given["silhouette"].flatten(1).gather(1, peaks)
    assert seen.mean() > 0.8
    depth, known = given["depth"].unbind(1)
    assert torch.equal(known, given["silhouette"][:, 0])
    assert depth[known == 0].eq(0).all()
    assert 0.1 < depth[known == 1].std() < 1.0


def test_the_spread_is_calibrated_to_the_error(hands):
    """Hypotheses that grow and shrink by 20 % around a hand that is 10 % too large."""
    network = Truthful(hands, spread=0.2)
    network.meshes = 1.1 * network.meshes
    errors = command.hypotheses_errors(hands, network, 1, 3)
    scale = fit_spread_scale(errors._replace(common=0 * errors.common))
    assert scale == pytest.approx(0.1 / (1.1 * 0.2 * np.sqrt(2 / 3)), rel=0.02)


def test_edge_stretch_is_relative_to_the_truth():
    angles = torch.zeros(2, 38)
    truth = pose_mesh(angles, torch.ones(2, 20))
    assert torch.allclose(edge_stretch(truth, truth), torch.ones(()))
    assert torch.allclose(edge_stretch(1.5 * truth, truth), torch.tensor(1.5), atol=1e-3)
    spiked = truth.clone()
    spiked[1, 700] += 1.0
    stretch = edge_stretch(spiked, truth)
    assert torch.allclose(stretch[0], torch.ones(()))
    assert stretch[1].max() > 10


def test_the_command_writes_tables_and_calibrated_weights(tmp_path, capsys):
    save_shard(tmp_path / "rendered" / "one", drawn_hands(6), 0, {})
    network = small_mesh_network(4)
    weights = tmp_path / "mesh.safetensors"
    save_weights(weights, network, MESH_DIFFUSION, network.config.to_dict(), half=True)
    given = ["--weights", str(weights), "--rendered", str(tmp_path / "rendered"), "--samples", "2"]
    document = tmp_path / "results.md"
    document.write_text("<!-- hand_pose evaluate-mesh: begin -->\n<!-- hand_pose evaluate-mesh: end -->\n")
    assert command.main([*given, "--steps", "1", "2", "--docs", str(document)]) == 0
    text = capsys.readouterr().out
    for part in ("PA-MPVPE mm", "| 1 steps |", "| 2 steps |", "2 hypotheses, mean"):
        assert part in text
        assert part in document.read_text()
    output = tmp_path / "calibrated.safetensors"
    assert command.main([*given, "--steps", "2", "--calibrate", str(output)]) == 0
    scale = load_network(output, MESH_DIFFUSION).config.spread_scale
    assert f"spread_scale {scale:.3f}" in capsys.readouterr().out
    assert scale not in (0.0, 1.0)
    assert command.main(["--weights", str(tmp_path / "none"), "--rendered", "x"]) == 2
    assert "there is no weight file" in capsys.readouterr().err


def test_a_network_with_conditions_is_scored_without_and_with_them(tmp_path, capsys):
    save_shard(tmp_path / "rendered" / "one", drawn_hands(4), 0, {})
    network = small_mesh_network(4, conditions=("depth",))
    torch.nn.init.normal_(network.conditions["depth"].last.weight)
    weights = tmp_path / "mesh.safetensors"
    save_weights(weights, network, MESH_DIFFUSION, network.config.to_dict())
    given = ["--weights", str(weights), "--rendered", str(tmp_path / "rendered"), "--samples", "1"]
    assert command.main([*given, "--steps", "1"]) == 0
    rows = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines() if "steps" in line]
    assert [name.strip() for name, _ in rows] == ["1 steps", "1 steps, true depth"]
    assert rows[0][1] != rows[1][1]


def test_runs_are_compared_by_groups_of_seeds(tmp_path, capsys):
    save_shard(tmp_path / "rendered" / "one", drawn_hands(4), 0, {})
    runs = []
    for name, diffusion in (("drawn", True), ("direct", False)):
        for seed in (1, 2):
            runs.append(tmp_path / f"{name}-seed{seed}")
            network = small_mesh_network(seed, diffusion=diffusion)
            save_weights(runs[-1] / "weights.safetensors", network, MESH_DIFFUSION, network.config.to_dict())
    given = ["--rendered", str(tmp_path / "rendered"), "--samples", "1", "--steps", "1", "2"]
    given += ["--output", str(tmp_path / "plots"), "--runs"]
    assert command.main([*given, *map(str, runs)]) == 0
    table = capsys.readouterr().out
    for row in ("| drawn | 1 |", "| drawn | 2 |", "| direct | - |"):
        assert table.count(row) == 1
    assert table.count(" to ") == 3 * len(FIGURES)
    assert (tmp_path / "plots" / command.PLOT).stat().st_size > 1000
    assert command.main([*given, *map(str, runs[:3])]) == 2
    assert "equally many seeds" in capsys.readouterr().err
    assert command.main([*given, str(tmp_path / "none")]) == 2
    assert "does not hold a finished run" in capsys.readouterr().err
