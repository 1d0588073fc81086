"""A closed-form first guess for the inverse kinematics: palm by Procrustes, then each bone by its direction."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.rotations import orthogonalise

_MIN_PALM_JOINTS = 3
_ANCHOR_RANGE_M = (0.01, 0.5)
_TWISTS_TRIED = (0.1, 0.3, 0.5, 0.7, 0.9)  # fractions of the range
_TWIST_COLUMNS = [i for i, angle in enumerate(hand.ANGLES) if angle.motion == "twist"]
_ANGLE_FINGERS = [(angle.node - 1) // 4 for angle in hand.ANGLES]
_BONE_FINGERS = [bone // 4 for bone in range(hand.NUM_BONES)]


class HandState(NamedTuple):
    """The variables of the solver: a *right* hand, batch (B,).

    angles (B, 38) radians, log_proportions (B, 20), log_anchor (B,) of metres, root_rotation (B, 3, 3),
    root_position (B, 3) metres.
    """

    angles: Tensor
    log_proportions: Tensor
    log_anchor: Tensor
    root_rotation: Tensor
    root_position: Tensor


def rigid_fit(source: Tensor, target: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Similarity (rotation (B, 3, 3), scale (B,), translation (B, 3)) that takes ``source`` to ``target``.

    Weighted least squares (Procrustes; Umeyama 1991) over points (B, n, 3) with weights (B, n) >= 0.
    """
    weights = weights / weights.sum(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    source_mean = (weights[..., None] * source).sum(-2)
    target_mean = (weights[..., None] * target).sum(-2)
    source_centred = source - source_mean[..., None, :]
    target_centred = target - target_mean[..., None, :]
    covariance = target_centred.transpose(-1, -2) @ (weights[..., None] * source_centred)
    rotation = orthogonalise(covariance)
    rotated = source_centred @ rotation.transpose(-1, -2)
    spread = (weights * source_centred.square().sum(-1)).sum(-1)
    overlap = (weights * (rotated * target_centred).sum(-1)).sum(-1)
    scale = overlap / spread.clamp(min=torch.finfo(spread.dtype).tiny)
    translation = target_mean - scale[..., None] * (rotation @ source_mean[..., None])[..., 0]
    return rotation, scale, translation


def initial_guess(joints: Tensor, weights: Tensor, rank: int = 0) -> HandState:
    """A right hand inside the limits near ``joints`` (B, 21, 3) metres; joints of weight (B, 21) 0 are ignored.

    ``rank`` 0 gives the best guess; 1 to 4 give guesses with other twists of the fingers.
    """
    bounds = angle_bounds(joints.dtype, joints.device)
    lengths = proportion_bounds(joints.dtype, joints.device)
    template = forward_kinematics(bounds.neutral, lengths.neutral).joints
    known = (weights > 0).to(weights)
    # With too few known palm joints, all known joints are used.
    palm = torch.zeros_like(known)
    palm[:, hand.PALM_JOINTS] = known[:, hand.PALM_JOINTS]
    enough = palm.sum(-1, keepdim=True) >= _MIN_PALM_JOINTS
    rotation, scale, translation = rigid_fit(
        template.expand_as(joints), joints, torch.where(enough, palm, known)
    )
    scale = scale.clamp(*_ANCHOR_RANGE_M)
    angles, proportions = _aim_bones(joints, known, rotation, scale, rank)
    return HandState(angles, proportions.log(), scale.log(), rotation, translation)


def _aim_bones(
    joints: Tensor, known: Tensor, rotation: Tensor, scale: Tensor, rank: int
) -> tuple[Tensor, Tensor]:
    """Angles (B, 38) and proportions (B, 20) that aim each bone at its joint, as far as the limits allow.

    A joint's position does not tell the twist of its bone, but a wrong twist leaves the next joints out of the
    plane in which they can bend. So each finger tries several twists and keeps the one that reaches best (or
    the ``rank``-th best).
    """
    batch, tries = len(joints), len(_TWISTS_TRIED)
    bounds = angle_bounds(joints.dtype, joints.device)
    angles = bounds.neutral.repeat(tries, batch, 1)
    for k, fraction in enumerate(_TWISTS_TRIED):
        angles[k, :, _TWIST_COLUMNS] = torch.lerp(bounds.minimum, bounds.maximum, fraction)[_TWIST_COLUMNS]
    proportions = proportion_bounds(joints.dtype, joints.device).neutral.repeat(tries, batch, 1)
    for level in range(len(hand.LEVELS)):
        # The frames that the bones of this level turn in are those of the level before, already aimed.
        frames = forward_kinematics(angles, proportions, rotation, anchor_length=scale.expand(tries, -1))
        _aim_level(level, joints, known, scale, frames.rotations, angles, proportions)
    frames = forward_kinematics(angles, proportions, rotation, anchor_length=scale.expand(tries, -1))
    reached = frames.joints[..., 1:, :] - (joints - joints[:, :1])[:, 1:]
    misses = (reached.square().sum(-1) * known[:, 1:]).unflatten(-1, (len(hand.FINGERS), -1)).sum(-1)
    chosen = misses.argsort(0)[rank]  # (B, 5)

    def keep(values: Tensor, fingers: list[int]) -> Tensor:
        return values.gather(0, chosen[None, :, fingers]).squeeze(0)

    return keep(angles, _ANGLE_FINGERS), keep(proportions, _BONE_FINGERS)


def _aim_level(
    level: int,
    joints: Tensor,
    known: Tensor,
    scale: Tensor,
    rotations: Tensor,
    angles: Tensor,
    proportions: Tensor,
) -> None:
    """Set flexion, abduction and length of the five bones of one level, in place, where their ends are known."""
    bounds = angle_bounds(joints.dtype, joints.device)
    lengths = proportion_bounds(joints.dtype, joints.device)
    for node in hand.LEVELS[level]:
        parent, bone = hand.PARENTS[node], node - 1
        direction = (
            rotations[..., parent, :, :].transpose(-1, -2) @ (joints[:, node] - joints[:, parent])[..., None]
        )
        x, y, z = direction[..., 0].unbind(-1)
        aimed = (known[:, node] * known[:, parent]) > 0
        aims = {"flexion": torch.atan2(-z, x), "abduction": torch.atan2(y, torch.hypot(x, z))}
        for column, angle in enumerate(hand.ANGLES):
            if angle.node == node and angle.motion in aims:
                aim = aims[angle.motion].clamp(bounds.minimum[column], bounds.maximum[column])
                angles[..., column] = torch.where(aimed, aim, angles[..., column])
        length = (direction[..., 0].norm(dim=-1) / scale).clamp(lengths.minimum[bone], lengths.maximum[bone])
        proportions[..., bone] = torch.where(aimed, length, proportions[..., bone])
