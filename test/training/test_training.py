"""The trainer: it learns, goes on as if never interrupted, and stops with a reason."""

from __future__ import annotations

import csv
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers.training import SineRegression, training_config

from hand_pose_ros.networks.weights import load_weights, restore
from hand_pose_ros.training.checkpoint import load_checkpoint
from hand_pose_ros.training.config import TrainingConfig
from hand_pose_ros.training.task import TASKS, create_task
from hand_pose_ros.training.train import main, prepare, stop_signals
from hand_pose_ros.training.trainer import NonFiniteError, Trainer

CPU = torch.device("cpu")


def run(config: TrainingConfig, output: Path, resume: bool = False, until: int | None = None) -> Trainer:
    """Train to the end, or stop before step ``until``."""
    trainer = prepare(config, output, resume)
    finished = trainer.run(lambda: until is not None and trainer.step >= until)
    assert finished == (until is None)
    return trainer


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def without_time(path: Path) -> list[dict[str, str]]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows(path)]


def assert_same_state(one: Path, other: Path) -> None:
    """Both folders hold bit-identical networks, averages and optimisers."""
    states = [load_checkpoint(folder / "checkpoint.pt", CPU) for folder in (one, other)]
    assert states[0].step == states[1].step
    for part in ("model", "averaged"):
        a, b = (getattr(state, part) for state in states)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a), part
    moments = [state.optimiser["state"] for state in states]
    for index, values in moments[0].items():
        assert all(torch.equal(value, moments[1][index][name]) for name, value in values.items())
    assert (one / "weights.safetensors").read_bytes() == (other / "weights.safetensors").read_bytes()
    for name in ("curves.csv", "validation.csv"):
        assert without_time(one / name) == without_time(other / name)


def test_it_learns_and_the_average_is_what_is_kept(tmp_path):
    trainer = run(training_config(steps=400), tmp_path)
    losses = [float(row["loss"]) for row in rows(tmp_path / "curves.csv")]
    assert losses[-1] < 0.4 * losses[0]
    assert trainer.figures["error"] < 0.9 * float(rows(tmp_path / "validation.csv")[0]["error"])
    for averaged, current in zip(
        trainer.averaged.model.parameters(), trainer.model.parameters(), strict=True
    ):
        assert not torch.equal(averaged, current)
        torch.testing.assert_close(averaged, current, rtol=0.05, atol=0.05)
    loaded = load_weights(tmp_path / "weights.safetensors", "helpers.training:SineRegression.make")
    rebuilt = SineRegression(loaded.config["width"], 1)
    restore(rebuilt.model, loaded)
    with torch.no_grad():
        assert rebuilt.validate(rebuilt.model.eval()) == trainer.figures


def test_curves_hold_means_of_every_term(tmp_path):
    run(training_config(steps=50), tmp_path)
    curve = rows(tmp_path / "curves.csv")
    assert list(curve[0]) == [
        "step",
        "seconds",
        "learning_rate",
        "gradient_norm",
        "loss",
        "squared",
        "absolute",
    ]
    assert [int(row["step"]) for row in curve] == [7, 14, 21, 28, 35, 42, 49, 50]
    for row in curve:
        assert float(row["loss"]) == pytest.approx(float(row["squared"]) + float(row["absolute"]), rel=1e-4)
        assert float(row["gradient_norm"]) > 0
    seconds = [float(row["seconds"]) for row in curve]
    assert seconds == sorted(seconds)
    assert [int(row["step"]) for row in rows(tmp_path / "validation.csv")] == [20, 40, 50]
    single = run(training_config(steps=7, every={"log_steps": 1}), tmp_path / "single")
    losses = [float(row["loss"]) for row in rows(single.output / "curves.csv")]
    whole = run(training_config(steps=7), tmp_path / "whole")
    assert float(rows(whole.output / "curves.csv")[0]["loss"]) == pytest.approx(sum(losses) / 7, rel=1e-4)


@pytest.mark.parametrize("until", [1, 20, 33])
def test_a_resumed_run_is_bit_identical(tmp_path, until):
    config = training_config(every={"log_steps": 7, "validation_steps": 20, "checkpoint_steps": 25})
    run(config, tmp_path / "whole")
    run(config, tmp_path / "parts", until=until)
    run(config, tmp_path / "parts", resume=True)
    assert_same_state(tmp_path / "whole", tmp_path / "parts")


def test_a_killed_run_goes_on_from_its_last_checkpoint(tmp_path, monkeypatch):
    config = training_config(every={"log_steps": 7, "validation_steps": 20, "checkpoint_steps": 25})
    run(config, tmp_path / "whole")
    trainer = prepare(config, tmp_path / "killed", resume=False)

    def kill() -> bool:
        if trainer.step == 48:
            raise MemoryError
        return False

    with pytest.raises(MemoryError):
        trainer.run(kill)
    assert load_checkpoint(tmp_path / "killed" / "checkpoint.pt", CPU).step == 25
    assert [int(row["step"]) for row in rows(tmp_path / "killed" / "curves.csv")][-1] == 42
    with (tmp_path / "killed" / "curves.csv").open("a") as file:
        file.write("4")  # a row that was being written
    run(config, tmp_path / "killed", resume=True)
    assert_same_state(tmp_path / "whole", tmp_path / "killed")


def test_seeds_decide(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(training_config(steps=5, seed=seed), tmp_path / name)
    assert_same_state(tmp_path / "a", tmp_path / "b")
    contents = [(tmp_path / name / "weights.safetensors").read_bytes() for name in "ac"]
    assert contents[0] != contents[1]


def test_a_finished_run_resumes_to_the_same(tmp_path):
    first = run(training_config(), tmp_path)
    curve = (tmp_path / "curves.csv").read_text()
    again = run(training_config(), tmp_path, resume=True)
    assert (again.step, again.figures) == (first.step, first.figures)
    assert (tmp_path / "curves.csv").read_text() == curve
    assert len(rows(tmp_path / "validation.csv")) == 3


def test_minutes_end_a_run_and_lower_its_learning_rate(tmp_path):
    config = training_config(
        task="helpers.training:SlowRegression.make", steps=None, minutes=0.6 / 60, every={"log_steps": 1}
    )
    trainer = run(config, tmp_path)
    assert trainer.share == 1
    assert trainer.seconds >= 0.6
    rates = [float(row["learning_rate"]) for row in rows(tmp_path / "curves.csv")]
    assert rates[-1] < 0.3 * max(rates)
    assert load_checkpoint(tmp_path / "checkpoint.pt", CPU).seconds >= 0.6


@pytest.mark.parametrize(
    ("width", "reason"), [(32, "the loss term 'squared' is nan"), (33, r"the gradient of head\.bias")]
)
def test_a_nan_stops_the_run_and_keeps_the_state_before_it(tmp_path, width, reason):
    values = {"options": {"width": width}, "every": {"log_steps": 7, "validation_steps": 20}}
    config = training_config(task="helpers.training:FailingRegression.make", **values)
    with pytest.raises(NonFiniteError, match=rf"stopped in step 10 .*{reason}.*checkpoint\.pt"):
        run(config, tmp_path / "failing")
    state = load_checkpoint(tmp_path / "failing" / "checkpoint.pt", CPU)
    assert state.step == 10
    run(training_config(**values), tmp_path / "sound", until=10)
    sound = load_checkpoint(tmp_path / "sound" / "checkpoint.pt", CPU)
    for name, _ in create_task(config.task, config.options, 0).model.named_parameters():
        assert torch.equal(state.model[name], sound.model[name])


def test_mixed_precision_trains_float_weights(tmp_path):
    trainer = run(training_config(precision="bf16"), tmp_path / "bf16")
    assert all(p.dtype == torch.float32 for p in trainer.model.parameters())
    full = run(training_config(precision="fp32"), tmp_path / "fp32")
    assert trainer.figures["error"] != full.figures["error"]
    assert trainer.figures["error"] == pytest.approx(full.figures["error"], rel=0.1)


def test_a_folder_with_a_run_is_not_overwritten(tmp_path):
    run(training_config(), tmp_path)
    with pytest.raises(ValueError, match="holds a run already"):
        prepare(training_config(), tmp_path, resume=False)


def test_resuming_needs_a_checkpoint_of_the_same_configuration(tmp_path):
    with pytest.raises(ValueError, match="there is no checkpoint"):
        prepare(training_config(), tmp_path, resume=True)
    run(training_config(), tmp_path)
    with pytest.raises(ValueError, match="seed was 1, is 3"):
        prepare(training_config(seed=3), tmp_path, resume=True)
    checkpoint = tmp_path / "checkpoint.pt"
    for content in (checkpoint.read_bytes()[:1000], b"", b"<html>"):
        checkpoint.write_bytes(content)
        with pytest.raises(ValueError, match=r"checkpoint\.pt cannot be read"):
            prepare(training_config(), tmp_path, resume=True)
    torch.save({"model": {}}, checkpoint)
    with pytest.raises(ValueError, match="not a checkpoint of this version"):
        prepare(training_config(), tmp_path, resume=True)


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("unknown", f"must be one of {', '.join(TASKS)}"),
        ("no_such_module:make", "cannot be found: No module"),
        ("helpers.training:absent", "cannot be found"),
    ],
)
def test_unknown_tasks_are_refused(task, message):
    with pytest.raises(ValueError, match=message):
        create_task(task, {}, 0)


@pytest.mark.parametrize("terms", [{}, {"a": torch.zeros(2)}])
def test_losses_must_be_scalars(tmp_path, terms):
    trainer = prepare(training_config(), tmp_path, resume=False)
    trainer.task.losses = lambda generator: terms
    with pytest.raises(ValueError, match="at least one term and only scalars"):
        trainer.run()


@pytest.fixture
def interruptible():
    """Programs that a shell starts in the background ignore SIGINT: not in this test."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_signals_are_collected_once(interruptible):
    with stop_signals() as received:
        signal.raise_signal(signal.SIGTERM)
        assert received == [signal.SIGTERM]
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# The command.


@pytest.fixture
def config_file(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text("task: helpers.training:SineRegression.make\nsteps: 20\nthreads: 1\ndevice: cpu\n")
    return path


def test_the_command_trains_and_sums_up(config_file, tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.chdir(tmp_path)
    assert main(["--config", str(config_file), "--set", "seed=4", "--set", "options.width=8"]) == 0
    output = tmp_path / "runs" / "small"
    result = json.loads((output / "summary.json").read_text())
    assert result["command"] == [
        "hand_pose",
        "train",
        "--config",
        str(config_file),
        "--set",
        "seed=4",
        "--set",
        "options.width=8",
    ]
    assert (result["finished"], result["steps"], result["seed"], result["network"]) == (
        True,
        20,
        4,
        {"width": 8},
    )
    assert result["figures"].keys() == {"error"}
    assert result["config"]["options"] == {"width": 8}
    assert result["versions"].keys() >= {"python", "torch", "safetensors"}
    assert result["parameters"] == 4 * 8 + 8 + 2 * 8 + 8 * 3 + 3
    assert result["seconds"] >= 0  # to a tenth, which a quick machine does not need
    assert "finished after step 20" in caplog.text
    assert load_weights(output / "weights.safetensors").config == {"width": 8}
    assert main(["--resume", "--output", str(output)]) == 0, "the run's own configuration is used"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config", "absent.yaml"], "cannot read the configuration absent.yaml"),
        (["--config", "small.yaml", "--set", "rate=3"], "unknown key: rate"),
        (["--config", "small.yaml", "--set", "task=other"], "task must be one of"),
        (["--config", "small.yaml", "--resume"], "there is no checkpoint"),
        (["--resume"], "give --config"),
        ([], "give --config"),
    ],
)
def test_the_command_says_what_is_wrong(config_file, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(config_file.parent)
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_the_command_reports_a_nan(config_file, tmp_path, capsys):
    with pytest.raises(SystemExit) as caught:
        main(
            [
                "--config",
                str(config_file),
                "--output",
                str(tmp_path / "o"),
                "--set",
                "task=helpers.training:FailingRegression.make",
            ]
        )
    assert caught.value.code == 1
    assert "hand_pose train: stopped in step 10" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_the_run_goes_on_bit_identically(
    config_file, tmp_path, monkeypatch, caplog, number
):
    caplog.set_level(logging.INFO)
    arguments = ["--config", str(config_file), "--set", "every.log_steps=3"]
    assert main([*arguments, "--output", str(tmp_path / "whole")]) == 0
    calls = []

    def losses(task, generator, original=SineRegression.losses):
        calls.append(number)
        if len(calls) == 8:
            signal.raise_signal(number)
        return original(task, generator)

    output = tmp_path / "interrupted"
    with monkeypatch.context() as patch:
        patch.setattr(SineRegression, "losses", losses)
        assert main([*arguments, "--output", str(output)]) == 128 + number
    assert f"go on with: hand_pose train --resume --output {output}" in caplog.text
    assert load_checkpoint(output / "checkpoint.pt", CPU).step == 8, "the step that was under way is finished"
    assert json.loads((output / "summary.json").read_text())["finished"] is False
    assert main(["--resume", "--output", str(output)]) == 0
    assert_same_state(tmp_path / "whole", output)


@pytest.mark.slow
def test_a_process_that_is_told_to_stop_ends_cleanly(config_file, tmp_path):
    output = tmp_path / "run"
    command = [sys.executable, "-m", "hand_pose_ros", "train", "--config", str(config_file)]
    command += [
        "--output",
        str(output),
        "--set",
        "every.log_steps=1",
        "--set",
        "steps=null",
        "--set",
        "minutes=5",
    ]
    process = subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not (output / "curves.csv").exists() or len(rows(output / "curves.csv")) < 5:
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "Traceback" not in errors
    assert load_checkpoint(output / "checkpoint.pt", CPU).step >= 5
