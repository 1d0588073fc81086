"""The parallel encoder runs one training step on several CPU cores, each with its own part of the batch.

By default all threads of PyTorch work on one layer, and each layer waits for the slowest thread. If other programs
use the cores, too, that is slower than one thread. Here every thread runs the whole forward and the whole backward
pass of its own part of the batch; batch normalisation then uses the statistics of the part.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor, _foreach_add_, _foreach_copy_, _foreach_mul_, nn  # pyright: ignore[reportPrivateImportUsage]


class ParallelEncoder:
    """The encoder calls a network in training mode, in parts; only batch normalisation changes the results.

    Every part has each ``parts``-th row, so that an order in the batch is spread over all parts. The result
    depends on ``parts``, but not on the timing of the threads.
    """

    def __init__(self, network: nn.Module, parts: int) -> None:
        """``network``: maps a CPU tensor to a named tuple of tensors with as many rows. ``parts``: threads.

        Raises:
            ValueError: ``parts`` is below 1.
        """
        if parts < 1:
            raise ValueError(f"parts must be at least 1, got {parts}")
        self._network = network
        shared = {id(parameter): parameter for parameter in network.parameters()}
        self._networks = [network, *(copy.deepcopy(network, dict(shared)) for _ in range(parts - 1))]
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._buffers = [[b for b in n.buffers() if b.is_floating_point()] for n in self._networks]
        self._pool = ThreadPoolExecutor(parts, "encoder")

    def __call__(self, batch: Tensor) -> Any:
        """Return the named tuple of the network for the rows of ``batch``."""
        if len(self._networks) == 1:
            return self._network(batch)
        kinds: list[type] = []
        outputs = _InParts.apply(self, kinds, batch, *self._parameters)
        return kinds[0](*outputs)

    def _in_threads(self, function: Callable, *arguments: list) -> list:
        return list(self._pool.map(function, *arguments))

    def _share_buffers(self) -> None:
        """Copy the network's running means to all copies."""
        own, *others = self._buffers
        for other in others:
            _foreach_copy_(other, own)

    def _merge_buffers(self) -> None:
        """Set the network's running means to the mean over the parts."""
        own, *others = self._buffers
        for other in others:
            _foreach_add_(own, other)
        _foreach_mul_(own, 1 / len(self._networks))


class _InParts(torch.autograd.Function):
    """Both passes run in threads; the parameters are inputs, so that autograd accumulates their gradients."""

    @staticmethod
    def forward(
        ctx: Any, encoder: ParallelEncoder, kinds: list, batch: Tensor, *_parameters: Tensor
    ) -> tuple[Tensor, ...]:
        parts = len(encoder._networks)
        enabled, dtype = torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

        def run(network: nn.Module, part: Tensor) -> tuple[Tensor, ...]:
            with torch.enable_grad(), torch.autocast("cpu", dtype, enabled=enabled):
                return network(part)

        encoder._share_buffers()
        layout = torch.channels_last if batch.ndim == 4 else torch.contiguous_format
        chunks = [batch[part::parts].contiguous(memory_format=layout) for part in range(parts)]
        outputs = encoder._in_threads(run, encoder._networks, chunks)
        kinds.append(type(outputs[0]))
        ctx.encoder, ctx.outputs = encoder, outputs
        return tuple(_interleaved([o.detach() for o in values]) for values in zip(*outputs, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        encoder, parts = ctx.encoder, len(ctx.outputs)

        def run(part: int, outputs: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
            of_part = [gradient[part::parts] for gradient in gradients]
            return torch.autograd.grad(outputs, encoder._parameters, of_part, allow_unused=True)

        of_parts = encoder._in_threads(run, list(range(parts)), ctx.outputs)
        ctx.outputs = None
        encoder._merge_buffers()  # not before, since the backward pass uses the buffers of each part
        return None, None, None, *_summed(of_parts)


def _interleaved(parts: list[Tensor]) -> Tensor:
    """Interleave the rows of n parts, of which part i has rows i, i + n, i + 2 n, ..."""
    whole = parts[0].new_empty((sum(map(len, parts)), *parts[0].shape[1:]))
    for index, part in enumerate(parts):
        whole[index :: len(parts)] = part
    return whole


def _summed(of_parts: list[tuple[Tensor | None, ...]]) -> list[Tensor | None]:
    """Sum the gradients of all parameters over the parts; overwrites the first part's memory.

    It makes one call, because each call waits until the thread of the next batch releases the interpreter.
    """
    total, *others = ([g for g in of_one if g is not None] for of_one in of_parts)
    for other in others:
        _foreach_add_(total, other)
    known = iter(total)
    return [None if gradient is None else next(known) for gradient in of_parts[0]]
