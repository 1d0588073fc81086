"""Samples of a fitted hand from the deviations of its joints."""

from __future__ import annotations

from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.rotations import orthogonalise


def deviating_hands(hands: HandParameters, exact: Tensor, deviation: Tensor) -> HandParameters:
    """Move hands by deviations of their joints, and turn them as their palms deviate.

    A sample is not anatomically exact: it keeps the hand's angles and proportions.

    Args:
        hands: fields (n, ...). exact: (n, 1, 21, 3) joints relative to the wrist, from which the samples deviate.
        deviation: (n, S, 21, 3).

    Returns:
        Fields (n, S, ...).
    """
    turn = _palm_turn(exact + deviation, exact)
    count = deviation.shape[1]
    return HandParameters(
        _repeated(hands.angles, count),
        _repeated(hands.proportions, count),
        turn @ hands.rotation[:, None],
        hands.joints[:, None] + deviation,
        turn[..., None, :, :] @ hands.rotations[:, None],
    )


def _palm_turn(joints: Tensor, reference: Tensor) -> Tensor:
    """The rotations (..., 3, 3) that best turn the palm of ``reference`` (..., 21, 3) onto that of ``joints``."""
    palm = list(hand.PALM_JOINTS)
    turned, unturned = joints[..., palm, :], reference[..., palm, :]
    return orthogonalise(turned.mT @ unturned.expand_as(turned))


def _repeated(values: Tensor, count: int) -> Tensor:
    return values[:, None].expand(-1, count, -1)
