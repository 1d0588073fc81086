"""The module sums the gradients of a step over its micro-batches, of which each rank takes its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from hand_pose_ros.training.ranks import Ranks


class MicroBatches:
    """The gradients of a step are the mean over its micro-batches, whichever rank takes which.

    Each micro-batch starts with the model's buffers from before the step, and the buffers change by the mean of
    their changes: so batch normalisation does not depend on the ranks either. Sums in another order round
    otherwise; nothing else differs. With one micro-batch and one rank this is a plain step.
    """

    def __init__(self, model: nn.Module, count: int, ranks: Ranks) -> None:
        """``count``: micro-batches of a step, of all ranks.

        Raises:
            ValueError: ``count`` cannot be divided by the number of ranks.
        """
        self.count, self.own = count, ranks.own(count)
        self._ranks = ranks
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._buffers = list(model.buffers())
        self._moving = [b for b in self._buffers if b.is_floating_point()]

    def gradients(self, losses: Callable[[int], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Set the parameters' gradients to the mean over all micro-batches; returns the mean terms, detached.

        Args:
            losses: scalar loss terms of a micro-batch, by its number; always of the same names.

        Raises:
            RankError: another rank failed. Whatever ``losses`` raises is raised again, once all ranks know.
        """
        if self.count == 1 and not self._ranks.grouped:
            return self._backward(losses(0))
        terms, deltas, failure = {}, [], None
        try:
            terms, deltas = self._of_this_rank(losses)
        except Exception as error:  # check raises it
            failure = error
        self._ranks.check(failure)
        return self._mean(terms, deltas)

    def _of_this_rank(self, losses: Callable[[int], Mapping[str, Tensor]]) -> tuple[dict[str, Tensor], list]:
        """Add up the gradients of this rank; returns its summed terms, and the summed changes of the buffers."""
        before = [(buffer, buffer.clone()) for buffer in self._buffers]
        moving = [pair for pair in before if pair[0].is_floating_point()]
        deltas = [torch.zeros_like(buffer) for buffer, _ in moving]
        terms: dict[str, Tensor] = {}
        for number in self.own:
            _restore(before)
            given = self._backward(losses(number))
            if terms and given.keys() != terms.keys():
                raise ValueError(f"the loss terms must stay the same, were {list(terms)}, got {list(given)}")
            terms = {name: terms[name] + term if terms else term for name, term in given.items()}
            for delta, (buffer, old) in zip(deltas, moving, strict=True):
                delta.add_(buffer - old)
        _restore(moving)
        return terms, deltas

    @torch.no_grad()
    def _mean(self, terms: dict[str, Tensor], deltas: list[Tensor]) -> dict[str, Tensor]:
        """Sum over the ranks in one message, and divide by the number of micro-batches."""
        device = self._parameters[0].device
        used = torch.tensor([float(p.grad is not None) for p in self._parameters], device=device)
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self._parameters]
        parts = [*gradients, *deltas, *terms.values(), used]
        kind = torch.float64 if any(p.dtype == torch.float64 for p in self._parameters) else torch.float32
        flat = self._ranks.sum_(torch.cat([part.detach().to(kind).reshape(-1) for part in parts]))
        values = [
            part.reshape(own.shape).to(own.dtype)
            for part, own in zip(flat.split([part.numel() for part in parts]), parts, strict=True)
        ]
        of_any = values[-1].tolist() if self._ranks.grouped else used.tolist()
        for parameter, gradient, uses in zip(self._parameters, values, of_any, strict=False):
            parameter.grad = gradient / self.count if uses else None
        start = len(self._parameters)
        for buffer, delta in zip(self._moving, values[start:], strict=False):
            buffer.add_(delta / self.count)
        start += len(deltas)
        return {name: value / self.count for name, value in zip(terms, values[start:], strict=False)}

    @staticmethod
    def _backward(terms: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Add the gradients of the terms' sum; returns the terms, detached."""
        torch.stack([term.float() for term in terms.values()]).sum().backward()
        return {name: term.detach() for name, term in terms.items()}


@torch.no_grad()
def _restore(pairs: list[tuple[Tensor, Tensor]]) -> None:
    """Set each first tensor to the second."""
    for tensor, value in pairs:
        tensor.copy_(value)
