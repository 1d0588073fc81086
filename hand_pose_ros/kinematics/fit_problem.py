"""The least squares problem of the inverse kinematics: residuals, Jacobian and bounds of a batch of hands."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.initial_guess import HandState
from hand_pose_ros.kinematics.jacobian import (
    ANGLE_COLUMNS,
    LENGTH_COLUMNS,
    NUM_COLUMNS,
    POSITION_COLUMNS,
    ROTATION_COLUMNS,
    SCALE_COLUMN,
    joint_jacobian,
)
from hand_pose_ros.kinematics.levenberg_marquardt import Linearisation
from hand_pose_ros.kinematics.limits import Bounds, angle_bounds, proportion_bounds
from hand_pose_ros.rotations import rotation_from_vector

_ANCHOR_SPREAD = 0.15  # prior standard deviation of the logarithm of the anchor length
_NEAREST_M = 0.02  # points are projected as if no nearer to the camera than this


@dataclass(frozen=True)
class FitProblem:
    """The data that a batch of right hands is fitted to.

    joints: (B, 21, 3) metres, zero where missing; joint_precision: (B, 21) reciprocal standard deviations in
        1/m, zero where missing.
    rays: (B, 21, 2) normalised image coordinates, zero where missing; ray_precision: (B, 21) reciprocal
        standard deviations in that unit; both None without image points.
    relative: whether ``joints`` are known only up to a translation.
    fixed_scale: whether the anchor length is given and not fitted.
    """

    joints: Tensor
    joint_precision: Tensor
    rays: Tensor | None
    ray_precision: Tensor | None
    relative: bool
    fixed_scale: bool

    def subset(self, chosen: Tensor) -> FitProblem:
        """Only the hands with the indices ``chosen`` (k,)."""
        return replace(
            self,
            joints=self.joints[chosen],
            joint_precision=self.joint_precision[chosen],
            rays=None if self.rays is None else self.rays[chosen],
            ray_precision=None if self.ray_precision is None else self.ray_precision[chosen],
        )

    def pose(self, state: HandState) -> HandFrames:
        """The posed skeleton of ``state``."""
        return forward_kinematics(
            state.angles,
            state.log_proportions.exp(),
            state.root_rotation,
            state.root_position,
            state.log_anchor.exp(),
        )

    def cost(self, state: HandState) -> Tensor:
        """(B,) half the sum of squared residuals."""
        return self._residuals(state, self.pose(state)).square().sum(-1) / 2

    def linearise(self, state: HandState) -> Linearisation:
        """Residuals (B, m) in standard deviations, and their Jacobian (B, m, 65)."""
        frames = self.pose(state)
        of_joints = joint_jacobian(state.angles, frames)
        blocks = [(self._centred(of_joints) * self.joint_precision[..., None, None]).flatten(1, 2)]
        if self.rays is not None and self.ray_precision is not None:
            blocks.append(
                (_of_projection(frames.joints, of_joints) * self.ray_precision[..., None, None]).flatten(1, 2)
            )
        blocks.append(torch.diag_embed(self._prior_precision).expand(len(of_joints), -1, -1))
        return Linearisation(self._residuals(state, frames), torch.cat(blocks, dim=1))

    def step_range(self, state: HandState) -> tuple[Tensor, Tensor]:
        """Lowest and highest step (B, 65) that keep angles and proportions inside their limits."""
        highest = self.joints.new_full((len(self.joints), NUM_COLUMNS), torch.inf)
        lowest = -highest
        lowest[:, ANGLE_COLUMNS] = self._angles.minimum - state.angles
        highest[:, ANGLE_COLUMNS] = self._angles.maximum - state.angles
        lowest[:, LENGTH_COLUMNS] = self._log_lengths.minimum - state.log_proportions
        highest[:, LENGTH_COLUMNS] = self._log_lengths.maximum - state.log_proportions
        if self.fixed_scale:
            lowest[:, SCALE_COLUMN] = highest[:, SCALE_COLUMN] = 0.0
        return lowest, highest

    def retract(self, state: HandState, step: Tensor) -> HandState:
        """``state`` moved by ``step`` (B, 65)."""
        return HandState(
            self._angles.clamp(state.angles + step[:, ANGLE_COLUMNS]),
            state.log_proportions + step[:, LENGTH_COLUMNS],
            state.log_anchor + step[:, SCALE_COLUMN],
            rotation_from_vector(step[:, ROTATION_COLUMNS]) @ state.root_rotation,
            state.root_position + step[:, POSITION_COLUMNS],
        )

    def joint_residuals(self, joints: Tensor) -> tuple[Tensor, Tensor | None]:
        """Distances (B, 21) to the given joints, in metres, and image points, normalised; NaN where missing."""
        missing = joints.new_tensor(torch.nan)
        of_joints = self._centred(joints - self.joints).norm(dim=-1)
        of_joints = torch.where(self.joint_precision > 0, of_joints, missing)
        if self.rays is None or self.ray_precision is None:
            return of_joints, None
        of_rays = (_project(joints) - self.rays).norm(dim=-1)
        return of_joints, torch.where(self.ray_precision > 0, of_rays, missing)

    def _residuals(self, state: HandState, frames: HandFrames) -> Tensor:
        of_joints = self._centred(frames.joints - self.joints) * self.joint_precision[..., None]
        blocks = [of_joints.flatten(1)]
        if self.rays is not None and self.ray_precision is not None:
            offsets = _project(frames.joints) - self.rays
            blocks.append((offsets * self.ray_precision[..., None]).flatten(1))
        blocks.append(self._prior_residuals(state))
        return torch.cat(blocks, dim=1)

    def _centred(self, values: Tensor) -> Tensor:
        """``values`` (B, 21, ...), less their weighted mean over the joints if only relative joints are known."""
        if not self.relative:
            return values
        weights = self.joint_precision.square()
        weights = weights / weights.sum(-1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
        weights = weights.reshape(*weights.shape, *[1] * (values.ndim - 2))
        return values - (weights * values).sum(1, keepdim=True)

    def _prior_residuals(self, state: HandState) -> Tensor:
        nothing = torch.zeros_like(state.root_position)
        values = (state.angles, state.log_proportions, state.log_anchor[:, None], nothing, nothing)
        return (torch.cat(values, dim=-1) - self._prior_mean) * self._prior_precision

    @cached_property
    def _angles(self) -> Bounds:
        return angle_bounds(self.joints.dtype, self.joints.device)

    @cached_property
    def _log_lengths(self) -> Bounds:
        return Bounds(*(bound.log() for bound in proportion_bounds(self.joints.dtype, self.joints.device)))

    @cached_property
    def _prior_mean(self) -> Tensor:
        """(65,) middle of the prior: the neutral hand of mean size; zero for the root's pose, which has none."""
        scale = self.joints.new_tensor([math.log(hand.MEAN_ANCHOR_LENGTH_M)])
        return torch.cat((self._angles.neutral, self._log_lengths.neutral, scale, self.joints.new_zeros(6)))

    @cached_property
    def _prior_precision(self) -> Tensor:
        """(65,) reciprocal standard deviations of the prior: half of each range, and none for the root's pose."""
        scale = self.joints.new_tensor([1 / _ANCHOR_SPREAD])
        ranges = map(_half_range_precision, (self._angles, self._log_lengths))
        return torch.cat((*ranges, scale, self.joints.new_zeros(6)))


def _half_range_precision(bounds: Bounds) -> Tensor:
    span = bounds.maximum - bounds.minimum
    return torch.where(span > 0, 2 / span.clamp(min=torch.finfo(span.dtype).tiny), torch.zeros_like(span))


def _project(joints: Tensor) -> Tensor:
    """Normalised image coordinates (..., 2) of points (..., 3)."""
    return joints[..., :2] / joints[..., 2:].clamp(min=_NEAREST_M)


def _of_projection(joints: Tensor, of_joints: Tensor) -> Tensor:
    """Chain rule: (B, 21, 2, n) from the joints (B, 21, 3) and their Jacobian (B, 21, 3, n)."""
    depth = joints[..., 2].clamp(min=_NEAREST_M)[..., None, None]
    image = _project(joints)[..., None]
    return (of_joints[..., :2, :] - image * of_joints[..., 2:, :]) / depth
