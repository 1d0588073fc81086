"""The joint orders of the public hand datasets and models, and the conversions between them and ours.

Ours is the order of :data:`hand_pose_ros.hand.JOINT_NAMES`. The readers convert every other order
with the table below. Only the order changes here: units, camera frames (HO-3D's is OpenGL's) and the meaning of a
joint remain those of the source. One meaning needs a step of its own: the root of STB is the centre of the palm,
not the wrist, see :func:`wrist_from_palm_centre`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.mesh.mano import MANO_JOINTS

Joints = TypeVar("Joints", NDArray[Any], Tensor)

_CHAINS: Final = {finger: hand.JOINT_NAMES[1 + 4 * i : 5 + 4 * i] for i, finger in enumerate(hand.FINGERS)}
"""The four joints of each finger, from its base to its tip."""
_TIPS: Final = tuple(hand.JOINT_NAMES[i] for i in hand.FINGERTIPS)


def _joints(*fingers: str, step: int = 1) -> tuple[str, ...]:
    """The fingers' joints one finger after the other: base to tip, or tip to base for a step of -1."""
    return tuple(joint for finger in fingers for joint in _CHAINS[finger][::step])


_MANO: Final = (*MANO_JOINTS, *_TIPS)

JOINT_ORDERS: Final[dict[str, tuple[str, ...]]] = {
    "freihand": hand.JOINT_NAMES,
    "mediapipe": hand.JOINT_NAMES,
    "openpose": hand.JOINT_NAMES,
    "panoptic": hand.JOINT_NAMES,
    "coco_wholebody": hand.JOINT_NAMES,
    "dexycb": hand.JOINT_NAMES,  # what its MANO layer returns, which is not MANO's own order
    # The model's 16 joints, then the five tips that are picked from its vertices, thumb to little finger (smplx).
    "mano": _MANO,
    "ho3d": _MANO,
    "interhand26m": (*_joints(*hand.FINGERS, step=-1), "wrist"),
    "rhd": ("wrist", *_joints(*hand.FINGERS, step=-1)),
    # Its first joint is the centre of the palm, which stands here in the wrist's place.
    "stb": ("wrist", *_joints(*reversed(hand.FINGERS))),
}
"""Our name of each joint of one hand, in the order of the source."""

_BOTH_HANDS: Final = {
    "interhand26m": (42, {"right": 0, "left": 21}),
    "rhd": (42, {"left": 0, "right": 21}),
    "coco_wholebody": (133, {"left": 91, "right": 112}),  # after body, feet and face
}
"""For the sources that hold both hands in one array: how many joints it has, and where each hand begins."""


def from_order(joints: Joints, order: str, axis: int = -2) -> Joints:
    """Bring the joints of one hand from the order of a source into ours.

    Args:
        joints: array or tensor with the source's 21 joints along ``axis``, for example (..., 21, 3).
        order: a key of ``JOINT_ORDERS``.

    Raises:
        ValueError: unknown order, or not 21 joints along that axis.
    """
    return _take(joints, _places(order), axis)


def to_order(joints: Joints, order: str, axis: int = -2) -> Joints:
    """Bring the joints of one hand from our order into that of a source: the inverse of :func:`from_order`."""
    return _take(joints, [hand.JOINT_INDEX[name] for name in _names(order)], axis)


def split_hands(joints: Joints, order: str, axis: int = -2) -> dict[str, Joints]:
    """Take both hands, each in our order, out of an array of a source that holds them together.

    Args:
        joints: array or tensor with all joints of the source along ``axis``: 42 of InterHand2.6M and RHD, 133 of
            COCO-WholeBody.
        order: 'interhand26m', 'rhd' or 'coco_wholebody'.

    Returns:
        'left' and 'right', each with 21 joints along ``axis``.

    Raises:
        ValueError: unknown order, or another number of joints.
    """
    count, first = _both_hands(order)
    axis = _check_axis(joints, axis, count)
    blocks = {side: joints[(slice(None),) * axis + (slice(i, i + 21),)] for side, i in first.items()}
    return {side: from_order(blocks[side], order, axis) for side in hand.SIDES}


def join_hands(hands: Mapping[str, Joints], order: str, axis: int = -2) -> Joints:
    """Put both hands, each in our order, into one array of a source: the inverse of :func:`split_hands`.

    The joints of COCO-WholeBody that belong to neither hand are NaN, so the hands must be floating point there.
    A missing hand is passed as NaN.

    Raises:
        ValueError: unknown order, a side is missing, or not 21 joints along that axis.
    """
    count, first = _both_hands(order)
    if set(hands) != set(hand.SIDES):
        raise ValueError(f"hands must have the keys {hand.SIDES}, got {tuple(hands)}")
    left, right = (to_order(hands[side], order, axis) for side in hand.SIDES)
    if left.shape != right.shape:
        raise ValueError(f"both hands must have one shape, got {tuple(left.shape)} and {tuple(right.shape)}")
    axis = axis % left.ndim
    blocks = (left, right) if first["left"] < first["right"] else (right, left)
    others = count - 2 * hand.NUM_JOINTS
    if others:
        blocks = (_nan_joints(left, others, axis), *blocks)
    return _concatenate(blocks, axis)


def wrist_from_palm_centre(joints: Joints, knuckle: str = "ring_mcp", axis: int = -2) -> Joints:
    """Replace a palm centre in the wrist's place (STB) by an estimate of the wrist.

    The palm centre is taken as the middle between the wrist and a knuckle. For STB the ring finger's knuckle is
    the usual one (Zimmermann and Brox 2017, Ge et al. 2019); others take the middle finger's. It is an estimate,
    good to about a centimetre: for a comparison with labels of STB rather convert the prediction,
    with :func:`palm_centre_from_wrist`, or leave the root out.

    Args:
        joints: (..., 21, 3) or any other shape with 21 joints along ``axis``, in our order.
        knuckle: 'ring_mcp' or 'middle_mcp'.

    Raises:
        ValueError: another knuckle, or not 21 joints along that axis.
    """
    root, base = _root_and_knuckle(joints, knuckle, axis)
    return _with_root(joints, 2 * root - base, axis)


def palm_centre_from_wrist(joints: Joints, knuckle: str = "ring_mcp", axis: int = -2) -> Joints:
    """Replace the wrist by the palm centre, half way to a knuckle: the inverse of ``wrist_from_palm_centre``."""
    root, base = _root_and_knuckle(joints, knuckle, axis)
    return _with_root(joints, (root + base) / 2, axis)


@lru_cache
def _places(order: str) -> list[int]:
    """The index, in the source's order, of each of our joints."""
    names = _names(order)
    return [names.index(name) for name in hand.JOINT_NAMES]


def _names(order: str) -> tuple[str, ...]:
    if order not in JOINT_ORDERS:
        raise ValueError(f"unknown joint order {order!r}; expected one of {tuple(JOINT_ORDERS)}")
    return JOINT_ORDERS[order]


def _both_hands(order: str) -> tuple[int, dict[str, int]]:
    if order not in _BOTH_HANDS:
        raise ValueError(f"{order!r} does not hold both hands in one array; {tuple(_BOTH_HANDS)} do")
    return _BOTH_HANDS[order]


def _check_axis(joints: Joints, axis: int, count: int) -> int:
    """Check that there are ``count`` joints along ``axis``, and return it counted from the front."""
    if not -joints.ndim <= axis < joints.ndim:
        raise ValueError(f"joints have shape {tuple(joints.shape)}, which has no axis {axis}")
    if joints.shape[axis] != count:
        raise ValueError(f"expected {count} joints along axis {axis}, got shape {tuple(joints.shape)}")
    return axis % joints.ndim


def _take(joints: Joints, indices: list[int], axis: int) -> Joints:
    axis = _check_axis(joints, axis, hand.NUM_JOINTS)
    return joints[(slice(None),) * axis + (indices,)]


def _nan_joints(like: Joints, count: int, axis: int) -> Joints:
    shape = (*like.shape[:axis], count, *like.shape[axis + 1 :])
    if isinstance(like, Tensor):
        if not like.is_floating_point():
            raise ValueError(f"joints that are not known are NaN, which {like.dtype} cannot hold")
        return like.new_full(shape, float("nan"))
    if not np.issubdtype(like.dtype, np.floating):
        raise ValueError(f"joints that are not known are NaN, which {like.dtype} cannot hold")
    return np.full(shape, np.nan, dtype=like.dtype)


def _root_and_knuckle(joints: Joints, knuckle: str, axis: int) -> tuple[Joints, Joints]:
    """The first joint and the knuckle, each with one entry along ``axis``."""
    if knuckle not in ("ring_mcp", "middle_mcp"):
        raise ValueError(f"knuckle must be 'ring_mcp' or 'middle_mcp', got {knuckle!r}")
    before = (slice(None),) * _check_axis(joints, axis, hand.NUM_JOINTS)
    base = hand.JOINT_INDEX[knuckle]
    return joints[(*before, slice(0, 1))], joints[(*before, slice(base, base + 1))]


def _with_root(joints: Joints, root: Joints, axis: int) -> Joints:
    axis = axis % joints.ndim
    others = joints[(slice(None),) * axis + (slice(1, None),)]
    return _concatenate((root, others), axis)


def _concatenate(blocks: Sequence[Any], axis: int) -> Any:
    if isinstance(blocks[0], Tensor):
        return torch.cat(tuple(blocks), dim=axis)
    return np.concatenate(blocks, axis=axis)
