"""Processes of one run: they train as one process does, resume, and fail together."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import rank_runs
from helpers.image_networks import drawn_hands

from hand_pose_ros.hand_images.shards import save_shard
from hand_pose_ros.training.checkpoint import load_checkpoint
from hand_pose_ros.training.ranks import Ranks

CPU = torch.device("cpu")
TASK_RUNS = tuple(rank_runs.task_configs(Path()))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with the runs of two processes, and with the same runs of one process in ``alone``."""
    folder = tmp_path_factory.mktemp("runs")
    save_shard(folder / "images" / "one", drawn_hands(16), 0, {})
    ended = rank_runs.start("learn", folder)
    assert [status for status, _ in ended] == [0, 0], ended
    (folder / "alone").mkdir()
    threads = torch.get_num_threads()
    rank_runs.train(rank_runs.small_config(), folder / "alone" / "whole", Ranks())
    for name, config in rank_runs.task_configs(folder).items():
        rank_runs.train(config, folder / "alone" / name, Ranks())
    torch.set_num_threads(threads)
    return folder


def state(folder: Path, name: str, rank: int = 0) -> dict[str, torch.Tensor]:
    """The tensors of a rank at the end of a run, by part and name."""
    parts = torch.load(folder / f"{name}.rank{rank}.pt", weights_only=True)
    found = {f"{part} {key}": value for part in ("model", "averaged") for key, value in parts[part].items()}
    for index, moments in parts["moments"].items():
        found |= {f"moment {index} {key}": value for key, value in moments.items()}
    return found


def curves(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        return [{key: float(value) for key, value in row.items() if key != "seconds"} for row in rows]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", *TASK_RUNS])
def test_two_processes_train_as_one_does(runs, name):
    two, one = state(runs, name), state(runs / "alone", name)
    assert two.keys() == one.keys()
    for key, value in two.items():
        torch.testing.assert_close(value, one[key], rtol=1e-5, atol=1e-6, msg=key)
    for file in ("curves.csv", "validation.csv"):
        for ours, theirs in zip(
            curves(runs / name / file), curves(runs / "alone" / name / file), strict=True
        ):
            assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "parts", *TASK_RUNS])
def test_all_processes_hold_the_same_state(runs, name):
    first, second = (state(runs, name, rank) for rank in (0, 1))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[key]) for key, value in first.items())
    saved = load_checkpoint(runs / name / "checkpoint.pt", CPU)
    for key, value in saved.averaged.items():
        assert torch.equal(value, second[f"averaged {key}"])


@pytest.mark.slow
def test_a_stop_of_any_process_ends_all_and_the_run_resumes_bit_identically(runs):
    assert (runs / "parts" / "checkpoint.pt").is_file()
    whole, parts = state(runs, "whole"), state(runs, "parts")
    assert all(torch.equal(value, parts[key]) for key, value in whole.items())
    for file in ("curves.csv", "validation.csv"):
        assert curves(runs / "whole" / file) == curves(runs / "parts" / file)


@pytest.mark.slow
def test_a_run_resumes_with_another_number_of_processes(runs, tmp_path):
    config = rank_runs.small_config()
    folder = tmp_path / "whole"
    rank_runs.train(config, folder, Ranks(), until=13)
    assert (tmp_path / "whole.rank0.pt").is_file()
    status = rank_runs.start("resume", tmp_path)
    assert [one for one, _ in status] == [0, 0], status
    for key, value in state(tmp_path, "whole").items():
        torch.testing.assert_close(value, state(runs / "alone", "whole")[key], rtol=1e-5, atol=1e-6, msg=key)


@pytest.mark.slow
def test_an_existing_run_is_refused_by_every_process(runs):
    for rank in (0, 1):
        assert "holds a run already" in (runs / f"refused{rank}").read_text()


@pytest.mark.slow
def test_one_process_writes(runs):
    steps = [row["step"] for row in curves(runs / "whole" / "curves.csv")]
    assert steps == sorted(set(steps))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "messages"),
    [
        ("error", ["RankError: process 1 failed: OSError: the shard is gone", "OSError: the shard is gone"]),
        ("end", ["RankError: another process of this run ended or cannot be reached", ""]),
        ("nan", ["NonFiniteError: stopped in step 5"] * 2),
    ],
)
def test_a_process_that_fails_ends_the_others(tmp_path, kind, messages):
    ended = rank_runs.start(kind, tmp_path)
    assert [status for status, _ in ended] == [1, 7 if kind == "end" else 1], ended
    for rank, message in enumerate(messages):
        path = tmp_path / f"{kind}{rank}"
        assert path.is_file() == bool(message)
        assert not message or path.read_text().startswith(message)
    if kind == "nan":
        assert load_checkpoint(tmp_path / kind / "checkpoint.pt", CPU).step == 5


@pytest.mark.slow
def test_torchrun_starts_the_command(tmp_path):
    config = tmp_path / "small.yaml"
    config.write_text(
        "task: helpers.training:SineRegression.make\nsteps: 5\nmicro_batches: 2\nthreads: 1\ndevice: cpu\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "hand_pose_ros", "train", "--config", str(config), "--output", str(tmp_path / "run")]
    ended = subprocess.run(
        command,
        check=False,
        env=rank_runs.environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("finished after step 5") == 1
    assert '"processes": 2' in (tmp_path / "run" / "summary.json").read_text()


def test_the_environment_says_who_is_who():
    assert Ranks.from_environment({}) == Ranks()
    given = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4"}
    assert Ranks.from_environment(given) == Ranks(3, 1, 4, grouped=True)
    assert not Ranks.from_environment(given).first


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"RANK": "0"}, "LOCAL_RANK, WORLD_SIZE is not set"),
        ({"RANK": "a", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}, "must be whole numbers"),
        ({"RANK": "2", "LOCAL_RANK": "0", "WORLD_SIZE": "2"}, "RANK=2, LOCAL_RANK=0, WORLD_SIZE=2"),
        ({"RANK": "0", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}, "LOCAL_RANK=1"),
    ],
)
def test_an_environment_that_does_not_fit_is_refused(environment, message):
    with pytest.raises(ValueError, match=message):
        Ranks.from_environment(environment)


def test_micro_batches_are_shared_without_a_rest():
    ranks = [Ranks(rank, 0, 3, grouped=True) for rank in range(3)]
    assert [number for one in ranks for number in one.own(6)] == list(range(6))
    with pytest.raises(ValueError, match="micro_batches must be a multiple of the 3 processes, got 4"):
        ranks[0].own(4)


def test_each_process_needs_its_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with (
        pytest.raises(ValueError, match="process 2 of this machine has no GPU of its own, of 2"),
        Ranks(2, 2, 4, grouped=True).joined(torch.device("cuda")),
    ):
        pass
