"""Attention of the mesh diffusion network: the attention block of DiffHand (fig. 3c), and a plain one."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from hand_pose_ros.networks.embeddings import ResidualBlock


class Attention(nn.Module):
    """Attention with several heads: ``softmax(Q K^T / sqrt(d)) V`` (DiffHand, eq. 7-8), and an output layer."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Attend from ``x`` (n, q, width) to ``context`` (n, k, width); returns (n, q, width)."""
        query = self._split(self.query(x))
        key, value = (self._split(one) for one in self.key_value(context).chunk(2, dim=-1))
        attended = scaled_dot_product_attention(query, key, value)
        return self.out(attended.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        """Reshape (n, k, width) to (n, heads, k, width / heads)."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class AttentionBlock(nn.Module):
    """Self-attention of vertices, plus the global embedding, then cross-attention to the feature map."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_norm, self.cross_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attention = Attention(width, heads)
        self.cross_attention = Attention(width, heads)

    def forward(self, x: Tensor, embedding: Tensor, feature_map: Tensor) -> Tensor:
        """Update vertices' features ``x`` (n, v, width).

        Args:
            embedding: (n, width) global embedding. feature_map: (n, h * w, width), its cells as a sequence.
        """
        normed = self.self_norm(x)
        x = x + self.self_attention(normed, normed)
        x = x + embedding[:, None]
        return x + self.cross_attention(self.cross_norm(x), feature_map)


class SelfAttentionBlock(nn.Module):
    """A plain transformer layer over the vertices, which does not read the feature map (ablation, table 4)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed_forward = ResidualBlock(width, 2 * width)

    def forward(self, x: Tensor) -> Tensor:
        """Update vertices' features ``x`` (n, v, width)."""
        normed = self.norm(x)
        return self.feed_forward(x + self.attention(normed, normed))
