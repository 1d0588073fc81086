"""`make` takes values of any content as they are, and removes only what it has made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """#!/usr/bin/env python3
import json, os, sys
with open("calls", "a") as file:
    file.write(json.dumps([sys.argv[1:], os.environ.get("PYTEST_ADDOPTS", "")]) + "\\n")
"""
HOSTILE = (
    "a b",
    "a'b\"c",
    "; touch made",
    "$(touch made)",
    "`touch made`",
    "$(shell touch made)",
    "$HOME/$x",
    "-rf",
    "*",
    "a\\b # c",
    "${HOME}|& made > made",
)


@pytest.fixture
def checkout(tmp_path, repository) -> Path:
    """A folder with the Makefile, and stand-ins of what it runs."""
    folder = tmp_path / "check out"
    (folder / "tools").mkdir(parents=True)
    shutil.copy(repository / "Makefile", folder)
    shutil.copy(repository / "tools" / "remove_environment.py", folder / "tools")
    (folder / "tools" / "run").write_text(RUN)
    (folder / "tools" / "run").chmod(0o755)
    (folder / "tools" / "setup_environment.py").write_text("")
    return folder


def make(checkout: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    names = (
        "INPUT", "TOPIC", "OUT", "CALIBRATION", "FOV", "DETECTOR", "ESTIMATOR", "HEATMAP_WEIGHTS", "MESH_WEIGHTS",
        "CONDITION",
        "ROBOT", "ROBOT_URDF", "SIDE", "DOMAIN",
        "PYTEST_ARGS", "JOBS", "BENCHMARKS", "VENV", "VERSIONS", "PYTHON",
        "PYTEST_ADDOPTS", "MAKEFLAGS", "MAKELEVEL",
    )  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if name not in names} | variables
    return subprocess.run(
        ["make", *arguments], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


def calls(checkout: Path) -> list:
    return [json.loads(line) for line in (checkout / "calls").read_text().splitlines()]


def demo_arguments(**values: str) -> dict[str, str]:
    return {"--input": "clip", "--output": "out", "--calibration": "", "--topic": "", **values}


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("from_environment", [False, True])
def test_values_of_the_demo_arrive_as_they_are(checkout, value, from_environment):
    flags = {
        "INPUT": "--input", "OUT": "--output", "CALIBRATION": "--calibration", "TOPIC": "--topic", "FOV": "--fov",
        "DETECTOR": "--detector", "ESTIMATOR": "--estimator", "HEATMAP_WEIGHTS": "--heatmap-weights",
        "MESH_WEIGHTS": "--mesh-weights",
        "CONDITION": "--condition",
        "ROBOT": "--robot", "ROBOT_URDF": "--robot-urdf", "SIDE": "--side",
        "DOMAIN": "--domain-id",
    }  # fmt: skip
    given = dict.fromkeys(flags, value)
    if from_environment:
        done = make(checkout, "demo", **given)
    else:
        done = make(checkout, "demo", *(f"{name}={text}" for name, text in given.items()))
    assert done.returncode == 0, done.stderr
    ((arguments, _),) = calls(checkout)
    assert arguments[:4] == ["python", "-m", "hand_pose_ros", "demo"]
    pairs = dict(zip(arguments[4::2], arguments[5::2], strict=True))
    assert pairs == dict.fromkeys(flags.values(), value)
    assert not (checkout / "made").exists()


def test_what_is_not_given_is_left_out(checkout):
    assert make(checkout, "demo").returncode == 0
    ((arguments, _),) = calls(checkout)
    assert dict(zip(arguments[4::2], arguments[5::2], strict=True)) == demo_arguments()


@pytest.mark.parametrize("value", HOSTILE)
def test_arguments_of_pytest_are_for_pytest_only(checkout, value):
    text = f"-k {value}"
    make(checkout, "test", f"PYTEST_ARGS={text}", f"JOBS={value}", PYTEST_ADDOPTS="-x")
    first, second = calls(checkout)
    assert first[1] == second[1] == f"-x {text}"
    assert first[0][first[0].index("-n") + 1] == value
    assert not (checkout / "made").exists()


@pytest.mark.parametrize("value", HOSTILE)
def test_benchmarks_are_names_of_modules(checkout, value):
    make(checkout, "benchmarks", f"BENCHMARKS={value}")
    assert [arguments for arguments, _ in calls(checkout)] == [
        ["python", "-m", f"benchmarks.{name}"] for name in value.split()
    ]
    assert not (checkout / "made").exists()


def environment_of(checkout: Path, name: str = ".venv", stamp: str | None = "(3, 11) {}") -> Path:
    folder = checkout / name
    (folder / ".setup").mkdir(parents=True)
    (folder / "bin").mkdir()
    if stamp is not None:
        (folder / ".setup" / "venv").write_text(stamp.format(folder))
    return folder


@pytest.mark.parametrize("stamp", ["(3, 11) {}", None])
@pytest.mark.parametrize("name", [".venv", "other place", "$HOME"])
def test_distclean_removes_an_environment_that_setup_made(checkout, stamp, name):
    folder = environment_of(checkout, name, stamp)
    done = make(checkout, "distclean", *([] if name == ".venv" else [f"VENV={name}"]))
    assert done.returncode == 0, done.stderr
    assert not folder.exists()
    assert make(checkout, "distclean").returncode == 0


def test_environments_can_be_named(checkout):
    kept, removed = checkout / "kept", environment_of(checkout, "removed")
    kept.mkdir()
    command = [sys.executable, str(checkout / "tools" / "remove_environment.py"), "absent", "kept", "removed"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, kept.exists(), removed.exists()) == (1, True, False)
    assert f"{kept} is kept" in done.stderr


def test_distclean_keeps_everything_else(checkout, tmp_path):
    mine = tmp_path / "mine"
    (mine / "documents").mkdir(parents=True)
    moved = environment_of(checkout, "moved", "(3, 11) /elsewhere")
    link = checkout / "link"
    link.symlink_to(environment_of(checkout, "real"))
    above = environment_of(checkout.parent, ".", "(3, 11) {}")
    for folder in (mine, moved, link, above, "/"):
        done = make(checkout, "distclean", f"VENV={folder}")
        assert done.returncode == 2
        assert "is kept" in done.stderr
    for folder in (
        mine / "documents",
        moved,
        checkout / "real" / "bin",
        above / "bin",
        checkout / "Makefile",
    ):
        assert folder.exists()
