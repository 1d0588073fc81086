"""The head tells from the coarsest feature map whether a crop shows a hand, and whether it is a right one.

A tracker needs both: the maps answer something for every crop.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor, cat, nn

_HIDDEN: Final = 64


class PresenceHead(nn.Module):
    """Two layers on the mean and the largest value of each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * channels, _HIDDEN)
        self.logits = nn.Linear(_HIDDEN, 2)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (n, channels, h, w) to the logits (n, 2) of a hand and of a right one."""
        cells = features.flatten(2)
        return self.logits(self.hidden(cat((cells.mean(-1), cells.amax(-1)), dim=1)).relu())
