"""What the estimator is told about a hand: keypoints in the canonical view, image features, or both.

Each may be absent, for a whole batch or for single hands; in training, condition dropout makes it so at random, so
that either works alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.networks.embeddings import ResidualBlock, residual_mlp

JOINT_FEATURES: Final = 9
"""Numbers per joint that :func:`joint_features` gives."""


class KeypointCondition(NamedTuple):
    """Keypoints of n hands, right ones or mirrored to be.

    points: (n, 21, 2) in the canonical view, multiples of its half extent; NaN where missing.
    depth: (n, 21) the detector's depths relative to its wrist, in anchor lengths; NaN where not given.
    confidence: (n, 21) in [0, 1]; NaN where the detector gives none.
    inside: (n, 21) bool, whether the point lies in the image.
    half_extent: (n,) of the view: the tangent of half the angle that the hand fills.
    """

    points: Tensor
    depth: Tensor
    confidence: Tensor
    inside: Tensor
    half_extent: Tensor


class Encoded(NamedTuple):
    """A condition, encoded once per hand and used in every step of sampling.

    features: (n, width). joints: (n, 21, JOINT_FEATURES).
    """

    features: Tensor
    joints: Tensor

    def repeat(self, samples: int) -> Encoded:
        """Each hand ``samples`` times in a row: (n * samples, ...)."""
        return Encoded(*(value.repeat_interleave(samples, 0) for value in self))


def joint_features(condition: KeypointCondition) -> Tensor:
    """(n, 21, 9): x, y, depth, confidence, whether each of the three is given, inside, and the field of view."""
    known = condition.points.isfinite().all(-1)
    has_depth = condition.depth.isfinite() & known
    has_confidence = condition.confidence.isfinite() & known
    field = (condition.half_extent.clamp(1e-3, 10).log() + 1.5)[:, None].expand_as(condition.depth)
    points = torch.where(known[..., None], condition.points, torch.zeros_like(condition.points))
    columns = (
        points[..., 0],
        points[..., 1],
        torch.where(has_depth, condition.depth, torch.zeros_like(condition.depth)),
        torch.where(has_confidence, condition.confidence, torch.zeros_like(condition.confidence)),
        known.to(points),
        has_depth.to(points),
        has_confidence.to(points),
        (condition.inside & known).to(points),
        field.to(points),
    )
    return torch.stack(columns, dim=-1)


@dataclass(frozen=True)
class ConditionConfig:
    """Size of the encoder.

    image_features: numbers per hand that an image encoder gives; 0 for an estimator of keypoints alone.
    dropout: probability, in training, that a hand is shown only one of two given conditions.
    """

    width: int = 512
    blocks: int = 3
    image_features: int = 0
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if self.width < 2 or self.blocks < 0 or self.image_features < 0:
            raise ValueError(f"width, blocks and image_features must not be negative, got {self}")
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"dropout must lie in [0, 1], got {self.dropout}")


class ConditionEncoder(nn.Module):
    """Keypoints and/or image features -> :class:`Encoded`."""

    def __init__(self, config: ConditionConfig) -> None:
        super().__init__()
        self.config = config
        self.keypoints = residual_mlp(hand.NUM_JOINTS * JOINT_FEATURES, config.width, config.blocks)
        if config.image_features:
            self.image = nn.Sequential(nn.Linear(config.image_features, config.width), nn.SiLU())
            self.fuse = ResidualBlock(config.width)
            self.absent_keypoints = nn.Parameter(torch.zeros(config.width))
            self.absent_image = nn.Parameter(torch.zeros(config.width))

    def forward(
        self,
        keypoints: KeypointCondition | None,
        image_features: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Encoded:
        """Encode n hands.

        Args:
            image_features: (n, image_features); a hand with NaN in them has none.
            generator: of condition dropout, used in training mode only.

        Raises:
            ValueError: neither condition is given, or features that this encoder was not built for.
        """
        if image_features is not None and not self.config.image_features:
            raise ValueError("this encoder was built without image features")
        if keypoints is None and image_features is None:
            raise ValueError("give keypoints, image_features, or both")
        if not self.config.image_features:
            joints = joint_features(keypoints)
            return Encoded(self.keypoints(joints.flatten(1)), joints)
        return self._fused(keypoints, image_features, generator)

    def _fused(
        self,
        keypoints: KeypointCondition | None,
        image_features: Tensor | None,
        generator: torch.Generator | None,
    ) -> Encoded:
        count = len(image_features) if image_features is not None else len(keypoints.points)
        like = self.absent_image
        joints = like.new_zeros(count, hand.NUM_JOINTS, JOINT_FEATURES)
        if keypoints is not None:
            joints = joint_features(keypoints)
        if image_features is None:
            image_features = like.new_full((count, self.config.image_features), torch.nan)
        has_keypoints = joints[..., 4].any(-1)
        has_image = image_features.isfinite().all(-1)
        if self.training and generator is not None:
            draw = torch.rand(count, generator=generator).to(like.device)
            both = has_keypoints & has_image
            has_image = has_image & ~(both & (draw < self.config.dropout / 2))
            has_keypoints = has_keypoints & ~(both & (draw > 1 - self.config.dropout / 2))
        joints = joints * has_keypoints[:, None, None]
        image_features = torch.where(has_image[:, None], image_features, torch.zeros_like(image_features))
        from_keypoints = torch.where(
            has_keypoints[:, None], self.keypoints(joints.flatten(1)), self.absent_keypoints
        )
        from_image = torch.where(has_image[:, None], self.image(image_features), self.absent_image)
        return Encoded(self.fuse(from_keypoints + from_image), joints)
