"""The objective of the retargeting, with its gradient and Hessian.

    f(q) = sum_v w_v rho(r_v(q) - t_v) + s |q - q_last|^2,    r_v(q) = p_task(q) - p_origin(q)

q: (n,) independent joints. r_v: vector of the robot hand, from link to link, in the base frame. t_v, w_v: its
target and weight (:mod:`human_vectors`). rho: Huber loss with the threshold d, of the length of its argument,
or, for the
position objective, of each component: ``x^2 / 2d`` up to d, ``x - d / 2`` beyond. s: smoothness. These are
dex-retargeting's three objectives; its own value leaves out the last term, of which its gradient knows.

The Hessian is exact but for the Huber loss of components: with J_v the derivative of r_v, g_v that of the
loss and H_v its second derivative,

    d2f/dq2 = A^T (sum_v J_v^T H_v J_v + sum_v g_v . d2r_v/dq2) A + 2 s I,
    d2p/dq_i dq_j = a_i x dp/dq_j    for joint i an ancestor of joint j, with axis a_i

where A maps independent to all joints (:attr:`RobotHand.reduction`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hand_pose_ros.retargeting.human_vectors import HumanVectors, Targets
from hand_pose_ros.retargeting.profile import RobotProfile
from hand_pose_ros.retargeting.robot_hand import Array, RobotHand


class Derivatives(NamedTuple):
    """value: f. gradient: (n,). hessian: (n, n)."""

    value: float
    gradient: Array
    hessian: Array


class Objective:
    """The objective of one robot hand and one set of vectors; the targets change from frame to frame."""

    def __init__(
        self,
        robot: RobotHand,
        origin_links: Sequence[str],
        task_links: Sequence[str],
        huber_m: float,
        smoothness: float,
        by_component: bool = False,
    ) -> None:
        """Make the objective.

        Args:
            origin_links, task_links: ends of the k vectors; '' for the origin of the base frame.
            by_component: the Huber loss of each component, not of the length.

        Raises:
            ValueError: a link that the robot does not have.
        """
        self._robot = robot
        self._huber, self.smoothness, self._by_component = huber_m, smoothness, by_component
        links = list(dict.fromkeys(link for link in (*task_links, *origin_links) if link))
        self._links = robot.link_indices(links)
        self._ends = np.zeros((len(task_links), len(links)))
        for row, (origin, task) in enumerate(zip(origin_links, task_links, strict=True)):
            self._ends[row, links.index(task)] += 1
            if origin:
                self._ends[row, links.index(origin)] -= 1
        self._origins = [links.index(link) if link else -1 for link in origin_links]

    @classmethod
    def of_profile(cls, profile: RobotProfile, robot: RobotHand, human: HumanVectors) -> Objective:
        """The objective of a profile, whose human vectors are ``human``."""
        by_component = profile.objective == "position"
        return cls(
            robot, human.origin_links, human.task_links, profile.huber_m, profile.smoothness, by_component
        )

    def vectors(self, positions_rad: Array) -> tuple[Array, Array]:
        """The robot's vectors (k, 3) and the points (k, 3) that they begin at, base frame, metres."""
        points = self._robot.link_positions(positions_rad, self._links)
        return self._ends @ points, np.vstack((points, np.zeros(3)))[self._origins]

    def value(self, positions_rad: Array, targets: Targets, last_rad: Array) -> float:
        """The value at ``positions_rad`` (n,); ``last_rad`` (n,) is the last solution."""
        errors = self._ends @ self._robot.link_positions(positions_rad, self._links) - targets.vectors_m
        step = positions_rad - last_rad
        return self._loss(errors, targets.weights) + self.smoothness * float(step @ step)

    def derivatives(self, positions_rad: Array, targets: Targets, last_rad: Array) -> Derivatives:
        """The value, gradient and Hessian at ``positions_rad`` (n,)."""
        motion = self._robot.link_motion(positions_rad, self._links)
        errors = self._ends @ motion.positions_m - targets.vectors_m
        count, joints = len(errors), motion.axes.shape[1]
        jacobians = (self._ends @ motion.jacobians.reshape(len(self._links), -1)).reshape(count, 3, joints)
        gradients, curved = self._loss_derivatives(errors, targets.weights, jacobians)
        flat = jacobians.reshape(-1, joints)
        hessian = curved.reshape(-1, joints).T @ flat
        # sum_v g_v . (a_i x J_vj) = a_i . sum_l (J_lj x G_l), with G_l the sum of g_v over the vectors at link l.
        at_links = self._ends.T @ gradients
        crossed = _skew_rows(at_links).T @ motion.jacobians.reshape(-1, joints)
        turned = (motion.axes.T @ crossed) * self._robot.ancestors
        hessian += turned + turned.T - np.diag(np.diag(turned))
        reduction = self._robot.reduction
        step = positions_rad - last_rad
        gradient = (gradients.reshape(-1) @ flat) @ reduction + 2 * self.smoothness * step
        reduced = reduction.T @ hessian @ reduction
        reduced[np.diag_indices_from(reduced)] += 2 * self.smoothness
        value = self._loss(errors, targets.weights) + self.smoothness * float(step @ step)
        return Derivatives(value, gradient, reduced)

    def _loss(self, errors: Array, weights: Array) -> float:
        size = np.abs(errors) if self._by_component else np.sqrt(np.einsum("vc,vc->v", errors, errors))
        small = np.minimum(size, self._huber)
        losses = small * (size - small / 2) / self._huber
        return float(weights @ (losses.sum(axis=1) if self._by_component else losses))

    def _loss_derivatives(self, errors: Array, weights: Array, jacobians: Array) -> tuple[Array, Array]:
        """The loss' gradient (k, 3) by each vector, and its second derivative times ``jacobians`` (k, 3, m)."""
        if self._by_component:
            slope = weights[:, None] / np.maximum(np.abs(errors), self._huber)
            return slope * errors, slope[:, :, None] * jacobians
        length = np.sqrt(np.einsum("vc,vc->v", errors, errors))
        slope = weights / np.maximum(length, self._huber)
        gradients = slope[:, None] * errors
        curved = slope[:, None, None] * jacobians
        far = length > self._huber
        if far.any():  # beyond the threshold the loss is flat along the error
            along = (
                np.einsum("vc,vcj->vj", errors[far], jacobians[far])
                * (slope[far] / length[far] ** 2)[:, None]
            )
            curved[far] -= errors[far][:, :, None] * along[:, None, :]
        return gradients, curved


class FrameProblem(NamedTuple):
    """The objective of one frame, a function of the joint positions alone."""

    objective: Objective
    targets: Targets
    last_rad: Array

    def value(self, x: Array) -> float:
        """The value at positions ``x`` (n,)."""
        return self.objective.value(x, self.targets, self.last_rad)

    def derivatives(self, x: Array) -> Derivatives:
        """The value, gradient and Hessian at positions ``x`` (n,)."""
        return self.objective.derivatives(x, self.targets, self.last_rad)

    def loss(self, positions_rad: Array, value: float) -> float:
        """What remains of the ``value`` at positions (n,) without the smoothness."""
        step = positions_rad - self.last_rad
        return value - self.objective.smoothness * float(step @ step)


def _skew_rows(vectors: Array) -> Array:
    """(3 k, 3) rows S with ``sum_l J_l x v_l = S^T J`` for J (3 k, m) stacked over the links."""
    rows = np.zeros((len(vectors), 3, 3))
    x, y, z = vectors[:, 0], vectors[:, 1], vectors[:, 2]
    # (J x v)_x = J_y z - J_z y, and so on; row c of block l is what component c of J_l adds.
    rows[:, 0, 1], rows[:, 0, 2] = -z, y
    rows[:, 1, 0], rows[:, 1, 2] = z, -x
    rows[:, 2, 0], rows[:, 2, 1] = -y, x
    return rows.reshape(-1, 3)
