"""Targets of retargeting: vectors of the human hand, turned and scaled into the robot's base frame.

A hand of the DexPilot objective has these vectors, for F fingertips with the thumb first: from every
fingertip to every fingertip before it, then from the wrist to each fingertip. While a human pinch is closed,
its vector is projected to a fixed small length, so that the robot's fingertips meet whatever the scaling
(Handa et al. 2019, "DexPilot", section IV, in the form of dex-retargeting, whose weights are used).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros import hand
from hand_pose_ros.retargeting.profile import RobotProfile
from hand_pose_ros.retargeting.robot_hand import Array

LARGEST_HAND_M = 0.5
"""No joint of a hand is farther than this from its wrist: such joints are in another unit, or not of one hand."""


class Targets(NamedTuple):
    """vectors_m: (k, 3) that the robot's vectors are to equal, base frame, metres. weights: (k,) of the losses."""

    vectors_m: Array
    weights: Array


class HumanVectors:
    """Targets from human joints by a profile; keeps which pinches are closed from frame to frame.

    origin_links, task_links: the robot's k vectors; an empty origin is the origin of the base frame.
    joints: (k, 2) the human joints at the origin and the end of each vector. names: 'origin -> task' in words.
    closed: (p,) which of the p vectors between fingertips are in a closed pinch.
    """

    def __init__(self, profile: RobotProfile) -> None:
        self._profile = profile
        self._rotation = profile.rotation_base_wrist
        self._pairs = 0
        if profile.objective == "dexpilot":
            self._use_fingertips()
        else:
            self._use_vectors()
        self.joints = np.stack((self._origin, self._task), axis=1)
        self.names = tuple(
            f"{hand.JOINT_NAMES[a]} -> {hand.JOINT_NAMES[b]}"
            for a, b in zip(self._origin, self._task, strict=True)
        )
        self.closed: NDArray[np.bool_] = np.zeros(self._pairs, dtype=bool)

    def reset(self) -> None:
        """Open all pinches."""
        self.closed[:] = False

    def targets(self, joints_m: Array, sigma_m: Array | None = None) -> Targets:
        """Targets of one frame; opens and closes pinches.

        Args:
            joints_m: (21, 3) in the human wrist frame, metres.
            sigma_m: (21,) standard deviation of each joint. The smallest is common to all joints (the depth
                of the whole hand) and does not count; a vector counts ``1 / (1 + sigma^2 /
                profile.sigma_m^2)``, with the variances of its two ends added.

        Raises:
            ValueError: a wrong shape, a value that is not finite, a sigma below zero, or joints farther than
                :data:`LARGEST_HAND_M` from the wrist.
        """
        joints_m = _check_joints(joints_m)
        if self._profile.normalise_size:
            length = float(np.linalg.norm(joints_m[hand.ANCHOR_JOINT]))
            if length < 0.01:
                raise ValueError(f"the bone wrist -> index MCP is {length:.4f} m long: no hand")
            joints_m = joints_m * (hand.MEAN_ANCHOR_LENGTH_M / length)
        turned = joints_m @ self._rotation.T
        vectors = (
            self._scales[:, None] * turned[self._task] - self._origin_scales[:, None] * turned[self._origin]
        )
        vectors[self._from_wrist] += self._profile.wrist_m
        weights = self._weights.copy()
        if self._pairs:
            self._close_pinches(turned, vectors, weights)
        if sigma_m is not None:
            weights *= self._certainty(_check_sigma(sigma_m))
        return Targets(vectors, weights)

    def _use_vectors(self) -> None:
        profile = self._profile
        vectors = profile.vectors
        self.origin_links = tuple(vector.origin for vector in vectors)
        self.task_links = tuple(vector.task for vector in vectors)
        self._origin = np.array([hand.JOINT_INDEX[vector.human_origin] for vector in vectors])
        self._task = np.array([hand.JOINT_INDEX[vector.human_task] for vector in vectors])
        self._scales = profile.scaling * np.array([vector.scale for vector in vectors])
        self._origin_scales = self._scales
        self._from_wrist = self._origin == hand.WRIST
        weights = np.array([vector.weight for vector in vectors], dtype=np.float64)
        # The mean loss; of the position objective over the three components, too.
        self._weights = weights / (len(vectors) * (3 if profile.objective == "position" else 1))

    def _use_fingertips(self) -> None:
        profile = self._profile
        tips = profile.fingertips
        count = len(tips)
        pairs = [(j, i) for i in range(count) for j in range(i + 1, count)]
        self._pairs = len(pairs)
        self._thumb_pairs = count - 1
        # Of each pair of two fingers: the thumb's pair with either.
        self._first = np.array([i - 1 for _, i in pairs[count - 1 :]], dtype=np.intp)
        self._second = np.array([j - 1 for j, _ in pairs[count - 1 :]], dtype=np.intp)
        human = [hand.JOINT_INDEX[tip.human] for tip in tips]
        scales = [profile.scaling * tip.scale for tip in tips]
        self.origin_links = (*(tips[j].link for j, _ in pairs), *(profile.wrist_link for _ in tips))
        self.task_links = (*(tips[i].link for _, i in pairs), *(tip.link for tip in tips))
        self._origin = np.array([*(human[j] for j, _ in pairs), *(hand.WRIST for _ in tips)])
        self._task = np.array([*(human[i] for _, i in pairs), *human])
        self._origin_scales = np.array([*(scales[j] for j, _ in pairs), *scales])
        self._scales = np.array([*(scales[i] for _, i in pairs), *scales])
        self._from_wrist = self._origin == hand.WRIST
        self._weights = np.array([1.0] * len(pairs) + [float(len(pairs) + count)] * count) / (
            len(pairs) + count
        )

    def _close_pinches(self, turned_m: Array, vectors: Array, weights: Array) -> None:
        """Update ``closed``, and project the vectors of closed pinches and raise their weights, in place."""
        pinch, thumb, pairs = self._profile.pinch, self._thumb_pairs, self._pairs
        human = turned_m[self._task[:pairs]] - turned_m[self._origin[:pairs]]
        distance = np.linalg.norm(human, axis=1)
        self.closed[:thumb][distance[:thumb] < pinch.project_m] = True
        self.closed[:thumb][distance[:thumb] > pinch.escape_m] = False
        both = self.closed[self._first] & self.closed[self._second]
        self.closed[thumb:] = both & (distance[thumb:] <= pinch.finger_project_m)
        gaps = np.where(np.arange(pairs) < thumb, pinch.thumb_gap_m, pinch.finger_gap_m)
        high = np.where(np.arange(pairs) < thumb, pinch.thumb_weight, pinch.finger_weight)
        projected = human * (gaps / (distance + 1e-6))[:, None]
        vectors[:pairs][self.closed] = projected[self.closed]
        weights[:pairs][self.closed] *= high[self.closed]

    def _certainty(self, sigma_m: Array) -> Array:
        """(k,) factor of each weight by the uncertainty of its ends."""
        variance = sigma_m**2 - np.min(sigma_m) ** 2
        with np.errstate(over="ignore"):
            return 1 / (1 + (variance[self._origin] + variance[self._task]) / self._profile.sigma_m**2)


def _check_joints(joints_m: Array) -> Array:
    """The joints relative to the wrist."""
    if np.shape(joints_m) != (hand.NUM_JOINTS, 3):
        raise ValueError(f"joints_m must have shape ({hand.NUM_JOINTS}, 3), got {np.shape(joints_m)}")
    joints = np.asarray(joints_m, dtype=np.float64)
    if not np.isfinite(joints).all():
        raise ValueError("joints_m must be finite: a hand that is not valid moves nothing")
    joints = joints - joints[hand.WRIST]
    reach = float(np.abs(joints).max())
    if reach > LARGEST_HAND_M:
        raise ValueError(f"a joint is {reach:.3g} m from the wrist: joints_m must be metres of one hand")
    return joints


def _check_sigma(sigma_m: Array) -> Array:
    if np.shape(sigma_m) != (hand.NUM_JOINTS,):
        raise ValueError(f"sigma_m must have shape ({hand.NUM_JOINTS},), got {np.shape(sigma_m)}")
    sigma = np.asarray(sigma_m, dtype=np.float64)
    if np.isnan(sigma).any() or (sigma < 0).any() or not np.isfinite(sigma).any():
        raise ValueError("sigma_m must hold no NaN and nothing below zero, and be finite somewhere")
    return sigma
