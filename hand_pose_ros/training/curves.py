"""The module writes the curves of a run as CSV files: means of the loss terms, and validation figures."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from hand_pose_ros.files.atomic_file import atomic_path


class CurveFile:
    """A CSV file that grows row by row, with the columns of its first row; 'step' is one of them."""

    def __init__(self, path: Path, step: int = 0) -> None:
        """Append to ``path`` after the rows up to ``step``; later rows, whose steps are repeated, are dropped."""
        self._path = path
        self._columns: list[str] | None = None
        rows: list[dict[str, str]] = []
        if path.exists() and step > 0:
            with path.open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                complete = (row for row in reader if None not in row.values())  # a crash may cut the last one
                rows = [row for row in complete if int(row["step"]) <= step]
                self._columns = list(reader.fieldnames or []) or None
        with atomic_path(path) as unfinished:
            self._write(unfinished, rows, header=self._columns is not None)

    def append(self, row: Mapping[str, float]) -> None:
        """Add a row.

        Raises:
            ValueError: its columns are not those of the rows before.
        """
        header = self._columns is None
        self._columns = self._columns or list(row)
        if list(row) != self._columns:
            raise ValueError(f"{self._path} has the columns {self._columns}, got a row of {list(row)}")
        shown = {name: f"{v:.6g}" if isinstance(v, float) else v for name, v in row.items()}
        self._write(self._path, [shown], header)

    def _write(self, path: Path, rows: list, header: bool) -> None:
        with path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, self._columns or [])
            if header:
                writer.writeheader()
            writer.writerows(rows)


class RunningMeans:
    """Means of named numbers over the steps since the last :meth:`take`; adding does not wait for the device."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._sum: Tensor | None = None
        self._count = 0

    def add(self, values: Mapping[str, Tensor]) -> None:
        """Add the scalars of one step, which must have the same names in every step."""
        if self._count and list(values) != self._names:
            raise ValueError(f"the loss terms must stay the same, were {self._names}, got {list(values)}")
        stacked = torch.stack([value.detach().double() for value in values.values()])
        self._sum = stacked if self._sum is None else self._sum + stacked
        self._names, self._count = list(values), self._count + 1

    def __bool__(self) -> bool:
        """Whether there is something to take."""
        return self._count > 0

    def take(self) -> dict[str, float]:
        """Return the means since the last call; at least one step must have been added."""
        assert self._sum is not None
        means = dict(zip(self._names, (self._sum / self._count).tolist(), strict=True))
        self._sum, self._count = None, 0
        return means

    def state_dict(self) -> dict:
        """Return the state for :meth:`load_state_dict`."""
        return {"names": self._names, "sum": self._sum, "count": self._count}

    def load_state_dict(self, state: Mapping, device: torch.device | None = None) -> None:
        """Restore the state of another instance, with its sums on ``device``."""
        summed: Tensor | None = state["sum"]
        self._sum = summed if summed is None or device is None else summed.to(device)
        self._names, self._count = list(state["names"]), state["count"]
