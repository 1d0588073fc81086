"""Weight files: what goes in comes out, and whatever else is in the file's place is refused by name."""

from __future__ import annotations

import json
import os
import stat

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from hand_pose_ros.networks.weights import load_weights, restore, save_weights

CONFIG = {"width": 5, "condition": {"keypoints": True}, "channels": [1, 2]}


def network(width: int = 5, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width), nn.Linear(width, 2))


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "new_folder" / "weights.safetensors"
    save_weights(path, network(), "lifter", CONFIG)
    return path


def test_round_trip(path):
    loaded = load_weights(path, "lifter")
    other = network(seed=1)
    restore(other, loaded)
    assert (loaded.kind, loaded.config, loaded.path) == ("lifter", CONFIG, path)
    for name, tensor in network().state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_the_same_weights_give_the_same_file(path):
    content = path.read_bytes()
    for _ in range(5):
        save_weights(path, network(), "lifter", CONFIG)
        assert path.read_bytes() == content


def test_half_precision_takes_half_the_space_and_restores_to_full(tmp_path):
    model = nn.Linear(100, 100)
    for half in (False, True):
        save_weights(tmp_path / f"{half}", model, "lifter", {}, half=half)
    assert (tmp_path / "True").stat().st_size < 0.6 * (tmp_path / "False").stat().st_size
    other = nn.Linear(100, 100)
    restore(other, load_weights(tmp_path / "True"))
    assert other.weight.dtype == torch.float32
    torch.testing.assert_close(other.weight, model.weight, rtol=1e-3, atol=1e-6)


def test_a_file_is_readable_by_others_and_leaves_nothing_beside_it(path):
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    plain = path.with_name("plain")
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_tied_and_transposed_tensors_can_be_saved(tmp_path):
    model = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    model["b"].weight = model["a"].weight
    model["a"].bias = nn.Parameter(torch.arange(6.0).reshape(2, 3).T[:, 0])
    save_weights(tmp_path / "w", model, "tied", {})
    other = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
    restore(other, load_weights(tmp_path / "w"))
    assert torch.equal(other["b"].weight, model["a"].weight)
    assert other["a"].bias.tolist() == [0, 1, 2]


def test_what_cannot_be_saved_leaves_the_earlier_file(path):
    before = path.read_bytes()
    broken = network()
    broken[0].weight.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"0\.weight of 'lifter' is not finite"):
        save_weights(path, broken, "lifter", CONFIG)
    broken[0].weight.data[0, 0] = 1e6
    with pytest.raises(ValueError, match="not finite with 16 bits"):
        save_weights(path, broken, "lifter", CONFIG, half=True)
    with pytest.raises(ValueError, match="cannot be written as JSON"):
        save_weights(path, network(), "lifter", {"x": torch.zeros(1)})
    assert path.read_bytes() == before
    assert len(list(path.parent.iterdir())) == 1


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no weight file .*absent\.safetensors"):
        load_weights(tmp_path / "absent.safetensors")
    with pytest.raises(ValueError, match="there is no weight file"):
        load_weights(tmp_path)


@pytest.mark.parametrize("kept", [0, 4, 60, -1])
def test_a_truncated_file_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"weights\.safetensors cannot be read.* truncated"):
        load_weights(path)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
            "Git LFS pointer.*git lfs pull",
        ),
        (b"\n<!DOCTYPE html><html><body>Not found</body></html>", "web page"),
        (b"PK\x03\x04" + bytes(100), "zip archive"),
        (bytes(range(256)), "truncated or something else"),
    ],
)
def test_another_file_is_refused_and_recognised(tmp_path, content, what):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"model\.safetensors cannot be read.*{what}"):
        load_weights(path)


@pytest.mark.parametrize("metadata", [None, {"x": "{}"}, {"hand_pose_ros": "{"}, {"hand_pose_ros": "3"}])
def test_a_file_without_configuration_is_refused(tmp_path, metadata):
    save_file({"weight": torch.zeros(2)}, tmp_path / "w", metadata)
    with pytest.raises(ValueError, match="holds 1 tensors but no configuration"):
        load_weights(tmp_path / "w")


def test_another_kind_or_version_is_refused(path, tmp_path):
    with pytest.raises(ValueError, match="weights of 'lifter', expected 'mesh'"):
        load_weights(path, "mesh")
    save_file({}, tmp_path / "w", {"hand_pose_ros": '{"format_version": 99}'})
    with pytest.raises(ValueError, match="format version 99"):
        load_weights(tmp_path / "w")


def test_weights_that_do_not_fit_are_named_and_change_nothing(path):
    loaded = load_weights(path)
    model = nn.Sequential(nn.Linear(3, 5), nn.LayerNorm(5), nn.Linear(5, 4))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match="do not fit the network 'lifter'") as caught:
        restore(model, loaded)
    assert "unexpected: 1.num_batches_tracked, 1.running_mean, 1.running_var" in str(caught.value)
    assert "of another shape: 2.bias (2,), not (4,), 2.weight (2, 5), not (4, 5)" in str(caught.value)
    with pytest.raises(ValueError, match=r"missing: 3\.bias, 3\.weight"):
        restore(network().append(nn.Linear(1, 1)), loaded)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


def stored_with(path, tensors, entry=None):
    text = json.dumps(entry or {"format_version": 1, "kind": "lifter", "config": CONFIG})
    save_file(tensors, path, {"hand_pose_ros": text})


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_finite_are_refused(tmp_path, kind, value):
    broken = torch.ones(3, dtype=kind)
    broken[1] = value
    stored_with(tmp_path / "w", {"good": torch.ones(2), "broken": broken})
    with pytest.raises(
        ValueError, match="w holds values that are not finite, in broken: its training failed"
    ):
        load_weights(tmp_path / "w")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"kind": ' + "1" * 10_000 + "}", "x" * (2 << 20)])
def test_hostile_metadata_are_no_configuration(tmp_path, text):
    save_file({"weight": torch.zeros(2)}, tmp_path / "w", {"hand_pose_ros": text})
    with pytest.raises(ValueError, match="holds 1 tensors but no configuration"):
        load_weights(tmp_path / "w")


def test_messages_are_short_whatever_is_in_the_file(tmp_path):
    stored_with(
        tmp_path / "w", {"x": torch.ones(2)}, {"format_version": 1, "kind": "k" * 10**6, "config": {}}
    )
    with pytest.raises(ValueError, match="expected 'lifter'") as caught:
        load_weights(tmp_path / "w", "lifter")
    assert len(str(caught.value)) < 500
    stored_with(tmp_path / "w", {"n" * 10**6: torch.tensor([torch.nan])})
    with pytest.raises(ValueError, match="not finite") as caught:
        load_weights(tmp_path / "w")
    assert len(str(caught.value)) < 1000


def test_a_file_of_absurd_size_is_not_read(tmp_path):
    with (tmp_path / "w").open("wb") as file:
        file.truncate(5 << 30)  # sparse: it takes no space
    with pytest.raises(ValueError, match="w has 5368709120 bytes"):
        load_weights(tmp_path / "w")


def test_a_pipe_is_no_weight_file(tmp_path):
    os.mkfifo(tmp_path / "w")
    with pytest.raises(ValueError, match="there is no weight file"):
        load_weights(tmp_path / "w")
