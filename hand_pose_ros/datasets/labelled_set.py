"""The base of the readers: a data set as a sequence of labelled hands with an index on disk."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, TypeVar

import numpy as np
import torch
from tqdm import tqdm

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.options import Options
from hand_pose_ros.datasets.labelled_hand import LabelledHand
from hand_pose_ros.datasets.storage.files import AGAIN, OR_SKIP, MalformedFileError, require
from hand_pose_ros.datasets.storage.index import Column, open_index

AnyOptions = TypeVar("AnyOptions", bound=Options)
Refuse = Callable[[MalformedFileError], None]
"""Called by a reader with what is wrong with an entry; raises it, or takes note of it and returns."""

MALFORMED: Final = ("fatal", "skipped")
"""Treatment of malformed or missing files."""

_MOST_SEARCHED: Final = 1000  # entries of a folder that is not the set's
_log = logging.getLogger(__name__)


class LabelledSet(ABC, Generic[AnyOptions]):
    """A data set on disk; random access to its hands, of which only the requested one is read.

    A subclass says which files decide what the set contains (``sources``), lists the set once
    (``rows`` of the ``columns``), and makes a hand of a row (``hand``).
    """

    name: ClassVar[str]
    """Name in commands and configurations."""
    title: ClassVar[str]
    """Name in tables."""
    layout: ClassVar[str]
    """What the folder holds where the layout of the set begins, for messages."""
    options_type: ClassVar[type[Options]]
    columns: ClassVar[Mapping[str, Column]]

    def __init__(
        self, folder: str | Path, options: AnyOptions | None = None, malformed: str = "fatal"
    ) -> None:
        """Open the set; the first time it is indexed, which the terminal shows.

        Args:
            folder: where the set's own layout begins, see the documentation of the set.
            options: of the reader; their defaults if None.
            malformed: ``fatal`` raises for the first malformed or missing file; ``skipped`` leaves its hands
                out, logs its name, and counts it.

        Raises:
            MalformedFileError: the folder or a file that says what the set contains is missing or malformed;
                or any other one, if that is fatal.
            ValueError: the set contains no hand, or ``malformed`` is another word.
        """
        if malformed not in MALFORMED:
            raise ValueError(f"malformed must be one of {', '.join(MALFORMED)}, got {malformed!r}")
        self.folder = Path(folder)
        self.options: AnyOptions = options if options is not None else self.options_type()  # type: ignore[assignment]
        self.tolerant = malformed == "skipped"
        """Whether malformed and missing files are skipped."""
        self._sources = self._require_sources()
        self._index = open_index(
            self.folder,
            self.name,
            self._sources,
            self.options.flat(),
            self.index_columns(),
            self._reported_rows,
            accept_skipped=self.tolerant,
        )
        if self._index.skipped_count:
            _log.warning(
                "%s: %d entries were left out; the first: %s",
                self.folder,
                self._index.skipped_count,
                self._index.skipped[0],
            )

    @abstractmethod
    def sources(self) -> list[Path]:
        """List the files that say what the set contains; the index is built again when one of them changes."""

    @abstractmethod
    def rows(self, refuse: Refuse) -> Iterable[Mapping[str, Any]]:
        """Yield a row of the index for each hand; call ``refuse`` for an entry that is malformed."""

    @abstractmethod
    def hand(self, row: Mapping[str, Any]) -> LabelledHand:
        """Make the hand of a row of the index.

        Raises:
            MalformedFileError: a file of its labels is missing or malformed.
        """

    def index_columns(self) -> Mapping[str, Column]:
        """Return the columns of the index: ``columns``, unless they depend on the options."""
        return self.columns

    def __len__(self) -> int:
        """Number of hands."""
        return len(self._index)

    def __getitem__(self, number: int) -> LabelledHand:
        """Read one hand's labels; its image is read when asked for.

        Raises:
            IndexError: there is no such hand.
            MalformedFileError: a file of its labels is missing or malformed.
        """
        row = self._index.row(number if number >= 0 else number + len(self))
        try:
            return self.hand(row)
        except MalformedFileError as error:
            raise error.advised(OR_SKIP) from error

    def __iter__(self) -> Iterator[LabelledHand]:
        """Yield all hands; where malformed files are skipped, without those whose labels cannot be read."""
        for number in range(len(self)):
            try:
                yield self[number]
            except MalformedFileError as error:
                if not self.tolerant:
                    raise
                _log.warning("left out: %s", error)

    @property
    def skipped(self) -> tuple[str, ...]:
        """Why entries were left out of the index; the first hundred."""
        return tuple(self._index.skipped)

    def _reported_rows(self, skipped: list[str]) -> Iterable[Mapping[str, Any]]:
        def refuse(error: MalformedFileError) -> None:
            if not self.tolerant:
                raise error.advised(OR_SKIP)
            skipped.append(str(error))

        def rows() -> Iterator[Mapping[str, Any]]:
            try:
                yield from self.rows(refuse)
            except MalformedFileError as error:
                raise error.advised(AGAIN) from error

        return tqdm(rows(), desc=f"indexing {self.title}", unit="hand", disable=None)

    def _require_sources(self) -> list[Path]:
        """Return the files that say what the set contains.

        Raises:
            MalformedFileError: one is missing; says where it is, if in the folder above or below.
        """
        expected = f"the folder of {self.title} must hold {self.layout}; see docs/use/datasets/{self.name}.md"
        if not self.folder.is_dir():
            reason = "not a folder" if self.folder.exists() else "missing"
            raise MalformedFileError(self.folder, reason, expected)
        try:
            return [require(path) for path in self.sources()]
        except MalformedFileError as error:
            found = self._elsewhere(error.path)
            raise error.advised(f"{found} has it: give that folder" if found else expected) from error

    def _elsewhere(self, missing: Path) -> Path | None:
        """Return the folder above or below that has the missing file, if there is one."""
        if missing == self.folder or not missing.is_relative_to(self.folder):
            return None
        below = (path for path in islice(self.folder.iterdir(), _MOST_SEARCHED) if path.is_dir())
        inner = missing.relative_to(self.folder)
        return next((one for one in (self.folder.absolute().parent, *below) if (one / inner).exists()), None)


def pinhole(path: Path, matrix: Any, size: tuple[int, int]) -> CameraModel:
    """Return the camera of K (3 x 3) and an image size (width, height).

    Raises:
        MalformedFileError: K is not [fx 0 cx; 0 fy cy; 0 0 1]; ``path`` names the file that holds it.
    """
    try:
        return CameraModel.from_matrix(*size, np.asarray(matrix, np.float64).ravel().tolist())
    except (TypeError, ValueError) as error:
        raise MalformedFileError(path, str(error)) from error


def project(camera: CameraModel, points_m: np.ndarray) -> np.ndarray:
    """Return the pixels (n, 2) of points (n, 3), metres; NaN where unknown or behind the camera."""
    return camera.project(torch.from_numpy(points_m)).numpy()


def no_points() -> np.ndarray:
    """Return (21, 2) unknown image points."""
    return np.full((hand.NUM_JOINTS, 2), np.nan)


def no_joints() -> np.ndarray:
    """Return (21, 3) unknown joints."""
    return np.full((hand.NUM_JOINTS, 3), np.nan)
