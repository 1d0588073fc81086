"""Nothing leaves the machine, and files appear only where docs/use/privacy.md says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hand_pose_ros.files.user_folders import DATA_VARIABLE, data_folder

PIPELINE = """
import sys
import numpy as np
from hand_pose_ros import CameraModel, Frame, PipelineConfig, create_pipeline

def refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise AssertionError(f"{event} {arguments}")

sys.addaudithook(refuse)
pipeline = create_pipeline(PipelineConfig())
camera = CameraModel.from_fov(320, 240, 1.0)
pipeline.process(Frame(np.zeros((240, 320, 3), np.uint8), camera, 0.0))
"""
SESSION = """
import os, sys, time
from hand_pose_ros.common.onnx_session import open_session
open_session(sys.argv[1], "cpu")
assert os.environ["ORT_DISABLE_TELEMETRY"] == sys.argv[2]
"""


@pytest.fixture(scope="module")
def guard(tmp_path_factory, repository) -> Path:
    """A library that logs look-ups and connections, also of native code."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("guard") / "guard.so"
    source = repository / "test" / "helpers" / "network_guard.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


@pytest.fixture
def run(guard, tmp_path, monkeypatch):
    """Run a program in an empty home; returns the lines of the network log, and the folders of the files made."""
    monkeypatch.setenv(DATA_VARIABLE, str(data_folder()))  # the networks are where they were

    def run(code: str, *arguments: str, prefix: tuple[str, ...] = (), **variables: str):
        log, home = tmp_path / "network.log", tmp_path / "home"
        home.mkdir(exist_ok=True)
        removed = ("ORT_DISABLE_TELEMETRY", "CI", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME")
        environment = {name: value for name, value in os.environ.items() if name not in removed}
        environment |= {
            "LD_PRELOAD": str(guard), "NETWORK_LOG": str(log), "HOME": str(home), "TMPDIR": str(home), **variables
        }  # fmt: skip
        done = subprocess.run(
            [*prefix, sys.executable, "-c", code, *arguments],
            env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        lines = log.read_text().split("\n")[:-1] if log.exists() else []
        files = [path.relative_to(home) for path in home.rglob("*") if path.is_file()]
        return lines, {"/".join(path.parts[:2]) for path in files}

    return run


def without_network() -> tuple[str, ...]:
    """The command that takes the network away from another one, or nothing where that is not permitted."""
    for command in (("unshare", "-n"), ("unshare", "-r", "-n")):
        try:
            if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
                return command
        except OSError:
            break
    return ()


@pytest.mark.slow
def test_the_pipeline_looks_nothing_up_and_connects_to_nothing(run):
    lines, written = run(PIPELINE)
    assert lines == []
    assert written == {".cache/hand_pose_ros"}


@pytest.mark.slow
def test_the_pipeline_needs_no_network(run):
    prefix = without_network()
    if not prefix:
        pytest.skip("network namespaces are not permitted here")
    assert run(PIPELINE, prefix=prefix) == ([], {".cache/hand_pose_ros"})


def test_telemetry_is_off_unless_the_user_decides_otherwise(run, graph_file):
    assert run(SESSION, graph_file, "1") == ([], set())
    assert run(SESSION, graph_file, "1", ORT_DISABLE_TELEMETRY="") == ([], set())
    run(SESSION, graph_file, "0", ORT_DISABLE_TELEMETRY="0")


def test_onnxruntime_is_imported_in_one_place(repository):
    importers = [
        path.name
        for folder in ("hand_pose_ros", "benchmarks", "launch", "tools", "docs")
        for path in (repository / folder).rglob("*.py")
        if re.search(r"^\s*(import|from) onnxruntime\b", path.read_text(), re.MULTILINE)
    ]
    assert importers == ["onnxruntime_import.py"]


@pytest.fixture
def graph_file(tmp_path) -> str:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "one", [value], [out])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path / "one.onnx"
    onnx.save(model, str(path))
    return str(path)


LOOK_UP = """
import ctypes
found = ctypes.c_void_p()
ctypes.CDLL(None).getaddrinfo(b"localhost", None, None, ctypes.byref(found))
"""


def test_the_guard_sees_native_look_ups(run):
    lines, _ = run(LOOK_UP)
    assert lines == ["getaddrinfo localhost"]
