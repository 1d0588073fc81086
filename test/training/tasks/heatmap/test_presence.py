"""The head of the presence is learned by itself, and tells hands, sides and absences apart."""

from __future__ import annotations

import pytest
import torch
from helpers.image_networks import drawn_hands

from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.networks.heatmap.config import HeatmapConfig
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork
from hand_pose_ros.networks.registry import HAND_HEATMAP, load_network
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.training.tasks.heatmap import task as task_module
from hand_pose_ros.training.tasks.heatmap.presence import mirrored_at_random, presence_terms
from hand_pose_ros.training.tasks.heatmap.task import HeatmapTraining

NETWORK = {"variant": "fast", "image_size": 32, "width": 16}


@pytest.fixture
def given(tmp_path):
    """Options of a run that starts from weights without the head."""
    save_shard(tmp_path / "images" / "one", drawn_hands(8), 0, {})
    torch.manual_seed(1)
    network = HeatmapNetwork(HeatmapConfig(**NETWORK)).eval()
    path = tmp_path / "weights.safetensors"
    save_weights(path, network, HAND_HEATMAP, network.config.to_dict())
    folder = str(tmp_path / "images")
    data = {
        "rendered": [folder],
        "validation_rendered": [folder],
        "batch_size": 6,
        "negatives": 4,
        "held_back": 4,
    }
    return {
        "data": data,
        "network": {**NETWORK, "presence": True},
        "warm_start": str(path),
        "only_presence": True,
    }


def test_only_the_head_is_trained(given):
    torch.manual_seed(2)
    task = HeatmapTraining.from_options(given)
    before = {name: value.clone() for name, value in task.model.state_dict().items()}
    trained = [one for one in task.model.parameters() if one.requires_grad]
    optimiser = torch.optim.AdamW(trained, 1e-2)
    task.model.train()
    for step in range(4):
        terms = task.losses(torch.Generator().manual_seed(step))
        assert terms.keys() == {"presence", "side"}
        optimiser.zero_grad()
        sum(terms.values()).backward()
        optimiser.step()
    after = task.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("presence.") for name in changed)
    assert task.learning_rates == {}
    figures = task.validate(task.model.eval())
    assert set(figures) == {"rendered_recall", "rendered_false", "rendered_side"}
    assert all(0 <= value <= 1 for value in figures.values())


def test_weights_with_the_head_are_stored_and_old_ones_still_load(given, tmp_path):
    task = HeatmapTraining.from_options(given)
    path = tmp_path / "new.safetensors"
    save_weights(path, task.model.eval(), HAND_HEATMAP, task.metadata())
    new, old = load_network(path).network, load_network(given["warm_start"]).network
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for one, other in zip(new(images), old(images), strict=True):
        torch.testing.assert_close(one, other)
    logits = new.stages(images)[-1].hand
    torch.testing.assert_close(logits, new.hand_logits(images))
    assert logits.shape == (2, 2)
    assert old.stages(images)[-1].hand is None


def test_the_landmark_network_is_read_only_for_what_a_warm_start_lacks(given, tmp_path, monkeypatch):
    whole = HeatmapTraining.from_options(given)
    path = tmp_path / "whole.safetensors"
    save_weights(path, whole.model.eval(), HAND_HEATMAP, whole.metadata())

    def refuse(_name):
        raise AssertionError("the landmark network was read")

    monkeypatch.setattr(task_module, "read_stored", refuse)
    again = HeatmapTraining.from_options({**given, "warm_start": str(path)})
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(again.model.state_dict()[name], value)
    with pytest.raises(AssertionError, match="was read"):
        HeatmapTraining.from_options(given)


def test_terms_are_small_for_right_answers_only():
    right = torch.tensor((True, False))
    logits = torch.tensor(((9.0, 9.0), (9.0, -9.0), (-9.0, 9.0)))
    weight = torch.ones(2)
    good = presence_terms(logits, 2, right, weight)
    assert all(float(term) < 1e-3 for term in good.values())
    assert all(float(term) > 1 for term in presence_terms(-logits, 2, right, weight).values())
    # The crop without a hand has no side.
    other = logits.clone()
    other[2, 1] = -9
    assert presence_terms(other, 2, right, weight)["side"] == good["side"]
    # Hands and absences weigh the same, however many there are.
    wrong = torch.tensor(((9.0, 0.0), (9.0, 0.0), (9.0, 0.0)))
    assert float(presence_terms(wrong, 2, right, weight)["presence"]) == pytest.approx(4.5, abs=0.01)


def test_mirrored_crops_show_the_other_side():
    images = torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    mirrored, kept = mirrored_at_random(images, 30, torch.Generator().manual_seed(1))
    assert kept.shape == (30,)
    assert 5 < int(kept.sum()) < 25
    for row, same in enumerate(kept.tolist()):
        torch.testing.assert_close(mirrored[row], images[row] if same else images[row].flip(-1))


@pytest.mark.parametrize(
    "bad", [{"warm_start": ""}, {"network": NETWORK}, {"data": {"rendered": ["x"], "negatives": 0}}]
)
def test_what_the_head_needs_is_asked_for(given, bad):
    with pytest.raises(ValueError, match="only_presence needs"):
        HeatmapTraining.from_options({**given, **bad})


def test_only_the_fast_variant_has_the_head():
    with pytest.raises(ValueError, match="presence"):
        HeatmapConfig(variant="latent", presence=True)
