"""Hostile input for every reader: it is read, or refused with the documented error and a bearable message."""

from __future__ import annotations

import base64
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from helpers.fuzzing import changed_bytes, fuzz, plain_values, refused
from helpers.mano_files import mano_arrays, write_pickle
from helpers.rigged_meshes import write_gltf
from helpers.tflite_models import Operator, Tensor, tflite_file
from hypothesis import assume, given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from safetensors.torch import save, save_file

from hand_pose_ros.common.late_import import import_named
from hand_pose_ros.common.onnx_session import open_session
from hand_pose_ros.common.options import leaves
from hand_pose_ros.common.parts import Part
from hand_pose_ros.detection.onnx.layouts import LAYOUTS
from hand_pose_ros.estimator.diffusion.onnx_denoiser import OnnxDenoiser
from hand_pose_ros.evaluation.benchmark.estimation import Estimated
from hand_pose_ros.evaluation.benchmark.parts import merge_parts, part_path, save_part
from hand_pose_ros.evaluation.benchmark.scoring import Estimates
from hand_pose_ros.factory import PipelineConfig
from hand_pose_ros.files.safe_yaml import read_yaml
from hand_pose_ros.mesh.mano import load_mano
from hand_pose_ros.mesh.rigged_hand import load_rigged_hand
from hand_pose_ros.networks.diffusion.onnx import FORMAT_VERSION, METADATA_FILE, graphs_of
from hand_pose_ros.networks.imported.network import import_network
from hand_pose_ros.networks.registry import IMAGE_HAND_DIFFUSION, NETWORKS, TEMPORAL, load_network
from hand_pose_ros.synthetic.poses.pose_files import read_poses
from hand_pose_ros.training.config_files import with_overrides
from hand_pose_ros.urdf import hand_urdf
from hand_pose_ros.video.open import open_source


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


ENTRY = json.dumps({"format_version": 1, "kind": TEMPORAL, "config": {"window": 3}})
WEIGHTS = save({"a": torch.ones(3), "b": torch.zeros(2, 2, dtype=torch.float16)}, {"hand_pose_ros": ENTRY})


@fuzz(300)
@given(content=changed_bytes(WEIGHTS))
def test_weight_files(folder, content):
    (folder / "w.safetensors").write_bytes(content)
    assert refused(lambda: load_network(folder / "w.safetensors"))  # it never has the tensors of a network


@fuzz(80)
@given(kind=st.sampled_from(sorted(NETWORKS)), data=st.data())
def test_configurations_in_weight_files(folder, kind, data):
    keys = sorted(import_named(NETWORKS[kind]).config_class().to_dict())
    config = data.draw(st.dictionaries(st.sampled_from([*keys, "other"]), plain_values(), max_size=4))
    entry = {"format_version": 1, "kind": kind, "config": config}
    save_file({"a": torch.ones(3)}, folder / "c.safetensors", {"hand_pose_ros": json.dumps(entry)})
    assert refused(lambda: load_network(folder / "c.safetensors"))


METADATA = {
    "format_version": FORMAT_VERSION,
    "kind": IMAGE_HAND_DIFFUSION,
    "config": {"condition": {"image_features": 3}},
    "parametrisation": "x0",
    "betas": [0.1, 0.2],
    "mean": [0.0] * 63,
    "scale": [1.0] * 63,
    "spread_scale": 1.0,
    "crops": {"size_px": 128},
    "sha256": dict.fromkeys(graphs_of(IMAGE_HAND_DIFFUSION), "0"),
}


def test_the_description_of_an_export_is_good_before_it_is_changed(folder):
    (folder / METADATA_FILE).write_text(json.dumps(METADATA))
    with pytest.raises(ValueError, match=r"there is no .*encoder\.onnx"):
        OnnxDenoiser(folder)


@fuzz(150)
@given(changes=st.dictionaries(st.sampled_from(sorted(METADATA)), plain_values(), min_size=1, max_size=3))
def test_descriptions_of_exports(folder, changes):
    (folder / METADATA_FILE).write_text(json.dumps({**METADATA, **changes}))
    assert refused(lambda: OnnxDenoiser(folder))


@pytest.mark.parametrize("name", ["mean", "scale", "spread_scale"])
def test_descriptions_with_values_that_are_not_finite(folder, name):
    value = float("nan") if name == "spread_scale" else [float("nan")] * 63
    (folder / METADATA_FILE).write_text(json.dumps({**METADATA, name: value}))
    with pytest.raises(ValueError, match="not finite"):
        OnnxDenoiser(folder)


def network_file() -> bytes:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "one", [value], [out])
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()


@fuzz(100)
@given(content=changed_bytes(network_file()))
def test_onnx_files(folder, content):
    (folder / "n.onnx").write_bytes(content)
    refused(lambda: open_session(folder / "n.onnx", "cpu"), most_characters=20_000)


def test_the_onnx_file_is_good_before_it_is_changed(folder):
    onnx.checker.check_model(onnx.load_from_string(network_file()))
    (folder / "good.onnx").write_bytes(network_file())
    assert open_session(folder / "good.onnx", "cpu").get_inputs()[0].name == "x"


NUMBERS = st.sampled_from((0.0, 0.5, 1.0, -1.0, 3.7, 1e30, -1e300, float("nan"), float("inf"), float("-inf")))


@fuzz(200)
@given(
    layout=st.sampled_from(sorted(LAYOUTS)),
    shape=st.lists(st.sampled_from((0, 1, 2, 6, 48, 69)), min_size=0, max_size=4),
    classes=st.integers(1, 3),
    landmarks=st.sampled_from((0, 2, 3)),
    values=st.lists(NUMBERS, min_size=1, max_size=16),
)
def test_outputs_of_detection_networks(layout, shape, classes, landmarks, values):
    output = np.resize(np.array(values), shape)

    def read() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            found = LAYOUTS[layout](output, classes, landmarks)
        assert found.boxes.shape == (len(found.scores), 4)
        assert ((found.classes >= 0) & (found.classes < classes)).all()

    refused(read)


def part_file(folder: Path) -> bytes:
    """A part of a benchmark of two hands, one with a mesh."""
    unknown = np.full((2, 21, 3), np.nan)
    one = Estimates(unknown, unknown[..., :2], (np.zeros((4, 3)), None))
    estimated = Estimated((), np.array([True, False]), {"ik": one})
    return save_part(folder, Part(1, 1), {"every": 1}, [0, 1], estimated).read_bytes()


@fuzz(200)
@given(data=st.data())
def test_parts_of_benchmarks(folder, data):
    parts = folder / "parts"
    content = data.draw(changed_bytes(part_file(parts)))
    part_path(parts, Part(1, 1)).write_bytes(content)
    empty: Any = []  # a set without the hands of the part: what can be read is refused then
    assert refused(lambda: merge_parts(parts, {"every": 1}, empty))


TFLITE = tflite_file(
    [
        Tensor((1, 4, 4, 3)),
        Tensor.constant(np.ones((2, 3, 3, 3), np.float32)),
        Tensor.constant(np.zeros(2, np.float32)),
        Tensor((1, 4, 4, 2)),
    ],
    [
        Operator(
            "CONV_2D", (0, 1, 2), (3,), "Conv2DOptions",
            {"Padding": 0, "StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1},
        )
    ],
    (0,), (3,),
)  # fmt: skip


@fuzz(300)
@given(content=changed_bytes(TFLITE))
def test_tflite_files(content):
    refused(lambda: import_network(content))


@pytest.mark.parametrize("options", [{}, {"Padding": 0, "StrideH": 0, "StrideW": 0}, {"Padding": 0}])
def test_tflite_operations_without_usable_options(options):
    tensors = [Tensor((1, 4, 4, 3)), Tensor.constant(np.ones((2, 3, 3, 3), np.float32)), Tensor((1, 4, 4, 2))]
    name = "Conv2DOptions" if options else ""
    content = tflite_file(tensors, [Operator("CONV_2D", (0, 1), (2,), name, options)], (0,), (2,))
    assert refused(lambda: import_network(content))


def test_the_tflite_file_is_good_before_it_is_changed():
    assert import_network(TFLITE).input_size == (4, 4)


@pytest.fixture(scope="module")
def rig(folder) -> dict:
    path = folder / "rig.gltf"
    write_gltf(path, torch.eye(3), torch.zeros(3))
    load_rigged_hand(path)  # it is good before it is changed
    return json.loads(path.read_text())


@fuzz(40)
@given(data=st.data())
def test_rigged_meshes(folder, rig, data):
    document = json.loads(json.dumps(rig))
    for _ in range(data.draw(st.integers(1, 3))):
        place = document
        while isinstance(place, dict | list) and place:
            key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], dict | list) or data.draw(st.integers(0, 5)) == 0:
                place[key] = data.draw(plain_values())
                break
            place = place[key]
    (folder / "hand.gltf").write_text(json.dumps(document))
    refused(lambda: load_rigged_hand(folder / "hand.gltf"))


@fuzz(40)
@given(data=st.data())
def test_buffers_of_rigged_meshes(folder, rig, data):
    document = json.loads(json.dumps(rig))
    buffer = data.draw(st.sampled_from(document["buffers"]))
    head, _, content = buffer["uri"].partition(",")
    changed = data.draw(changed_bytes(base64.b64decode(content)))
    text, binary = json.dumps({**document, "buffers": [{}]}).encode(), changed
    if data.draw(st.booleans()):
        buffer["uri"] = f"{head},{base64.b64encode(changed).decode()}"
        (folder / "hand.glb").write_text(json.dumps(document))
    else:
        chunks = len(text).to_bytes(4, "little") + b"JSON" + text
        chunks += len(binary).to_bytes(4, "little") + b"BIN\0" + binary
        (folder / "hand.glb").write_bytes(data.draw(changed_bytes(b"glTF" + bytes(8) + chunks)))
    refused(lambda: load_rigged_hand(folder / "hand.glb"))


@pytest.fixture(scope="module")
def small_mano(folder) -> bytes:
    small = {name: one[tuple(slice(3) for _ in one.shape)] for name, one in mano_arrays().items()}
    return write_pickle(folder / "small.pkl", 2, small).read_bytes()


@fuzz(300)
@given(data=st.data())
def test_mano_files(folder, small_mano, data):
    (folder / "MANO_RIGHT.pkl").write_bytes(data.draw(changed_bytes(small_mano)))
    assert refused(lambda: load_mano(folder / "MANO_RIGHT.pkl"))  # it never has as many vertices


@fuzz(150)
@given(
    content=st.one_of(plain_values().map(lambda value: json.dumps(value).encode()), st.binary(max_size=60))
)
def test_pose_files(folder, content):
    for suffix in ("json", "npy", "npz"):
        path = folder / f"poses.{suffix}"
        path.write_bytes(content)
        assert refused(lambda path=path: read_poses(path))


FLAT = {leaf.name: leaf.default for leaf in leaves(PipelineConfig)}


VALUES = plain_values() | st.sampled_from(list(FLAT.values()))


@fuzz(150)
@given(st.dictionaries(st.sampled_from(sorted(FLAT)) | st.text(max_size=12), VALUES, max_size=5))
def test_parameter_values(values):
    refused(lambda: PipelineConfig.from_flat(values), most_characters=20_000)  # it lists all known names


@fuzz(100)
@given(st.binary(max_size=60) | st.text("ab:{}[]&*!-#\n ", max_size=60).map(str.encode))
def test_yaml_files(folder, content):
    (folder / "options.yaml").write_bytes(content)
    refused(lambda: read_yaml(folder / "options.yaml"))


@fuzz(150)
@given(st.lists(st.text("ab.=:{}[]&*!- 1e", max_size=20), max_size=3))
def test_overrides(overrides):
    refused(lambda: with_overrides({"a": {"b": 1}}, overrides))


@fuzz(150)
@given(
    side=st.sampled_from(("left", "right")) | st.text(max_size=9),
    length=st.floats() | st.sampled_from((0.09, 1e-30, 1e30)),
    proportions=st.lists(st.floats() | st.just(1.0), min_size=0, max_size=21),
)
def test_sizes_of_the_urdf(side, length, proportions):
    refused(lambda: hand_urdf(side, length, proportions))


STRANGE = (
    "", ".", "..", "/", "/dev", "/dev/null", "/dev/zero", "/proc/self/fd", "~", "~nobody/x", "file:///x", "-1",
    "\0", "a\0b", "x" * 300, "/" + "y" * 5000, "http://localhost/x.mp4", "rtsp://localhost/x", "%d.jpg",
    "img_%02d.png", "\N{SUPERSCRIPT TWO}", "\udcff",
)  # fmt: skip
NAMES = st.text(max_size=30) | st.sampled_from(STRANGE)


@pytest.mark.parametrize("name", STRANGE)
def test_strange_names_of_sources(name, tmp_path, monkeypatch):
    (tmp_path / "above" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "above" / "here")  # what "." and ".." hold is known
    assert refused(lambda: open_source(name).close(), FileNotFoundError, ValueError)


@fuzz(120)
@given(name=NAMES)
def test_names_of_sources(name):
    assume(not (name.strip().isdecimal() or name.strip() == "clip"))  # webcams are not opened here
    refused(lambda: open_source(name).close(), FileNotFoundError, ValueError)


def test_a_pipe_is_no_source_and_no_file(folder):
    pipe = folder / "pipe.mp4"
    os.mkfifo(pipe)
    for read in (
        open_source,
        load_network,
        load_rigged_hand,
        read_yaml,
        lambda path: open_session(path, "cpu"),
    ):
        assert refused(lambda read=read: read(str(pipe)))
