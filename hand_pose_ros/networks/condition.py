"""The module encodes the condition of a hand network: keypoints in the canonical view, image features, or both.

Either may be absent, for a whole batch or for single hands. In training, condition dropout removes one of them at
random, so that the network also works with the other alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import each
from hand_pose_ros.networks.embeddings import ResidualBlock, residual_mlp

JOINT_FEATURES: Final = 9
"""Number of features per joint that :func:`joint_features` returns."""
IMAGE_JOINT_FEATURES: Final = 4
"""Number of features per joint of an image encoder: x, y, depth, log sigma; see :func:`joints_of_image`."""
CONFIDENCE_LOSS: Final = 4.0
"""Decrease of a keypoint's log confidence per half extent of its standard deviation."""
_IMAGE_TAIL = 1 + IMAGE_JOINT_FEATURES * hand.NUM_JOINTS  # log_field, then the joints


class KeypointCondition(NamedTuple):
    """Keypoints of n right hands; left hands are mirrored.

    points: (n, 21, 2) in the canonical view, in multiples of its half extent; NaN where missing.
    depth: (n, 21) detected depths relative to the wrist, in anchor lengths; NaN where missing.
    confidence: (n, 21) in [0, 1]; NaN where missing.
    inside: (n, 21) bool, whether the point lies in the image.
    half_extent: (n,) half extent of the view: the tangent of half the angle that the hand subtends.
    """

    points: Tensor
    depth: Tensor
    confidence: Tensor
    inside: Tensor
    half_extent: Tensor


def unknown_keypoints(half_extent: Tensor) -> KeypointCondition:
    """Return the condition of n hands without keypoints, in views of ``half_extent`` (n,)."""
    unknown = torch.full((len(half_extent), hand.NUM_JOINTS), torch.nan).to(half_extent)
    return KeypointCondition(
        points=unknown[..., None].expand(-1, -1, 2),
        depth=unknown,
        confidence=unknown,
        inside=torch.zeros_like(unknown, dtype=torch.bool),
        half_extent=half_extent,
    )


class EncodedCondition(NamedTuple):
    """The output of :class:`ConditionEncoder`.

    features: (n, width). joints: (n, 21, ConditionConfig.joint_features).
    """

    features: Tensor
    joints: Tensor


class Encoded(NamedTuple):
    """An encoded condition and the space of its diffusion; computed once per hand, used in every sampling step.

    features, joints: as in :class:`EncodedCondition`.
    mean, scale: (n, 21, 3) in anchor lengths: a sample x stands for the joints ``mean + scale * x``.
    """

    features: Tensor
    joints: Tensor
    mean: Tensor
    scale: Tensor

    def to_joints(self, samples: Tensor) -> Tensor:
        """Return the joints (n, ..., 21, 3) of samples of the diffusion of the same shape."""
        return samples * _between(self.scale, samples) + _between(self.mean, samples)

    def to_samples(self, joints: Tensor) -> Tensor:
        """Invert :meth:`to_joints`."""
        return (joints - _between(self.mean, joints)) / _between(self.scale, joints)

    def repeat(self, samples: int) -> Encoded:
        """Repeat each hand ``samples`` times in a row: (n * samples, ...)."""
        return each(lambda value: value.repeat_interleave(samples, 0), self)


def _between(values: Tensor, like: Tensor) -> Tensor:
    """Give (n, 21, 3) as many axes as ``like`` (n, ..., 21, 3)."""
    return values.reshape(-1, *[1] * (like.ndim - 3), hand.NUM_JOINTS, 3)


def joint_features(condition: KeypointCondition) -> Tensor:
    """Return (n, 21, 9): x, y, depth, confidence, flags (point, depth, confidence, inside), and log field."""
    known = condition.points.isfinite().all(-1)
    has_depth = condition.depth.isfinite() & known
    has_confidence = condition.confidence.isfinite() & known
    field = log_field(condition.half_extent)[:, None].expand_as(condition.depth)
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


def log_field(half_extent: Tensor) -> Tensor:
    """Return the field of view as a network input: the centred logarithm of the half extent."""
    return half_extent.clamp(1e-3, 10).log() + 1.5


def joints_of_image(joints: Tensor, field: Tensor) -> Tensor:
    """Convert the joints of an image encoder to the (n, 21, 9) of :func:`joint_features`, to replace keypoints.

    Args:
        joints: (n, 21, 4) x, y in half extents, depth in anchor lengths, log sigma in half extents.
        field: (n,) the output of :func:`log_field`.
    """
    one = torch.ones_like(joints[..., 0])
    confidence = torch.exp(-CONFIDENCE_LOSS * joints[..., 3].exp())
    columns = (*joints[..., :3].unbind(-1), confidence, one, one, one, one, field[:, None].expand_as(one))
    return torch.stack(columns, dim=-1)


@dataclass(frozen=True)
class ConditionConfig:
    """Sizes of the condition encoder.

    image_features: number of image features per hand; 0 for keypoints alone.
    image_joints: whether they end in :func:`log_field` and ``IMAGE_JOINT_FEATURES`` of each joint, joint by joint.
    dropout: probability, in training, that one of two given conditions of a hand is removed.
    """

    width: int = 512
    blocks: int = 3
    image_features: int = 0
    dropout: float = 0.3
    image_joints: bool = False

    def __post_init__(self) -> None:
        if self.width < 2 or self.blocks < 0 or self.image_features < 0:
            raise ValueError(f"width, blocks and image_features must not be negative, got {self}")
        if not 0 <= self.dropout <= 1:
            raise ValueError(f"dropout must lie in [0, 1], got {self.dropout}")
        if self.image_joints and self.image_features < _IMAGE_TAIL:
            raise ValueError(f"image_features must be {_IMAGE_TAIL} or more with image_joints, got {self}")

    @property
    def joint_features(self) -> int:
        """Number of features per joint in the output: those of keypoints, then those of the image, if any.

        A flag that an image is given follows the image features.
        """
        return JOINT_FEATURES + (IMAGE_JOINT_FEATURES + 1 if self.image_joints else 0)


class ConditionEncoder(nn.Module):
    """The encoder maps keypoints, image features, or both to :class:`EncodedCondition`.

    With ``image_joints``, the joints of the image encoder replace missing keypoints, so that an image uses the
    layers that were trained on keypoints.
    """

    def __init__(self, config: ConditionConfig) -> None:
        super().__init__()
        self.config = config
        self.keypoints = residual_mlp(hand.NUM_JOINTS * JOINT_FEATURES, config.width, config.blocks)
        if config.image_features:
            self.image = residual_mlp(config.image_features, config.width, config.blocks)
            self.fuse = ResidualBlock(config.width)
            self.absent_keypoints = nn.Parameter(torch.zeros(config.width))
            self.absent_image = nn.Parameter(torch.zeros(config.width))

    def forward(
        self,
        keypoints: KeypointCondition | None,
        image_features: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> EncodedCondition:
        """Encode n hands.

        Args:
            image_features: (n, image_features); a row with a NaN counts as missing.
            generator: source of condition dropout, used in training mode only.

        Raises:
            ValueError: neither condition is given, or the encoder was built without image features and gets some.
        """
        if image_features is not None and not self.config.image_features:
            raise ValueError("this encoder was built without image features")
        if keypoints is None and image_features is None:
            raise ValueError("give keypoints, image_features, or both")
        if keypoints is not None and not self.config.image_features:
            joints = joint_features(keypoints)
            return EncodedCondition(self.keypoints(joints.flatten(1)), joints)
        return self._fused(keypoints, image_features, generator)

    def _fused(
        self,
        keypoints: KeypointCondition | None,
        image_features: Tensor | None,
        generator: torch.Generator | None,
    ) -> EncodedCondition:
        like = self.absent_image
        if keypoints is not None:
            joints = joint_features(keypoints)
        else:
            assert image_features is not None  # forward has checked it
            joints = like.new_zeros(len(image_features), hand.NUM_JOINTS, JOINT_FEATURES)
        count = len(joints)
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
        if self.config.image_joints:
            return self._with_image_joints(joints, image_features, has_keypoints, has_image)
        from_keypoints = torch.where(
            has_keypoints[:, None], self.keypoints(joints.flatten(1)), self.absent_keypoints
        )
        from_image = torch.where(has_image[:, None], self.image(image_features), self.absent_image)
        return EncodedCondition(self.fuse(from_keypoints + from_image), joints)

    def _with_image_joints(
        self, joints: Tensor, image_features: Tensor, has_keypoints: Tensor, has_image: Tensor
    ) -> EncodedCondition:
        """Fuse joints (n, 21, 9) and image features; either is zero where it is missing."""
        # reshape, because ONNX export would fix the number of hands in an unflatten
        image_joints = image_features[:, 1 - _IMAGE_TAIL :].reshape(-1, hand.NUM_JOINTS, IMAGE_JOINT_FEATURES)
        in_place = joints_of_image(image_joints, image_features[:, -_IMAGE_TAIL]) * has_image[:, None, None]
        joints = torch.where(has_keypoints[:, None, None], joints.to(in_place), in_place)
        any_joints = (has_keypoints | has_image)[:, None]
        from_keypoints = torch.where(any_joints, self.keypoints(joints.flatten(1)), self.absent_keypoints)
        from_image = torch.where(has_image[:, None], self.image(image_features), self.absent_image)
        present = has_image.to(image_joints)[:, None, None].expand(-1, hand.NUM_JOINTS, 1)
        every = torch.cat((joints, image_joints, present), dim=-1)
        return EncodedCondition(self.fuse(from_keypoints + from_image), every)
