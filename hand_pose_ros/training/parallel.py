"""One step of a large network on several CPU cores, each with its own part of the batch.

By default PyTorch lets all its threads work on one layer and waits for the slowest of them in each. Where other
programs use the cores as well, that is slower than one thread. Here every thread has its own part of the batch for
the whole way forward, and the whole way back; batch normalisation then goes by the part, which does no harm.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx


class ParallelEncoder:
    """Calls a network in training mode, in parts; same arguments and, up to batch normalisation, same results.

    Every part has each ``parts``-th row, so that what lies in the order of the batch is spread over all parts. The
    result depends on ``parts``, but not on which thread is faster.
    """

    def __init__(self, network: nn.Module, parts: int) -> None:
        """``network``: from a tensor on the CPU to a named tuple of tensors with as many rows. ``parts``: threads.

        Raises:
            ValueError: no part.
        """
        if parts < 1:
            raise ValueError(f"parts must be at least 1, got {parts}")
        self._network = network
        shared = {id(parameter): parameter for parameter in network.parameters()}
        self._networks = [network, *(copy.deepcopy(network, dict(shared)) for _ in range(parts - 1))]
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._buffers = [[b for b in n.buffers() if b.is_floating_point()] for n in self._networks]
        self._pool = ThreadPoolExecutor(parts, "encoder")

    def __call__(self, batch: Tensor) -> tuple[Tensor, ...]:
        if len(self._networks) == 1:
            return self._network(batch)
        kinds: list[type] = []
        outputs = _InParts.apply(self, kinds, batch, *self._parameters)
        return kinds[0](*outputs)

    def _in_threads(self, function: Callable, *arguments: list) -> list:
        return list(self._pool.map(function, *arguments))

    def _share_buffers(self) -> None:
        """All copies start from the network's own running means."""
        own, *others = self._buffers
        for other in others:
            torch._foreach_copy_(other, own)

    def _merge_buffers(self) -> None:
        """The network's running means become the mean of what the parts have made of them."""
        own, *others = self._buffers
        for other in others:
            torch._foreach_add_(own, other)
        torch._foreach_mul_(own, 1 / len(self._networks))


class _InParts(torch.autograd.Function):
    """Both directions in threads; the parameters are inputs, so that their gradients take the usual way."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, encoder: ParallelEncoder, kinds: list, batch: Tensor, *parameters: Tensor
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
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        encoder, parts = ctx.encoder, len(ctx.outputs)

        def run(part: int, outputs: tuple[Tensor, ...]) -> tuple[Tensor | None, ...]:
            of_part = [gradient[part::parts] for gradient in gradients]
            return torch.autograd.grad(outputs, encoder._parameters, of_part, allow_unused=True)

        of_parts = encoder._in_threads(run, list(range(parts)), ctx.outputs)
        ctx.outputs = None
        encoder._merge_buffers()  # not before, since the way back refers to those of each part
        return None, None, None, *_summed(of_parts)


def _interleaved(parts: list[Tensor]) -> Tensor:
    """The rows of parts of which part i has rows i, i + n, i + 2 n, ..."""
    whole = parts[0].new_empty((sum(map(len, parts)), *parts[0].shape[1:]))
    for index, part in enumerate(parts):
        whole[index :: len(parts)] = part
    return whole


def _summed(of_parts: list[tuple[Tensor | None, ...]]) -> list[Tensor | None]:
    """Gradients of all parameters, of which those of each part are given; takes the first part's memory.

    In one call, for each call has to wait for the thread that makes the next batch to let go of the interpreter.
    """
    total, *others = ([g for g in of_one if g is not None] for of_one in of_parts)
    for other in others:
        torch._foreach_add_(total, other)
    known = iter(total)
    return [None if gradient is None else next(known) for gradient in of_parts[0]]
