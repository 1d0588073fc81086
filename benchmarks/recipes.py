"""What the papers' recipes cost, counted on this machine without running them to the end.

    python -m benchmarks.recipes SHARDS [--rate 20] [--images 2]

For each file of config/training/papers: parameters, operations of one image (forward and backward; a
multiplication with its addition counts as two), and bytes that the forward pass keeps for the backward pass, in
fp32. SHARDS is any folder of hand images. Hours and memory follow from these, batch size and steps: hours at an
assumed sustained ``--rate`` in TFLOP/s; memory as kept bytes, and 20 bytes a parameter for weights, gradients,
both moments and the average. Prints Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.evaluation.report import markdown_table
from hand_pose_ros.training.config_files import read_yaml
from hand_pose_ros.training.task import create_task

PAPERS: Final = Path(__file__).resolve().parents[1] / "config" / "training" / "papers"
BYTES_OF_PARAMETER: Final = 20
_HOUR_S: Final = 3600


class Cost(NamedTuple):
    """Cost of a recipe. operations, kept_bytes: of one image. images: of one step, and steps of the run."""

    parameters: int
    operations: float
    kept_bytes: float
    images: int
    steps: int

    def hours(self, rate: float) -> float:
        """Hours of the run at ``rate`` operations a second."""
        return self.operations * self.images * self.steps / rate / _HOUR_S

    @property
    def memory_bytes(self) -> float:
        """Bytes that the run needs where it trains."""
        return self.kept_bytes * self.images + BYTES_OF_PARAMETER * self.parameters


@contextmanager
def kept_bytes() -> Iterator[list[int]]:
    """Count the bytes that autograd keeps, each storage once; the list has their number at the end."""
    storages: dict[int, int] = {}
    total: list[int] = []
    held = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if not isinstance(tensor, torch.nn.Parameter):
            storages[storage.data_ptr()] = storage.nbytes()
            held.append(tensor)  # or its address would be used again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        yield total
    total.append(sum(storages.values()))


def cost_of(path: Path, shards: str, images: int) -> Cost:
    """Count the cost of a recipe by one batch of ``images``."""
    recipe = read_yaml(path)
    options: dict[str, Any] = recipe["options"]
    if "data" in options:
        of_step = options["data"]["batch_size"]
        options["data"] |= {
            "sets": [],
            "real": [shards],
            "batch_size": images,
            "held_back": 1,
            "negatives": 0,
        }
    else:
        of_step = options["batch_size"]
        options |= {"bank": "", "rendered": {"folders": [shards], "left_share": 0.0}, "batch_size": images}
        options["validation"] = None
    task = create_task(recipe["task"], options, Seed.ARBITRARY)
    task.model.train()
    if make_data := getattr(task, "make_data", None):
        make_data()
    with FlopCounterMode(display=False) as counter:
        with kept_bytes() as kept:
            terms = task.losses(torch.Generator().manual_seed(Seed.ARBITRARY))
            loss = torch.stack(list(terms.values())).sum()
        loss.backward()
    parameters = sum(one.numel() for one in task.model.parameters())
    return Cost(parameters, counter.get_total_flops() / images, kept[0] / images, of_step, recipe["steps"])


def main() -> None:
    """Print a row for each recipe."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("shards", help="folder of hand images, of `hand_pose render`")
    parser.add_argument("--rate", type=float, default=20.0, help="assumed sustained TFLOP/s")
    parser.add_argument("--images", type=int, default=2, help="images of the batch that is counted")
    options = parser.parse_args()
    torch.set_num_threads(1)
    names, cells = [], []
    for path in sorted(PAPERS.glob("*.yaml")):
        cost = cost_of(path, options.shards, options.images)
        names.append(f"`{path.name}`")
        cells.append(
            [
                f"{1e-6 * cost.parameters:.1f}",
                f"{1e-9 * cost.operations:.1f}",
                f"{1e-6 * cost.kept_bytes:.0f}",
                f"{cost.images} x {cost.steps:,}",
                f"{1e-9 * cost.memory_bytes:.1f}",
                f"{cost.hours(1e12 * options.rate):.1f}",
            ]
        )
    columns = ["recipe", "parameters M", "GFLOP / image", "kept MB / image", "images x steps", "memory GB"]
    print(markdown_table([*columns, f"hours at {options.rate:g} TFLOP/s"], names, cells))


if __name__ == "__main__":
    main()
