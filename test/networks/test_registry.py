"""One function loads every kind of weight file, as the network that was stored; it refuses everything else."""

from __future__ import annotations

import json
import resource
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from hand_pose_ros.common.late_import import import_named
from hand_pose_ros.networks.condition import ConditionConfig
from hand_pose_ros.networks.registry import (
    DENOISERS,
    HAND_DIFFUSION,
    HAND_REGRESSOR,
    IMAGE_HAND_DIFFUSION,
    MESH_DIFFUSION,
    NETWORKS,
    TEMPORAL,
    load_network,
    shipped_weights,
)
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.training.task import TASKS


def stored(tmp_path, kind):
    """A network that is not the default one, and its file."""
    network_class = import_named(NETWORKS[kind])
    config = network_class.config_class()
    if kind == TEMPORAL:
        config = replace(config, window=3)
    elif kind == HAND_REGRESSOR:
        config = replace(config, condition=ConditionConfig(width=32, blocks=1))
    network = network_class(config)
    if kind in DENOISERS:
        network.spread_scale.fill_(1.25)
    path = tmp_path / f"{kind}.safetensors"
    save_weights(path, network, kind, config.to_dict())
    return network, path


@pytest.mark.parametrize("kind", NETWORKS)
def test_a_file_of_any_kind_gives_its_network_ready_to_run(tmp_path, kind):
    network, path = stored(tmp_path, kind)
    for loaded in (load_network(path), load_network(str(path), "other", kind, device=torch.device("cpu"))):
        assert type(loaded.network) is type(network)
        assert (loaded.kind, loaded.config, loaded.network.config) == (kind, network.config, network.config)
        assert loaded.spread_scale == (1.25 if kind in DENOISERS else None)
        assert not loaded.network.training
        assert not any(parameter.requires_grad for parameter in loaded.network.parameters())
        for name, tensor in network.state_dict().items():
            assert torch.equal(loaded.network.state_dict()[name], tensor), name


def test_every_network_has_a_task_that_trains_it():
    assert NETWORKS.keys() == TASKS.keys()


def test_the_network_goes_to_the_device(tmp_path):
    _, path = stored(tmp_path, TEMPORAL)
    assert next(load_network(path, device="meta").network.parameters()).is_meta


def test_another_kind_than_expected_is_refused():
    with pytest.raises(ValueError, match="holds weights of 'hand_diffusion', expected 'temporal'"):
        load_network(shipped_weights(HAND_DIFFUSION), TEMPORAL)
    with pytest.raises(ValueError, match="expected 'hand_regressor' or 'temporal'"):
        load_network(shipped_weights(HAND_DIFFUSION), HAND_REGRESSOR, TEMPORAL)


def test_an_unknown_kind_is_refused_and_the_known_are_listed(tmp_path):
    save_weights(tmp_path / "w", torch.nn.Linear(2, 2), "lifter", {})
    with pytest.raises(
        ValueError, match=r"w holds weights of 'lifter'; known are hand_diffusion, .*temporal"
    ):
        load_network(tmp_path / "w")


@pytest.mark.parametrize("entry", [{"kind": TEMPORAL}, {"config": {}}, {"kind": TEMPORAL, "config": None}])
def test_a_file_without_kind_or_configuration_is_refused(tmp_path, entry):
    text = json.dumps({"format_version": 1, **entry})
    save_file({"weight": torch.zeros(2)}, tmp_path / "w", {"hand_pose_ros": text})
    with pytest.raises(ValueError, match="w holds 1 tensors but no configuration"):
        load_network(tmp_path / "w")


def test_a_configuration_or_tensors_that_do_not_fit_are_refused(tmp_path):
    network, path = stored(tmp_path, TEMPORAL)
    save_weights(path, network, TEMPORAL, {"depth": 3})
    with pytest.raises(ValueError, match=r"temporal\.safetensors: unknown key: TemporalConfig\.depth"):
        load_network(path)
    save_weights(path, network, HAND_DIFFUSION, {})
    with pytest.raises(ValueError, match="do not fit the network 'hand_diffusion'"):
        load_network(path)


ABSURD = {
    "a billion layers": (TEMPORAL, {"layers": 10**9}, "larger network than"),
    "a billion channels": (TEMPORAL, {"width": 2 * 10**9, "heads": 1}, "larger network|no network"),
    "wide blocks": (TEMPORAL, {"hidden": 10**6}, "larger network than"),
    "more channels than numbers": (TEMPORAL, {"width": 2 * 10**30, "heads": 1}, "no network can be built"),
    "a long window": (TEMPORAL, {"window": 10**9}, "window must be at most"),
    "many steps": (HAND_DIFFUSION, {"steps": 10**12}, "steps must lie in"),
    "no channels": (HAND_DIFFUSION, {"channels": []}, "channels"),
    "negative channels": (HAND_DIFFUSION, {"channels": [-3]}, "channels"),
    "a deep head": (HAND_DIFFUSION, {"head_blocks": 10**9}, "larger network than"),
    "a wide condition": (HAND_DIFFUSION, {"condition": {"width": 10**7}}, "larger network than"),
    "large crops": (IMAGE_HAND_DIFFUSION, {"image": {"size_px": 32 * 10**9}}, "size_px must be"),
    "many vertices": (MESH_DIFFUSION, {"points": 10**9}, "points must lie in"),
    "wide attention": (MESH_DIFFUSION, {"width": 4096, "heads": 1, "blocks": 64}, "larger network than"),
    "a long text": (HAND_DIFFUSION, {"schedule": "x" * 10**6}, "schedule"),
    "a long key": (HAND_DIFFUSION, {"x" * 10**6: 1}, "unknown key"),
    "values that are not finite": (HAND_DIFFUSION, {"condition": {"dropout": float("inf")}}, "finite number"),
}  # fmt: skip


@pytest.mark.parametrize("name", ABSURD)
def test_absurd_configurations_are_refused_before_they_take_memory(tmp_path, name):
    kind, config, reason = ABSURD[name]
    text = json.dumps({"format_version": 1, "kind": kind, "config": config})
    save_file({"weight": torch.zeros(20, 20)}, tmp_path / "w", {"hand_pose_ros": text})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match=rf"w: .*({reason})") as caught:
        load_network(tmp_path / "w")
    assert len(str(caught.value)) < 1000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kilobytes


def test_other_networks_can_be_built_after_one_was_refused(tmp_path):
    _, path = stored(tmp_path, TEMPORAL)
    text = json.dumps({"format_version": 1, "kind": TEMPORAL, "config": {"layers": 10**9}})
    save_file({"weight": torch.zeros(2)}, tmp_path / "w", {"hand_pose_ros": text})
    with pytest.raises(ValueError, match="larger network"):
        load_network(tmp_path / "w")
    assert load_network(path).kind == TEMPORAL
