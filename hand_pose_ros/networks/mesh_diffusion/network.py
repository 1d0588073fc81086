"""The mesh diffusion network: image encoder, vertex embedding and decoder (DiffHand, 3.3).

Vertices are those of a right hand in the crop's axes, relative to the wrist, in anchor lengths. The diffusion runs
on the first of them in the template's farthest order, standardised: each vertex by its mean, all by one scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.mesh.coarse import coarse_template, fill
from hand_pose_ros.mesh.template import HandTemplate, load_template
from hand_pose_ros.networks.denoising.schedule import NoiseSchedule, cosine_schedule
from hand_pose_ros.networks.embeddings import place_embedding, sinusoidal_embedding
from hand_pose_ros.networks.mesh_diffusion.conditions import ConditionBlock, check_condition
from hand_pose_ros.networks.mesh_diffusion.config import (
    CONDITION_CHANNELS,
    CROSS_MODALITY,
    MeshDiffusionConfig,
)
from hand_pose_ros.networks.mesh_diffusion.decoder import CrossModalityDecoder, SelfAttentionDecoder
from hand_pose_ros.networks.mesh_diffusion.encoders import EncodedImage, make_encoder


class Encoded(NamedTuple):
    """n encoded crops. feature_map: (n, h * w, width), cells as a sequence. embedding: (n, width) of the image."""

    feature_map: Tensor
    embedding: Tensor

    def repeat(self, times: int) -> Encoded:
        """Repeat each crop ``times`` times in a row."""
        return Encoded(*(one.repeat_interleave(times, 0) for one in self))


class MeshDiffusion(nn.Module):
    """The network; it predicts the clean vertices (x0).

    mean, scale: (points, 3) and () that standardise the vertices. schedule: cosine noise schedule.
    """

    config_class: ClassVar = MeshDiffusionConfig
    parametrisation: ClassVar[str] = "x0"
    mean: Tensor
    scale: Tensor
    kept: Tensor
    filling: Tensor

    def __init__(
        self, config: MeshDiffusionConfig | None = None, template: HandTemplate | None = None
    ) -> None:
        """``template``: gives the topology; the shipped one if None.

        Raises:
            ValueError: the configuration is for another template, or asks for more points than it has.
        """
        super().__init__()
        self.config = config = config or MeshDiffusionConfig()
        given = (template or load_template()).name
        if given != config.mesh:
            raise ValueError(
                f"the network draws the mesh of the template {config.mesh!r}, which must be given; got {given!r}"
            )
        coarse = coarse_template(config.points, template)
        self.register_buffer("kept", coarse.indices, persistent=False)
        self.register_buffer("filling", coarse.matrix(), persistent=False)
        self.register_buffer("mean", torch.zeros(config.points, 3))
        self.register_buffer("scale", torch.ones(()))
        self.schedule: NoiseSchedule = cosine_schedule(config.steps)
        width = config.width
        self.encoder = make_encoder(width, config.encoder)
        height, across = self.encoder.map_size
        self.cells = nn.Parameter(0.02 * torch.randn(height * across, width))
        self.map_norm = nn.LayerNorm(width)
        self.conditions = nn.ModuleDict(
            {
                name: ConditionBlock(CONDITION_CHANNELS[name], width, self.encoder.map_size)
                for name in config.conditions
            }
        )
        rest = (template or load_template()).vertices.detach().cpu().float()[coarse.indices]
        rest = (rest - rest.mean(0)) / rest.std()
        # Neighbours on the surface start with similar embeddings, so that the first meshes are smooth already.
        self.vertices = nn.Parameter(place_embedding(rest, width))
        if config.diffusion:
            self.place = nn.Linear(3, width)
            self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        if config.decoder == CROSS_MODALITY:
            self.decoder = CrossModalityDecoder(config.level_sizes, width, config.heads, config.blocks, rest)
        else:
            self.decoder = SelfAttentionDecoder(width, config.heads, config.blocks)
        self.out = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))

    def set_statistics(self, vertices: Tensor) -> None:
        """Standardise by the mean and spread of vertices (n, V, 3) of the whole mesh.

        Raises:
            ValueError: another number of vertices, or fewer than two hands.
        """
        if len(vertices) < 2:
            raise ValueError(f"statistics need at least two hands, got {len(vertices)}")
        points = self.points_of(vertices).to(self.mean)
        self.mean.copy_(points.mean(0))
        self.scale.copy_((points - self.mean).square().mean().sqrt().clamp(min=1e-3))

    def points_of(self, vertices: Tensor) -> Tensor:
        """Return the network's vertices (..., points, 3) of all (..., V, 3).

        Raises:
            ValueError: another number of vertices: a mesh of another topology.
        """
        check_shape("vertices", vertices, (len(self.filling), 3))
        return vertices[..., self.kept.to(vertices.device), :]

    def standardise(self, points: Tensor) -> Tensor:
        """Map the network's vertices (..., points, 3) to the space of the diffusion."""
        check_shape("points", points, (self.config.points, 3))
        return (points - self.mean) / self.scale

    def mesh(self, standardised: Tensor) -> Tensor:
        """Return the whole mesh (..., V, 3), anchor lengths, of standardised points (..., points, 3)."""
        check_shape("points", standardised, (self.config.points, 3))
        return fill(standardised * self.scale + self.mean, self.filling)

    def encode(self, inputs: Tensor, sign: Tensor, conditions: Mapping[str, Tensor] | None = None) -> Encoded:
        """Encode n crops, once per hand.

        Args:
            inputs: what the encoder reads, see :mod:`~hand_pose_ros.networks.mesh_diffusion.encoders`.
            sign: (n,) +1 for a right hand, -1 for a left one.
            conditions: images of extra conditions, some or none of those that the network has.

        Raises:
            ValueError: an empty batch, a wrong shape, or a condition that the network does not have or that is
                not finite.
        """
        if not len(inputs):
            raise ValueError("the batch has no crop: n must be at least 1")
        if tuple(sign.shape) != (len(inputs),):
            raise ValueError(f"sign must have shape ({len(inputs)},), got {tuple(sign.shape)}")
        return self.with_conditions(self.encoder(inputs, sign), conditions)

    def with_conditions(self, image: EncodedImage, conditions: Mapping[str, Tensor] | None = None) -> Encoded:
        """Add extra conditions to n encoded images; the rest of :meth:`encode`."""
        feature_map, embedding = image
        for name, given in (conditions or {}).items():
            if name not in self.conditions:
                raise ValueError(f"the network has no condition {name!r}, it has {list(self.conditions)}")
            check_condition(name, given, len(embedding), self.config.condition_size_px)
            added = self.conditions[name](given)
            feature_map, embedding = feature_map + added, embedding + added.mean((-2, -1))
        cells = feature_map.flatten(2).transpose(1, 2) + self.cells
        return Encoded(self.map_norm(cells), embedding)

    def denoise(self, noisy: Tensor, t: Tensor, encoded: Encoded) -> Tensor:
        """Predict the clean vertices (n, points, 3), standardised, of noisy ones at steps ``t`` (n,).

        Raises:
            ValueError: the network regresses directly, or a wrong shape.
        """
        if not self.config.diffusion:
            raise ValueError("a network without diffusion does not denoise; call regress")
        check_shape("noisy vertices", noisy, (self.config.points, 3))
        time = self.time(sinusoidal_embedding(t, self.config.width).to(noisy.dtype))
        return self._decode(self.place(noisy) + self.vertices, encoded.embedding + time, encoded)

    def regress(self, encoded: Encoded) -> Tensor:
        """Predict the vertices (n, points, 3), standardised, without diffusion (ablation, table 4).

        Raises:
            ValueError: the network is one with diffusion.
        """
        if self.config.diffusion:
            raise ValueError("a network with diffusion does not regress; draw samples")
        count = len(encoded.embedding)
        return self._decode(self.vertices.expand(count, -1, -1), encoded.embedding, encoded)

    def _decode(self, x: Tensor, embedding: Tensor, encoded: Encoded) -> Tensor:
        return self.out(self.decoder(x, embedding, encoded.feature_map))
