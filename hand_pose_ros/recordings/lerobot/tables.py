"""The Parquet tables of a data set: frames, episodes and tasks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from hand_pose_ros.recordings.lerobot.features import Feature
from hand_pose_ros.recordings.lerobot.libraries import parquet
from hand_pose_ros.recordings.lerobot.paths import DATA, FileNumber

_COMPRESSION: Final = "snappy"


class FrameTable:
    """Writes the frames of episodes, one row group each; a new file begins after one is full.

    Args:
        root: folder of the data set. most_bytes: a file that has reached it takes no further episode.

    Raises:
        ImportError: PyArrow is not installed.
    """

    def __init__(self, root: Path, features: Mapping[str, Feature], most_bytes: int) -> None:
        self._arrow, self._parquet = parquet()
        self._root, self._features, self._most_bytes = root, features, most_bytes
        self.files = [FileNumber(0, 0)]
        """The files so far; the last one is written."""
        self._writer: Any = None

    def add(self, values: Mapping[str, np.ndarray]) -> FileNumber:
        """Write the columns of an episode; returns the number of its file."""
        table = self._arrow.table({key: self._column(key, values[key]) for key in self._features})
        if self._writer is not None and self._path(self.files[-1]).stat().st_size >= self._most_bytes:
            self.close()
            self.files.append(self.files[-1].following())
        if self._writer is None:
            path = self._path(self.files[-1])
            path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = self._parquet.ParquetWriter(
                path, table.schema, compression=_COMPRESSION, use_dictionary=True
            )
        self._writer.write_table(table)
        return self.files[-1]

    def close(self) -> None:
        """Finish the file."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()

    def read(self, key: str) -> np.ndarray:
        """The values of a column, of all files: (n,), or (n, k) of a feature of k elements."""
        parts = []
        for number in self.files:
            column = self._parquet.read_table(self._path(number), columns=[key]).column(key).combine_chunks()
            parts.append(column.flatten() if self._features[key].shape != (1,) else column)
        values = np.concatenate([part.to_numpy(zero_copy_only=False) for part in parts])
        return values if self._features[key].shape == (1,) else values.reshape(-1, *self._features[key].shape)

    def _path(self, number: FileNumber) -> Path:
        return self._root / number.path(DATA)

    def _column(self, key: str, values: np.ndarray) -> Any:
        """The column as LeRobot stores it: values, or lists of fixed size."""
        flat = self._arrow.array(np.ascontiguousarray(values).reshape(-1))
        (size,) = self._features[key].shape
        return flat if size == 1 else self._arrow.FixedSizeListArray.from_arrays(flat, size)


def write_episodes(path: Path, episodes: Sequence[Mapping[str, Any]]) -> None:
    """Write the table of episodes: a row each, with the same keys."""
    arrow, arrow_parquet = parquet()
    path.parent.mkdir(parents=True, exist_ok=True)
    table = arrow.Table.from_pydict({key: [one[key] for one in episodes] for key in episodes[0]})
    arrow_parquet.write_table(table, path, compression=_COMPRESSION)


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """Write the table of tasks as pandas does: the text is its index, the number its column."""
    arrow, arrow_parquet = parquet()
    path.parent.mkdir(parents=True, exist_ok=True)
    number = {"name": "task_index", "field_name": "task_index", "metadata": None}
    text = {"name": "task", "field_name": "task", "metadata": None}
    level = {"name": None, "field_name": None, "metadata": {"encoding": "UTF-8"}}
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [level | {"pandas_type": "unicode", "numpy_type": "object"}],
        "columns": [
            number | {"pandas_type": "int64", "numpy_type": "int64"},
            text | {"pandas_type": "unicode", "numpy_type": "object"},
        ],
        "creator": {"library": "pyarrow", "version": arrow.__version__},
        "pandas_version": "2.2.0",
    }
    table = arrow.table(
        {"task_index": arrow.array(range(len(tasks)), arrow.int64()), "task": arrow.array(list(tasks))}
    )
    table = table.replace_schema_metadata({b"pandas": json.dumps(pandas).encode()})
    arrow_parquet.write_table(table, path, compression=_COMPRESSION)
