"""The ROS 2 package: what an installation holds, and that every import is a declared dependency."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from types import ModuleType

import pytest
from helpers.executables import executables
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from hand_pose_ros import __version__
from hand_pose_ros.common import share

NAME = "hand_pose_ros"
# Where the name that is imported is not the name that is installed.
PIP_NAME_OF = {
    "ai_edge_litert": "ai-edge-litert",
    "cv2": "opencv-python-headless",
    "pinocchio": "pin",
    "skimage": "scikit-image",
    "yaml": "PyYAML",
}
ROSDEP_KEY_OF = {
    "flatbuffers": "python3-flatbuffers",
    "hypothesis": "python3-hypothesis",
    "matplotlib": "python3-matplotlib",
    "numpy": "python3-numpy",
    "onnxruntime": "python3-onnxruntime-pip",
    "opencv-python-headless": "python3-opencv",
    "packaging": "python3-packaging",
    "pytest": "python3-pytest",
    "pytest-timeout": "python3-pytest-timeout",
    "pyyaml": "python3-yaml",
    "rosbags": "python3-rosbags-pip",
    "scikit-image": "python3-skimage",
    "scipy": "python3-scipy",
    "torch": "python3-torch",
    "tqdm": "python3-tqdm",
    "trimesh": "python3-trimesh-pip",
}
"""Of what pip installs, what rosdep has a key for."""
ROS_ONLY = {"launch", "launch_ros"}
OPTIONAL = {"av": "video", "pyarrow": "lerobot"}
"""Libraries that few need, which the code asks for when it needs them: module -> extra."""
# The sets of versions that are tested in full, and the file of requirements/ that fixes each.
SETS = {"oldest": "constraints", "newest": "constraints_newest"}


def manifest(repository: Path) -> ElementTree.Element:
    return ElementTree.parse(repository / "package.xml").getroot()


def names_imported(path: Path) -> set[str]:
    """Full names of the modules that a Python file imports, at its top or inside; of some, an attribute too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.update((node.module, *(f"{node.module}.{alias.name}" for alias in node.names)))
    return found


def imports(folder: Path) -> set[str]:
    """Top-level modules that the Python files under a folder import, beside the standard library's and ours."""
    found = {name.split(".")[0] for path in folder.rglob("*.py") for name in names_imported(path)}
    return found - set(sys.stdlib_module_names) - {NAME}


def imports_through(repository: Path, *modules: str) -> set[str]:
    """As :func:`imports`, for modules of ours and all modules of ours that they import."""
    found, seen, waiting = set(), set(), [f"{NAME}.{module}" for module in modules]
    while waiting:
        module = waiting.pop()
        path = (repository / module.replace(".", "/")).with_suffix(".py")
        if module not in seen and path.is_file():
            seen.add(module)
            names = names_imported(path)
            waiting += [name for name in names if name.startswith(f"{NAME}.")]
            found |= {name.split(".")[0] for name in names}
    assert len(seen) > len(modules)
    return found - set(sys.stdlib_module_names) - {NAME}


def requirement_lines(repository: Path, name: str) -> list[str]:
    """Lines of a file of requirements/ and of those that it includes, without comments."""
    lines = []
    for line in (repository / "requirements" / f"{name}.txt").read_text().splitlines():
        if line.startswith("-c "):
            lines += requirement_lines(repository, line.removeprefix("-c ").removesuffix(".txt"))
        elif line and not line.startswith("#"):
            lines.append(line)
    return lines


def required_by_pip(repository: Path, *names: str) -> set[str]:
    """Distributions that requirement files name, lower case."""
    lines = [line for name in names for line in requirement_lines(repository, name)]
    return {re.split(r"[=\[;]", line)[0].strip().lower() for line in lines}


def test_versions_names_and_licence_agree(repository):
    root = manifest(repository)
    answer = subprocess.run(
        [sys.executable, "setup.py", "--name", "--version", "--maintainer-email", "--license"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()[-4:]
    expected = [root.findtext("name"), root.findtext("version"), root.find("maintainer").get("email")]
    assert answer == [*expected, root.findtext("license")] == [NAME, __version__, expected[2], "Apache-2.0"]
    assert "Apache License" in (repository / "LICENSE").read_text()[:200]


def test_every_import_is_a_dependency(repository):
    root = manifest(repository)
    keys = {element.text for element in root if element.tag in ("depend", "exec_depend")}
    core = required_by_pip(repository, "core", "teleoperation")
    for module in (imports(repository / NAME) | imports(repository / "launch")) - OPTIONAL.keys():
        pip_name = PIP_NAME_OF.get(module, module).lower()
        rosdep_key = ROSDEP_KEY_OF.get(pip_name, module)
        assert rosdep_key in keys or pip_name in core, f"nothing installs {module} on a machine with ROS 2"
        if rosdep_key in ROSDEP_KEY_OF.values():
            assert pip_name in core, f"nothing fixes the version of {module}"


def test_only_the_ros_folder_imports_ros(repository):
    keys = {element.text for element in manifest(repository)}
    for path in (repository / NAME).iterdir():
        if path.is_dir() and path.name != "ros":
            ros = {module for module in imports(path) if module in keys}
            assert not ros, f"{path.name} imports {ros}"


def test_tests_find_their_dependencies(repository):
    ours = {path.stem for path in (repository / "benchmarks").rglob("*.py")} | {
        "benchmarks",
        "helpers",
        "setup",
        "conftest",
    }
    installed = required_by_pip(repository, "core", "teleoperation", "test")
    keys = {element.text for element in manifest(repository)}
    for module in imports(repository / "test") - ours:
        name = PIP_NAME_OF.get(module, module).lower()
        assert name in installed or module in keys or module == "rclpy", (
            f"nothing installs {module} for the tests"
        )


@pytest.mark.parametrize("versions", SETS)
def test_each_set_fixes_every_version(repository, versions):
    fixed = requirement_lines(repository, SETS[versions])
    for line in fixed:
        assert re.fullmatch(r"[\w.\-]+==[\w.]+(; python_version (<|>=) \"3\.\d+\")?", line), line
    unconditional = [line.split("==")[0] for line in fixed if ";" not in line]
    assert len(unconditional) == len(set(unconditional))
    names = required_by_pip(repository, SETS[versions])
    assert required_by_pip(repository, "core", "ros", "test", "docs") <= names


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("versions", SETS)
def test_a_python_takes_one_version_of_each(repository, versions, python):
    requirements = [Requirement(line) for line in requirement_lines(repository, SETS[versions])]
    taken = [
        requirement.name.lower()
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"python_version": python})
    ]
    assert len(taken) == len(set(taken))
    assert set(taken) == {requirement.name.lower() for requirement in requirements}


def test_each_python_that_the_package_accepts_has_a_set_of_versions(repository, monkeypatch):
    set_up = environment_setup(repository)
    assert {name: file.removesuffix(".txt") for name, file in set_up.CONSTRAINTS.items()} == SETS
    accepted = SpecifierSet(re.search(r'python_requires="(.+?)"', (repository / "setup.py").read_text())[1])
    minors = [minor for minor in range(30) if accepted.contains(f"3.{minor}.0")]
    assert [(3, minor) for minor in minors] == list(set_up.SUPPORTED)
    monkeypatch.delenv("VERSIONS", raising=False)
    assert [set_up.set_for((3, minor)) for minor in minors] == ["oldest"] * 3 + ["newest"] * 2
    monkeypatch.setenv("VERSIONS", "newest")
    assert set_up.set_for((3, 11)) == "newest"
    assert (3, 10) not in set_up.suitable_pythons()
    monkeypatch.setenv("VERSIONS", "older")
    with pytest.raises(set_up.SetupError, match="choose one of oldest, newest"):
        set_up.suitable_pythons()


@pytest.fixture(scope="module")
def installation(repository, tmp_path_factory) -> Path:
    """The package as `colcon build` installs it."""
    setuptools = pytest.importorskip("setuptools")
    if int(setuptools.__version__.split(".")[0]) >= 80:
        pytest.skip(
            f"setuptools {setuptools.__version__} no longer has `setup.py install`, nor colcon's build"
        )
    base = tmp_path_factory.mktemp("build")
    prefix = tmp_path_factory.mktemp("install")
    # Not into the checkout: its egg_info would become a second installation of the package.
    command = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(base)]
    command += ["build", "--build-base", str(base)]
    command += [
        "install",
        "--prefix",
        str(prefix),
        "--record",
        str(base / "record"),
        "--single-version-externally-managed",
    ]
    result = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return prefix


def test_the_installation_is_complete(repository, installation):
    assert (installation / "share/ament_index/resource_index/packages" / NAME).is_file()
    shared = installation / "share" / NAME
    tracked = subprocess.run(
        ["git", "ls-files", "launch", "config", "models", f"{NAME}/**"],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines()
    (site,) = installation.glob("lib/python3.*/site-packages")
    for name in ["package.xml", *tracked]:
        installed = (site if name.startswith(NAME) else shared) / name
        assert installed.is_file(), f"{name} is not installed"
        assert installed.read_bytes() == (repository / name).read_bytes()


def test_commands_are_where_ros2_run_looks(repository, installation):
    folder = installation / "lib" / NAME
    assert {path.name for path in folder.iterdir()} == executables().keys()
    check_commands(folder, site_packages(installation))


def test_pip_puts_the_commands_on_the_path(repository, tmp_path):
    """setup.cfg names another folder for the scripts, which is colcon's alone."""
    pytest.importorskip("setuptools", minversion="70.1", reason="older ones need the package wheel")
    source, prefix = tmp_path / "source", tmp_path / "prefix"
    # A copy, since pip builds in the folder itself; without the models, which are large.
    for name in ("setup.py", "setup.cfg", "package.xml", "pyproject.toml"):
        source.mkdir(exist_ok=True)
        shutil.copy(repository / name, source)
    for name in (NAME, "config", "launch", "resource"):
        shutil.copytree(repository / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index"]
    command += ["--disable-pip-version-check", "--prefix", str(prefix), "."]
    result = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (prefix / "bin").iterdir()} == executables().keys()
    check_commands(prefix / "bin", site_packages(prefix))


def test_setup_puts_the_commands_on_the_path_of_its_environment(repository, tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    environment_setup(repository).write_commands(str(folder), sys.executable)
    assert {path.name for path in folder.iterdir()} == executables().keys()
    check_commands(folder, repository)


def environment_setup(repository: Path) -> ModuleType:
    """The module that makes the environment."""
    spec = importlib.util.spec_from_file_location(
        "setup_environment", repository / "tools" / "setup_environment.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def site_packages(prefix: Path) -> Path:
    (found,) = prefix.glob("lib/python3.*/site-packages")
    return found


def check_commands(folder: Path, path: Path) -> None:
    """Run each command for its help, and one of the tools, with the package in ``path``."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    for command in sorted(folder.iterdir()):
        result = subprocess.run(
            [command, "--help"], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        assert result.stdout.startswith(f"usage: {command.name} ")
    urdf = subprocess.check_output(
        [folder / "hand_pose", "urdf", "--side", "left"], cwd=folder, env=environment, text=True
    )
    assert '<robot name="left_hand">' in urdf


def test_a_command_of_the_environment_may_start_worker_processes(repository, tmp_path):
    set_up = environment_setup(repository)
    set_up.write_commands(str(tmp_path), sys.executable)
    subprocess.check_call(
        [tmp_path / "hand_pose", "render", "--count", "1", "--workers", "1", "--output", tmp_path / "images"],
        env={**os.environ, "PYTHONPATH": str(repository)},
    )
    assert list((tmp_path / "images").iterdir())


def test_share_files_are_found_in_the_checkout_and_in_an_installation(repository, installation):
    assert share.share_folder() == repository
    assert share.share_file("config/fastdds.xml") == repository / "config" / "fastdds.xml"
    with pytest.raises(FileNotFoundError, match="nothing_here"):
        share.share_file("config/nothing_here.yaml")
    (site,) = installation.glob("lib/python3.*/site-packages")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from hand_pose_ros.common import share; "
        "print(share.share_folder())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(site)], cwd=installation, capture_output=True, text=True, check=True
    ).stdout.strip()
    assert Path(answer) == installation / "share" / NAME


def metadata(installation: Path, extra: str = "") -> dict[str, SpecifierSet]:
    """Distribution, lower case -> range of versions that the installed package asks pip for on x86-64."""
    (site,) = installation.glob("lib/python3.*/site-packages")
    (ours,) = importlib.metadata.distributions(name=NAME, path=[str(site)])
    requirements = [Requirement(line) for line in ours.requires]
    return {
        requirement.name.lower(): requirement.specifier
        for requirement in requirements
        if requirement.marker is None
        or requirement.marker.evaluate({"extra": extra, "platform_machine": "x86_64"})
    }


def test_pip_installs_all_that_is_imported(repository, installation):
    ros = {element.text for element in manifest(repository)}
    # The library, the nodes, and the tools that need no extra; skimage is imported when the template is built.
    entries = (
        "factory",
        "ros.hand_estimator.process",
        "ros.video_player.process",
        "ros.teleop.process",
        "ros.robot_simulator.process",
        "ros.demo.command",
        "urdf",
    )
    used = imports_through(repository, *entries) - {"skimage"}
    for found, extra in ((used, ""), (imports(repository / NAME), "training")):
        assert {"torch", "tflite", "rosbags", "embreex"} <= found
        installed = {*metadata(installation, extra), *metadata(installation, "teleoperation")}
        for module in found - ros - OPTIONAL.keys():
            assert PIP_NAME_OF.get(module, module).lower() in installed, f"pip does not install {module}"


def test_the_tested_versions_are_in_the_ranges_of_the_metadata(repository, installation):
    tested = [Requirement(line) for name in SETS.values() for line in requirement_lines(repository, name)]
    names = {requirement.name.lower() for requirement in tested}
    ranges = {}
    for extra in ("teleoperation", "training", "development"):
        ranges |= metadata(installation, extra)
    assert set(ranges) <= names
    assert required_by_pip(repository, "core", "teleoperation", "test") <= set(ranges)
    for requirement in tested:
        (version,) = (specifier.version for specifier in requirement.specifier)
        if requirement.name.lower() in ranges:
            assert version in ranges[requirement.name.lower()], requirement


def test_package_xml_has_every_requirement_of_pip_as_a_key_or_in_a_line_for_pip(repository, installation):
    root = manifest(repository)
    text = (repository / "package.xml").read_text()
    library = metadata(installation, "training").keys()
    tests = metadata(installation, "test").keys() - library
    for tag, required in (("exec_depend", library), ("test_depend", tests)):
        keys = {element.text for element in root.iter(tag) if element.text.startswith("python3-")}
        assert keys == {ROSDEP_KEY_OF[name] for name in required & ROSDEP_KEY_OF.keys()}
    (of_library, of_tests) = re.findall(r"pip install ([\w -]+?)(?: -->)?$", text, re.MULTILINE)
    assert of_library.split() == sorted(library - ROSDEP_KEY_OF.keys())
    assert of_tests.split() == sorted(tests - ROSDEP_KEY_OF.keys())


def test_the_readme_skips_the_keys_that_the_virtual_environment_replaces(repository):
    keys = [element.text for element in manifest(repository) if element.text]
    replaced = [key for key in keys if key.endswith("-pip") or key == "python3-torch"]
    (skipped,) = re.findall(r'--skip-keys "(.+)"', (repository / "README.md").read_text())
    assert skipped.split() == replaced
    by_pip = required_by_pip(repository, "core", "test")
    for name, key in ROSDEP_KEY_OF.items():
        assert key not in replaced or name in by_pip, f"pip does not install {name}"


def test_optional_libraries_have_an_extra(installation):
    for module, extra in OPTIONAL.items():
        assert module in metadata(installation, extra)


def test_colcon_finds_the_test_runner(installation):
    assert "pytest" in metadata(installation, "test")
