"""The processes of one run under ``torchrun``: who they are, what they agree on, and how one fails for all.

Each process, a rank, trains the same network. The first rank alone writes files. Small messages go through
gloo, on the CPU; gradients on a GPU through NCCL.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

import torch
from torch import Tensor, distributed

from hand_pose_ros.files.bounded_text import shortened

TIMEOUT: Final = timedelta(hours=2)
"""How long a rank waits for the others: while the first one validates, for example."""
_NAMES: Final = ("RANK", "LOCAL_RANK", "WORLD_SIZE")

Result = TypeVar("Result")


class RankError(RuntimeError):
    """Another process of this run failed or ended; the message says which and why, as far as it is known."""


@dataclass(frozen=True)
class Ranks:
    """The place of a process among those of its run; by default it is alone.

    rank: number of this process, from 0. local_rank: the same among the processes of this machine. world: number
    of processes. grouped: whether ``torchrun`` started it, maybe alone.
    """

    rank: int = 0
    local_rank: int = 0
    world: int = 1
    grouped: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world or not 0 <= self.local_rank <= self.rank:
            raise ValueError(
                f"RANK must be in [0, WORLD_SIZE) and LOCAL_RANK in [0, RANK], got RANK={self.rank}, "
                f"LOCAL_RANK={self.local_rank}, WORLD_SIZE={self.world}"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Ranks:
        """Read ``RANK``, ``LOCAL_RANK`` and ``WORLD_SIZE``, which ``torchrun`` sets; without them it is alone.

        Raises:
            ValueError: only some of them are set, or they are not numbers that fit together.
        """
        missing = [name for name in _NAMES if name not in environment]
        if len(missing) == len(_NAMES):
            return cls()
        if missing:
            raise ValueError(f"{', '.join(missing)} is not set, but the others of {', '.join(_NAMES)} are")
        try:
            rank, local_rank, world = (int(environment[name]) for name in _NAMES)
        except ValueError as error:
            raise ValueError(f"{', '.join(_NAMES)} must be whole numbers: {shortened(str(error))}") from error
        return cls(rank, local_rank, world, grouped=True)

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes."""
        return self.rank == 0

    def own(self, count: int) -> range:
        """Return this rank's numbers of ``count``, of which every rank has as many.

        Raises:
            ValueError: ``count`` cannot be divided by the number of ranks.
        """
        if count % self.world:
            raise ValueError(
                f"micro_batches must be a multiple of the {self.world} processes, got {count}: "
                f"each process takes as many of them in every step"
            )
        each = count // self.world
        return range(self.rank * each, (self.rank + 1) * each)

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """Connect the ranks in a block. After an error they are not disconnected: the others may be waiting.

        Raises:
            ValueError: this machine has fewer GPUs than ranks. RankError: the others cannot be reached.
        """
        if not self.grouped:
            yield
            return
        on_gpu = device.type == "cuda"
        if on_gpu and self.local_rank >= torch.cuda.device_count():
            raise ValueError(
                f"process {self.local_rank} of this machine has no GPU of its own, of "
                f"{torch.cuda.device_count()}: start at most one process per GPU, or set device=cpu"
            )
        if on_gpu:
            torch.cuda.set_device(self.local_rank)
        with _reached():
            distributed.init_process_group("cpu:gloo,cuda:nccl" if on_gpu else "gloo", timeout=TIMEOUT)
        yield
        distributed.destroy_process_group()

    def agree(self, share: float, stopped: bool) -> tuple[float, bool]:
        """Return the first rank's ``share``, in [0, 1], and whether any rank is ``stopped``."""
        if not self.grouped:
            return share, stopped
        values = torch.tensor([share if self.first else 0.0, float(stopped)], dtype=torch.float64)
        with _reached():
            distributed.all_reduce(values, distributed.ReduceOp.MAX)
        return float(values[0]), bool(values[1])

    def check(self, failure: Exception | None) -> None:
        """Raise on every rank if any has a ``failure``: its own there, :class:`RankError` elsewhere."""
        if self.grouped:
            failed = torch.tensor([0.0 if failure is None else 1.0])
            with _reached():
                distributed.all_reduce(failed, distributed.ReduceOp.MAX)
            if failed.item():
                self._tell(failure)
        elif failure is not None:
            raise failure

    def _tell(self, failure: Exception | None) -> None:
        """Exchange the failures, and raise."""
        told: list[str | None] = [None] * self.world
        text = "" if failure is None else f"{type(failure).__name__}: {shortened(str(failure))}"
        with _reached():
            distributed.all_gather_object(told, text)
        if failure is not None:
            raise failure
        raise RankError("; ".join(f"process {rank} failed: {one}" for rank, one in enumerate(told) if one))

    def sum_(self, values: Tensor) -> Tensor:
        """Replace ``values`` by their sum over the ranks, and return them."""
        if self.grouped:
            with _reached():
                distributed.all_reduce(values)
        return values

    def from_first(self, make: Callable[[], Result]) -> Result:
        """Return on every rank what ``make`` returns on the first, which alone calls it; or raise its ValueError.

        The result must be something that can be pickled, with its tensors on the CPU.
        """
        if not self.grouped:
            return make()
        given: list[Any] = [None, None]
        if self.first:
            try:
                given[0] = make()
            except ValueError as error:
                given[1] = str(error)
        with _reached():
            distributed.broadcast_object_list(given, device=torch.device("cpu"))
        if given[1] is not None:
            raise ValueError(given[1])
        return given[0]

    @torch.no_grad()
    def copy_first(self, model: torch.nn.Module) -> None:
        """Copy the parameters and buffers of the first rank's model to those of the others."""
        if self.grouped:
            with _reached():
                for tensor in (*model.parameters(), *model.buffers()):
                    distributed.broadcast(tensor.data, 0)

    def in_turn(self, make: Callable[[], None]) -> None:
        """Call ``make`` on the first rank, then on the first of each machine, then on the others.

        So one process makes the files that all read: for all machines if they share a folder.
        """
        own = 0 if self.first else 1 if self.local_rank == 0 else 2
        for turn in range(3 if self.grouped else 1):
            failure = None
            if turn == own:
                try:
                    make()
                except Exception as error:  # check raises it
                    failure = error
            self.check(failure)


@contextmanager
def _reached() -> Iterator[None]:
    """Turn the errors of a lost connection to :class:`RankError`."""
    try:
        yield
    except RuntimeError as error:
        raise RankError(
            f"another process of this run ended or cannot be reached; its own output says why "
            f"({shortened(str(error))})"
        ) from error
