"""The table of seeds keeps training, validation, calibration and evaluation apart, and holds every fixed seed."""

from __future__ import annotations

import ast
from itertools import combinations
from pathlib import Path

import pytest
import yaml

import hand_pose_ros
from hand_pose_ros.common.seeds import Seed

PACKAGE = Path(hand_pose_ros.__file__).parent
CHECKOUT = PACKAGE.parent
CONFIGURATIONS = sorted((CHECKOUT / "config" / "training").rglob("*.yaml"))
GENERATORS = {"manual_seed", "default_rng", "SeedSequence", "seed", "RandomState"}


def reserved(seed: Seed) -> range:
    return range(seed, seed + seed.count)


def test_no_seed_belongs_to_two_entries():
    assert len(Seed.__members__) == len(list(Seed)) > 10
    for one, other in combinations(Seed, 2):
        assert not set(reserved(one)) & set(reserved(other)), (one.name, other.name)
    assert all(seed.count >= 1 and seed.purpose.endswith(".") for seed in Seed)


def test_what_is_measured_is_not_trained_on():
    """The shipped weights were made with today's seeds but one: the temporal transformer's videos had 30_001."""
    trained = {Seed.TRAINING, Seed.STATISTICS, Seed.TEMPORAL_BANK, 30_001}
    measured = [seed for seed in Seed if seed.purpose.startswith(("Evaluation", "Validation", "Choice"))]
    assert len(measured) >= 10
    for seed in measured:
        assert not trained & set(reserved(seed)), seed.name


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_training_files_have_the_seed_of_training(path):
    assert yaml.safe_load(path.read_text())["seed"] == Seed.TRAINING


def test_an_entry_gives_no_more_seeds_than_it_reserves():
    assert [Seed.VIDEOS.at(index) for index in (0, 1)] == [40_009, 40_010]
    for index in (-1, 2):
        with pytest.raises(ValueError, match="VIDEOS reserves 2"):
            Seed.VIDEOS.at(index)


def literal_seeds(path: Path) -> list[int]:
    """Lines with an integer as a seed: of a generator, a parameter, an option, a constant or an argument."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text())):
        values = []
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            values += [keyword.value for keyword in node.keywords if keyword.arg == "seed"]
            if called in GENERATORS:
                values += node.args
            if called == "add_argument" and ast.unparse(node.args[0]) == "'--seed'":
                values += [keyword.value for keyword in node.keywords if keyword.arg == "default"]
        elif isinstance(node, ast.arguments):
            pairs = zip(reversed(node.args), reversed(node.defaults), strict=False)
            values += [value for name, value in pairs if name.arg == "seed"]
            pairs = zip(node.kwonlyargs, node.kw_defaults, strict=True)
            values += [value for name, value in pairs if name.arg == "seed" and value is not None]
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any("seed" in ast.unparse(target).lower().split("_") for target in targets):
                values.append(node.value)
        if any(isinstance(part, ast.Constant) and type(part.value) is int
               for value in values for part in ([value] + getattr(value, "elts", []))):  # fmt: skip
            lines.append(node.lineno if hasattr(node, "lineno") else values[0].lineno)
    return lines


def test_fixed_seeds_stand_in_the_table_only(tmp_path):
    files = [*PACKAGE.rglob("*.py"), *(CHECKOUT / "benchmarks").glob("*.py")]
    found = {path: literal_seeds(path) for path in files}
    assert not {str(path): lines for path, lines in found.items() if lines}
    wrong = (
        "g.manual_seed(1)", "np.random.default_rng((1, row))", "f(seed=2)", "_BANK_SEED: Final = 3",
        "seed: int = 0", "def f(a, seed: int = 0): ...", "def f(*, seed=0): ...",
        "p.add_argument('--seed', type=int, default=0)",
    )  # fmt: skip
    for line in wrong:
        path = tmp_path / "wrong.py"
        path.write_text(line)
        assert literal_seeds(path), line
