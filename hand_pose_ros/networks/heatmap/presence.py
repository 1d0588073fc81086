"""The head tells from the features of the whole crop whether it shows a hand, and whether it is a right one.

A tracker needs both: the maps answer something for every crop.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn

_HIDDEN: Final = 64


class PresenceHead(nn.Module):
    """A layer on the features, and two more whose output is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.direct = nn.Linear(channels, 2)
        self.hidden = nn.Linear(channels, _HIDDEN)
        self.logits = nn.Linear(_HIDDEN, 2, bias=False)
        nn.init.zeros_(self.logits.weight)

    def forward(self, pooled: Tensor) -> Tensor:
        """Map features (n, channels) to the logits (n, 2) of a hand and of a right one."""
        return self.direct(pooled) + self.logits(self.hidden(pooled).relu())
