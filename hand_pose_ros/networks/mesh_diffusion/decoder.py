"""The decoders of the mesh diffusion network: DiffHand's cross-modality decoder, and plain self-attention.

The vertices are in the template's farthest order. So the samples that farthest point sampling keeps at a coarser
level are the first ones, and sampling down is a slice.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from hand_pose_ros.networks.embeddings import ResidualBlock
from hand_pose_ros.networks.mesh_diffusion.attention import AttentionBlock, SelfAttentionBlock


class UpSampling(nn.Module):
    """An MLP over the vertices, the same for every channel, maps few of them to more.

    With places it is initialised as a smooth interpolation.
    """

    def __init__(self, few: int, many: int, width: int, places: Tensor | None = None) -> None:
        """``places``: (many, 3) of the vertices at rest, of which the first few are those mapped from."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.first = nn.Linear(few, few)
        self.second = nn.Linear(few, many)
        if places is not None:
            with torch.no_grad():
                self.first.weight.copy_(torch.eye(few))
                self.second.weight.copy_(_interpolation(places, few))
                self.first.bias.zero_()
                self.second.bias.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, few, width) to (n, many, width)."""
        return self.second(silu(self.first(self.norm(x).transpose(1, 2)))).transpose(1, 2)


class VertexBlock(nn.Module):
    """The U-shaped block in the space of vertices (DiffHand, fig. 3a).

    Farthest point sampling leads down through the levels, with an attention block after each; an MLP leads up from
    each level, with lateral residual connections.
    """

    def __init__(self, sizes: Sequence[int], width: int, heads: int, places: Tensor | None = None) -> None:
        """``sizes``: numbers of vertices of the levels, from the finest on. places: (sizes[0], 3) at rest."""
        super().__init__()
        self.sizes = tuple(sizes)
        # Without a coarser level, the one attention block works on all vertices.
        self.down = nn.ModuleList(AttentionBlock(width, heads) for _ in self.sizes[1:] or (0,))
        pairs = list(zip(self.sizes[1:], self.sizes[:-1], strict=True))
        self.up = nn.ModuleList(
            UpSampling(few, many, width, None if places is None else places[:many])
            for few, many in reversed(pairs)
        )

    def forward(self, x: Tensor, embedding: Tensor, feature_map: Tensor) -> Tensor:
        """Update features (n, sizes[0], width); the other arguments are those of the attention block."""
        finer = []
        for size, block in zip(self.sizes[1:] or self.sizes, self.down, strict=True):
            finer.append(x)
            x = block(x[:, :size], embedding, feature_map)
        for up in self.up:
            x = finer.pop() + up(x)
        return x


class CrossModalityDecoder(nn.Module):
    """Cross-modality blocks, each a vertex block and a feature block.

    The feature block (fig. 3b) is an MLP in the space of features with a residual connection: the paper says that
    it models correlation there, and shows its layers in the figure only.
    """

    def __init__(
        self, sizes: Sequence[int], width: int, heads: int, blocks: int, places: Tensor | None = None
    ) -> None:
        """``places``: (sizes[0], 3) of the vertices at rest, which initialise the sampling up."""
        super().__init__()
        self.vertex_blocks = nn.ModuleList(VertexBlock(sizes, width, heads, places) for _ in range(blocks))
        self.feature_blocks = nn.ModuleList(ResidualBlock(width, 2 * width) for _ in range(blocks))

    def forward(self, x: Tensor, embedding: Tensor, feature_map: Tensor) -> Tensor:
        """Update features (n, points, width), given (n, width) and (n, h * w, width)."""
        for vertex_block, feature_block in zip(self.vertex_blocks, self.feature_blocks, strict=True):
            x = feature_block(vertex_block(x, embedding, feature_map))
        return x


class SelfAttentionDecoder(nn.Module):
    """Plain self-attention after the sum of the embeddings of vertices and the global one (ablation, table 4)."""

    def __init__(self, width: int, heads: int, blocks: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(SelfAttentionBlock(width, heads) for _ in range(blocks))

    def forward(self, x: Tensor, embedding: Tensor, feature_map: Tensor) -> Tensor:  # noqa: ARG002
        """Update features (n, points, width), given (n, width); the feature map is not read."""
        x = x + embedding[:, None]
        for layer in self.layers:
            x = layer(x)
        return x


def _interpolation(places: Tensor, few: int) -> Tensor:
    """Return weights (many, few), rows of sum 1, that fall with the distance to the first few places (many, 3)."""
    distance = torch.cdist(places, places[:few])
    nearest = distance[:few].clone().fill_diagonal_(torch.inf).amin(1).mean()  # between neighbours of the few
    return torch.softmax(-(distance / nearest).square(), dim=1)
