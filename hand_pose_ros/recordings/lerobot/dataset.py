"""Writes a data set in the layout of LeRobotDataset v3.0, episode by episode.

Columns, types, paths, metadata and statistics are those of `lerobot/datasets` in huggingface/lerobot 0.6.1.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from hand_pose_ros.recordings.lerobot import paths
from hand_pose_ros.recordings.lerobot.features import (
    CAMERA,
    INDEX_FEATURES,
    DatasetLayout,
    check_columns,
)
from hand_pose_ros.recordings.lerobot.paths import FileNumber
from hand_pose_ros.recordings.lerobot.statistics import (
    ImageStatistics,
    Statistics,
    known,
    sampled_frames,
    to_json,
    value_statistics,
)
from hand_pose_ros.recordings.lerobot.tables import FrameTable, write_episodes, write_tasks
from hand_pose_ros.recordings.lerobot.video import VideoSpan, VideoWriter

_MB = 1 << 20


@dataclass(frozen=True)
class FileLimits:
    """Sizes from which a file takes no further episode, MB. LeRobot's defaults."""

    data_mb: int = paths.DATA_FILE_MB
    video_mb: int = paths.VIDEO_FILE_MB


class DatasetWriter:
    """Writes a data set; a context manager.

    It is written beside ``folder``, and gets its name when the block ends; nothing is left if the block raises, or
    if there was no episode.

    Args:
        folder: the data set's; must not exist.
        fps: frames per second, a whole number.
        robot: name for ``robot_type``; None without a robot.

    Raises:
        ValueError: the folder exists, or ``fps`` is not positive.
        ImportError: PyArrow or PyAV is not installed.
    """

    def __init__(
        self,
        folder: Path,
        layout: DatasetLayout,
        fps: int,
        robot: str | None = None,
        limits: FileLimits | None = None,
    ) -> None:
        if folder.exists():
            raise ValueError(f"{folder} exists already")
        if fps <= 0:
            raise ValueError(f"fps must be positive, got {fps}")
        self._folder, self.layout, self._fps, self._robot = folder, layout, fps, robot
        self._limits = limits or FileLimits()
        self._unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
        self._frames = FrameTable(
            self._unfinished, layout.columns | INDEX_FEATURES, self._limits.data_mb * _MB
        )
        template = paths.VIDEO.replace("{video_key}", CAMERA)
        self._video = VideoWriter(
            self._unfinished, template, fps, layout.image_size, self._limits.video_mb * _MB
        )
        self._episodes: list[dict[str, Any]] = []
        self._tasks: dict[str, int] = {}
        self._images = ImageStatistics()
        self.total_frames = 0
        """Number of frames of all episodes."""

    def __enter__(self) -> DatasetWriter:
        self._unfinished.mkdir(parents=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._video.close()
            self._frames.close()
            if error is None and self._episodes:
                self._write_metadata()
                os.replace(self._unfinished, self._folder)
        finally:
            shutil.rmtree(self._unfinished, ignore_errors=True)

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return len(self._episodes)

    def add_episode(
        self, task: str, values: Mapping[str, np.ndarray], images_rgb: Iterable[np.ndarray], count: int
    ) -> None:
        """Add an episode of ``count`` frames, at least one.

        Args:
            values: column -> values (count, ...), of the layout's types and shapes.
            images_rgb: one (H, W, 3) uint8 RGB a frame, of the layout's size.

        Raises:
            ValueError: a column is missing or does not fit, or the images are of another size or number.
        """
        if count < 1:
            raise ValueError("an episode has at least one frame")
        check_columns(self.layout.columns, dict(values), count)
        images = ImageStatistics()
        span = self._encode(images_rgb, count, images.add)
        number, first = len(self._episodes), self.total_frames
        task_index = self._tasks.setdefault(task, len(self._tasks))
        frames = np.arange(count)
        columns = {
            **values,
            "timestamp": (frames / self._fps).astype(np.float32),
            "frame_index": frames,
            "episode_index": np.full(count, number),
            "index": frames + first,
            "task_index": np.full(count, task_index),
        }
        file = self._frames.add(columns)
        self._images.merge(images)
        self.total_frames += count
        statistics = {key: value_statistics(columns[key]) for key in columns}
        self._episodes.append(
            {
                "episode_index": number,
                "tasks": [task],
                "length": count,
                **_file_columns("data", file),
                "dataset_from_index": first,
                "dataset_to_index": first + count,
                **_file_columns(f"videos/{CAMERA}", span.file),
                f"videos/{CAMERA}/from_timestamp": span.from_s,
                f"videos/{CAMERA}/to_timestamp": span.to_s,
                **_statistics_columns({CAMERA: images.statistics(), **statistics}),
                **_file_columns("meta/episodes", FileNumber(0, 0)),
            }
        )

    def _encode(
        self, images_rgb: Iterable[np.ndarray], count: int, sample: Callable[[np.ndarray], None]
    ) -> VideoSpan:
        width, height = self.layout.image_size
        sampled = sampled_frames(count)
        self._video.begin_episode()
        encoded = 0
        for image in images_rgb:
            if image.shape != (height, width, 3) or image.dtype != np.uint8:
                raise ValueError(
                    f"an image is {image.shape} {image.dtype}, expected {(height, width, 3)} uint8: "
                    "the size of the images must not change"
                )
            self._video.add(image)
            if encoded in sampled:
                sample(image)
            encoded += 1
        if encoded != count:
            raise ValueError(f"there are {encoded} images for {count} frames")
        return self._video.end_episode()

    def _write_metadata(self) -> None:
        root, layout = self._unfinished, self.layout
        write_episodes(root / FileNumber(0, 0).path(paths.EPISODES), self._episodes)
        write_tasks(root / paths.TASKS, list(self._tasks))
        statistics = {CAMERA: self._images.statistics()}
        for key in layout.columns | INDEX_FEATURES:
            found = value_statistics(self._frames.read(key))
            if known(found):  # JSON has no NaN; LeRobot leaves a feature without statistics as it is
                statistics[key] = found
        _write_json(root / paths.STATISTICS, {key: to_json(one) for key, one in statistics.items()})
        info = {
            "codebase_version": paths.VERSION,
            "fps": self._fps,
            "features": layout.to_json(self._video.info()),
            "total_episodes": len(self._episodes),
            "total_frames": self.total_frames,
            "total_tasks": len(self._tasks),
            "chunks_size": paths.FILES_PER_CHUNK,
            "data_files_size_in_mb": self._limits.data_mb,
            "video_files_size_in_mb": self._limits.video_mb,
            "data_path": paths.DATA,
            "video_path": paths.VIDEO,
            "robot_type": self._robot,
            "splits": {"train": f"0:{len(self._episodes)}"},
        }
        _write_json(root / paths.INFO, info)


def _file_columns(prefix: str, number: FileNumber) -> dict[str, int]:
    return {f"{prefix}/chunk_index": number.chunk, f"{prefix}/file_index": number.file}


def _statistics_columns(statistics: Mapping[str, Statistics]) -> dict[str, Any]:
    return {
        f"stats/{key}/{name}": value
        for key, one in statistics.items()
        for name, value in to_json(one).items()
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=4, ensure_ascii=False, allow_nan=False)
    path.write_text(text, encoding="utf-8")
