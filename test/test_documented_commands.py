"""Every documented `hand_pose` command works: it is run on tiny data, or read by the tool's own parser."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import torch
from helpers.documented_commands import (
    DocumentedCommand,
    ParsedError,
    documented_commands,
    of_program,
    parsed_only,
)
from helpers.documented_files import write_files

from hand_pose_ros import command
from hand_pose_ros.common.late_import import import_named
from hand_pose_ros.training.config import read_config
from hand_pose_ros.training.task import TASKS, create_task

REPOSITORY: Final = Path(__file__).resolve().parent.parent
DOCUMENTED: Final = documented_commands(REPOSITORY)
NEED_ROS: Final = ("parameters", "demo")


class Tiny(NamedTuple):
    """How a documented command becomes one of seconds.

    arguments: appended; of an option given twice the last value holds. left_out: words without small data, with
    all behind them up to the next option.
    """

    arguments: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


def settings(*values: str) -> tuple[str, ...]:
    """``--set`` for each."""
    return tuple(word for value in values for word in ("--set", value))


SMALL_NETWORK: Final = "channels: [8, 16], head_width: 32, head_blocks: 1, condition: {width: 32, blocks: 1}"
ONE_STEP: Final = settings("steps=1", "options.batch_size=2", "device=cpu")
ONE_IMAGE_STEP: Final = settings(
    "steps=1", "minutes=null", "device=cpu", "precision=fp32", "options.data.batch_size=2"
) + settings("options.data.negatives=1", "options.data.held_back=1", "options.keypoint_hands=2")
TINY: Final[dict[str, Tiny]] = {
    "urdf": Tiny(),
    "demo-hand": Tiny(),
    "gallery": Tiny(),
    "limits": Tiny(),
    "parameters": Tiny(),
    "calibrate": Tiny(("--hands", "12", "--samples", "2", "--steps", "1")),
    "real-images": Tiny(("--samples", "2", "--weights", "models/hand_diffusion.safetensors")),
    "evaluate": Tiny(
        ("--generated", "3", "--poses", "4", "--samples", "2", "--steps", "1"),
        left_out=("calibrated_left24",),  # and the photos behind it: they need a detector and its models
    ),
    "smoothness": Tiny(
        ("--videos", "2", "--samples", "2", "--steps", "1"),
        left_out=("--labelled", "--video"),  # as above
    ),
    "train hand_diffusion": Tiny(
        ONE_STEP + settings("options.validation_hands=4", f"options.network={{{SMALL_NETWORK}}}")
    ),
    "train --resume": Tiny(),
    "train temporal": Tiny(
        ONE_STEP + settings("options.videos=2", "options.frames=20", "options.validation_videos=2")
    ),
    "train image_encoder": Tiny(ONE_IMAGE_STEP),
    "train image_hands": Tiny(ONE_IMAGE_STEP),
    "train image_conditions": Tiny(ONE_IMAGE_STEP),
}
"""Verb, with a word more where it does various things -> what makes it small. These are run."""
LIKE_IMAGE_HANDS: Final = "runs the task of image_hands, with other options"
LIKE_MESHES: Final = "runs the task of mesh_diffusion, with other options"
PARSED: Final[dict[str, str]] = {
    "robot-check": "needs a profile and a URDF; test/retargeting/view/test_check.py runs it",
    "demo": "plays a clip through live nodes; test/ros/demo runs it",
    "render": "takes longer than all others; test/hand_images/rendered runs it",
    "models": "downloads a wheel; test/detection/mediapipe/test_models_command.py runs it",
    "detect-images": "needs a hand that the detector finds; test/hand_images/test_detect_command.py runs it",
    "evaluate-detectors": "needs both detectors' networks; test/evaluation/detection runs it",
    "evaluate-images": "needs hands that the detector finds; test/evaluation/images/test_images.py runs it",
    "evaluate-heatmaps": "needs trained networks; test/evaluation/heatmaps/test_command.py runs it",
    "ablation": "needs five trained networks; test/evaluation/images/test_ablation.py runs it",
    "evaluate-mesh": "needs renders and the landmark network; test/evaluation/meshes runs it",
    "template": "takes longer than all others; test/mesh builds the template",
    "prior-fit": "needs data sets that are not part of the repository",
    "noise-fit": "needs 3,000 answers of the detector",
    "record": "needs a live graph; test/ros/recorder/test_record.py runs it",
    "export-lerobot": "needs recordings; test/recordings/lerobot/test_export.py runs it",
    "two-views": "needs two videos; test/hand_images/two_views labels what two cameras see",
    "dataset": "needs a data set; test/datasets and test/evaluation/benchmark run it on miniature copies",
    "benchmark": "the same",
    "train diffusion_fk_rhd": "needs a data set; test/training/tasks/images/test_labelled_sets.py trains",
    "train diffusion_fk_stb": "the same",
    "train diffusion_fk_interhand26m": "the same",
    "train heatmap_25d_latent": "the same; test/training/tasks/heatmap/test_task.py trains",
    "train heatmap_25d_shp_rhp": "the same",
    "train heatmap_25d_all_sets": "the same",
    "train mesh_diffusion_freihand": "the same; test/training/tasks/mesh_diffusion/test_recipes.py trains",
    "train mesh_diffusion_ho3d": "the same",
    "train mesh_diffusion_dexycb": "the same",
    "train latent": "needs images in 2D and 3D; test/training/tasks/heatmap trains it",
    "scenes": "takes longer than all others; test/hand_images/scenes renders layers",
    "train hand_detector": "needs the landmark network; test/training/tasks/hand_detector trains",
    "train hand_orientation": "runs the landmark network on hands; test/training/tasks/orientation trains",
    "train landmark_error": "runs the landmark network on hands; test/training/tasks/test_landmark_error trains",
    "train fast": "needs the landmark network; test/training/tasks/heatmap trains every variant",
    "train presence": "needs trained weights; test/training/tasks/heatmap/test_presence.py trains the head",
    "train mesh_diffusion": "runs the landmark network on hands; test/training/tasks/mesh_diffusion trains",
    "train mesh_cross_diffusion": LIKE_MESHES,
    "train mesh_cross_direct": LIKE_MESHES,
    "train mesh_plain_diffusion": LIKE_MESHES,
    "train mesh_plain_direct": LIKE_MESHES,
    "train baseline": LIKE_IMAGE_HANDS,
    "train diffusion": LIKE_IMAGE_HANDS,
    "train contrastive": LIKE_IMAGE_HANDS,
    "train no_real": LIKE_IMAGE_HANDS,
    "train resnet34": LIKE_IMAGE_HANDS,
}
"""The same for those that are only parsed -> why."""
COMPLETE: Final = ("models", "template", "urdf")
"""Verbs that need no arguments; the others without arguments are names in a sentence."""


def kind(words: Sequence[str]) -> str:
    """The key of a `hand_pose` command in the tables."""
    verb = words[1]
    if verb != "train":
        return verb
    configs = [Path(word).stem for word in words if word.startswith("config/")]
    return f"train {configs[0] if configs else '--resume'}"


def lines() -> list[DocumentedCommand]:
    """The documented command lines of `hand_pose`, without names in a sentence."""
    commands = of_program(DOCUMENTED, "hand_pose")
    return [one for one in commands if len(one.words) > 2 or one.words[-1] in COMPLETE]


def run_lines() -> list[DocumentedCommand]:
    """Those that are run: of several with the same options the first."""
    found: dict[tuple[str, ...], DocumentedCommand] = {}
    for one in lines():
        if (key := kind(one.words)) in TINY:
            options = {word for word in one.words if word.startswith("--")}
            found.setdefault((key, *sorted(options)), one)
    return list(found.values())


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Iterator[Path]:
    """A folder to run in, with one thread of PyTorch: the data are tiny, and some commands set the number."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield tmp_path
    torch.set_num_threads(threads)


def test_every_documented_command_has_an_entry():
    assert not TINY.keys() & PARSED.keys()
    documented = {kind(one.words) for one in lines()}
    missing = documented - TINY.keys() - PARSED.keys()
    assert not missing, f"say in TINY or PARSED how to check {missing}"
    unused = (TINY.keys() | PARSED.keys()) - documented
    assert not unused, f"no document has {unused}"
    assert {kind(one.words) for one in run_lines()} == TINY.keys()


def test_names_of_commands_are_those_of_tools():
    for one in of_program(DOCUMENTED, "hand_pose"):
        assert len(one.words) == 1 or one.words[1] in (*command.COMMANDS, "--help"), one


@pytest.mark.parametrize("documented", run_lines(), ids=str)
def test_command_runs_on_tiny_data(documented, workspace, capsys):
    tiny = TINY[kind(documented.words)]
    if documented.words[1] in NEED_ROS:
        pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")
    arguments = [*without(documented.words[1:], tiny.left_out), *tiny.arguments]
    write_files(workspace, arguments)
    pages = {name: (workspace / name).read_text() for name in values_of("--docs", documented.words)}
    if kind(documented.words) == "train --resume":
        first = next(one for one in run_lines() if kind(one.words) == "train hand_diffusion")
        assert documented.words[-1] in first.words
        assert command.main([*first.words[1:], *TINY["train hand_diffusion"].arguments]) == 0
    parsed_only(lambda: command.main(list(documented.words[1:])))
    assert command.main(arguments) == 0
    written = values_of("--output", documented.words)
    for name in written:
        assert (workspace / name).exists(), f"{name} was not written"
    for name, text in pages.items():
        assert (workspace / name).read_text() != text, f"{name} was not changed"
    assert written or capsys.readouterr().out or documented.words[1] in ("parameters", "train")


def without(words: Sequence[str], left_out: Sequence[str]) -> list[str]:
    """The words without these options and their values."""
    kept, skipping = [], False
    for word in words:
        skipping = word in left_out or (skipping and not word.startswith("--"))
        if not skipping:
            kept.append(word)
    return kept


def values_of(option: str, words: Sequence[str]) -> list[str]:
    return [value for before, value in pairwise(words) if before == option]


@pytest.mark.parametrize("documented", [one for one in lines() if one not in run_lines()], ids=str)
def test_command_line_is_what_its_parser_reads(documented, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    if documented.words[1] in NEED_ROS:
        pytest.importorskip("rclpy", reason="needs ROS 2, by a sourced installation or `make test`")
    options = parsed_only(lambda: command.main(list(documented.words[1:])))
    if documented.words[1] == "train":
        check_training(options, monkeypatch)


def check_training(options: argparse.Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the configuration with the overrides, and the task's options, without making the task."""
    config = read_config(options.config, options.overrides)
    task = import_named(TASKS[config.task].rpartition(".")[0])

    def stop(self: object, *given: object) -> None:
        raise ParsedError(given)

    monkeypatch.setattr(task, "__init__", stop)
    with pytest.raises(ParsedError):
        create_task(config.task, config.options, config.seed)
