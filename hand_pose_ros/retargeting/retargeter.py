"""A robot hand's joint positions from a human hand's joints, frame by frame, inside limits and without jumps.

    profile = read_profile("leap", side="right")
    robot = profile.robot_hand(Path("leap_hand_right.urdf").read_text())
    retargeter = Retargeter(profile, robot)
    retargeter.reset(present_positions_rad)
    command = retargeter.retarget(joints_m, sigma_m, dt_s).positions_rad

Two states pass from frame to frame. The *solution* minimises the objective inside the joint limits, from the
last solution on. The *output* follows the solution through the low-pass, by at most ``velocity limit * dt``. So no
output ever leaves the limits or steps farther, whatever the input. A hand that begins far away is approached at
the velocity limit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hand_pose_ros.retargeting.box_newton import Minimum, minimise_in_box
from hand_pose_ros.retargeting.human_vectors import HumanVectors
from hand_pose_ros.retargeting.objective import FrameProblem, Objective
from hand_pose_ros.retargeting.profile import RobotProfile
from hand_pose_ros.retargeting.robot_hand import Array, RobotHand

LONGEST_STEP_S: Final = 0.1
"""A longer time between frames counts as this one: the first step after a gap is no leap."""
_STARTS: Final = 8
_FIRST_LOOK: Final = 20  # iterations from every start; the best are solved to the end
_FINALISTS: Final = 3
_FIRST_ITERATIONS: Final = 60
_ITERATIONS: Final = 20
_RISE: Final = 1e-3  # of the mean loss: what an error of 6 mm costs
_PATROL: Final = 15  # frames from one look into other valleys to the next
_LOWER: Final = 0.9  # a solution elsewhere must be better by this factor


class RetargetedHand(NamedTuple):
    """One frame of a robot hand.

    positions_rad: (n,) of the independent joints, in the order of :attr:`Retargeter.joint_names`.
    residuals_m: (k,) distance of each robot vector from its target.
    human_vectors_m: (k, 3) targets: the human hand's vectors turned, scaled and projected into the robot's
        base frame.
    robot_vectors_m: (k, 3) the robot's vectors at ``positions_rad``. origins_m: (k, 3) where they begin. Base
        frame.
    objective: value of the objective at the solution. converged: whether the solver came to its end.
    """

    positions_rad: Array
    residuals_m: Array
    human_vectors_m: Array
    robot_vectors_m: Array
    origins_m: Array
    objective: float
    converged: bool


class Retargeter:
    """Retargets the hand of one person to one robot hand. Keeps state; not thread-safe.

    joint_names: the n independent joints of the robot hand. vector_names: the k vectors, 'wrist ->
        index_tip'. vector_joints: (k, 2) the human joints at their ends.
    """

    def __init__(self, profile: RobotProfile, robot: RobotHand) -> None:
        """Make the retargeter.

        Raises:
            ValueError: the profile names a link or joint that the robot does not have, or its command does.
        """
        self.profile, self.robot = profile, robot
        self.joint_names = robot.joint_names
        self._human = HumanVectors(profile)
        self.vector_names = self._human.names
        self.vector_joints = self._human.joints
        self._objective = Objective.of_profile(profile, robot, self._human)
        if unknown := [name for name in profile.target_joints if name not in robot.joint_names]:
            known = ", ".join(robot.joint_names)
            raise ValueError(f"target_joints names {', '.join(unknown)}; the independent joints are {known}")
        if profile.command:
            profile.command.for_joints(robot.all_joint_names)
        targets = set(profile.target_joints or robot.joint_names)
        self._held = np.array([name not in targets for name in robot.joint_names])
        self._starts = _starts(robot)
        self._rest = robot.clip(np.where(self._held, 0.0, robot.middle_rad))
        self._solution = self._rest
        self._output: Array | None = None
        self._first = True
        self._frames, self._doubts, self._next_start, self._last_value = 0, 0, 0, math.inf
        self._unsearched: tuple[FrameProblem, Minimum] | None = None

    @property
    def pinches(self) -> NDArray[np.bool_]:
        """(p,) whether each vector between fingertips is in a closed pinch; empty unless DexPilot."""
        return self._human.closed.copy()

    def reset(self, positions_rad: Sequence[float] | Array | None = None) -> None:
        """Forget the last frames; the next one is solved from several starts.

        Args:
            positions_rad: (n,) where the robot is: the next output steps from there. None if that is not
                known: the next output is the solution itself, anywhere inside the limits.

        Raises:
            ValueError: a wrong shape, or a value that is not finite.
        """
        self._human.reset()
        self._first, self._frames, self._doubts, self._last_value = True, 0, 0, math.inf
        self._unsearched = None
        if positions_rad is None:
            self._solution, self._output = self._rest, None
            return
        positions = np.asarray(positions_rad, dtype=np.float64)
        if positions.shape != (self.robot.num_joints,) or not np.isfinite(positions).all():
            raise ValueError(
                f"positions_rad must be {self.robot.num_joints} finite numbers, got {positions.tolist()}"
            )
        self._output = positions.copy()
        self._solution = self.robot.clip(positions)

    def retarget(self, joints_m: Array, sigma_m: Array | None, dt_s: float) -> RetargetedHand:
        """The robot hand of the next frame. An input that raises leaves the state as it was.

        Args:
            joints_m: (21, 3) joints in the human wrist frame (docs/use/frames.md), metres.
            sigma_m: (21,) standard deviation of each joint, metres, infinite where nothing is known; or None.
            dt_s: time since the last frame, or since ``reset`` with positions.

        Raises:
            ValueError: joints or sigma as :meth:`HumanVectors.targets` refuses them, or ``dt_s`` not positive
                and finite. The caller holds the robot.
        """
        if not (math.isfinite(dt_s) and dt_s > 0):
            raise ValueError(f"dt_s must be positive and finite, got {dt_s}")
        self.search_elsewhere()
        pinches = self._human.closed.copy()
        targets = self._human.targets(joints_m, sigma_m)
        step = self.robot.velocity_rad_s * min(dt_s, LONGEST_STEP_S)
        problem = FrameProblem(self._objective, targets, self._solution)
        found = self._solve_first(problem) if self._first else self._solve(problem, pinches)
        self._solution, self._first, self._last_value = found.x, False, found.value
        self._output = self._follow(found.x, step, dt_s)
        vectors, origins = self._objective.vectors(self._output)
        residuals = np.linalg.norm(vectors - targets.vectors_m, axis=1)
        return RetargetedHand(
            self._output.copy(), residuals, targets.vectors_m, vectors, origins, found.value, found.converged
        )

    def _box(self) -> tuple[Array, Array]:
        """Lower and upper bounds (n,) of the solution: the limits, and the place of joints that stay."""
        held = self._solution
        return np.where(self._held, held, self.robot.lower_rad), np.where(
            self._held, held, self.robot.upper_rad
        )

    def _solve(self, problem: FrameProblem, pinches: NDArray[np.bool_]) -> Minimum:
        """The minimum next to the last solution; decides whether another valley is to be looked into.

        One other start is tried every :data:`_PATROL` frames, and one a frame until all were tried when a pinch
        closed or opened or the objective rose much: then the solution may lie in the wrong valley.
        """
        lower, upper = self._box()
        found = minimise_in_box(problem, self._solution, lower, upper, max_iterations=_ITERATIONS)
        rise = max(0.5 * self._last_value, _RISE * float(problem.targets.weights.sum()))
        if found.value > self._last_value + rise or (pinches != self._human.closed).any():
            self._doubts = _STARTS
        self._frames += 1
        if self._doubts or self._frames % _PATROL == 0:
            self._doubts = max(0, self._doubts - 1)
            self._unsearched = problem, found
        return found

    def search_elsewhere(self) -> None:
        """Look for a lower solution of the last frame in another valley, where that is due.

        It takes as long as a frame and acts on the next one, whose :meth:`retarget` does it if nobody has. A
        caller with a deadline calls it after the command is sent. Losses are compared without the smoothness,
        which would hold a hand in a valley that it should leave.
        """
        if self._unsearched is None:
            return
        (problem, found), self._unsearched = self._unsearched, None
        self._next_start = (self._next_start + 1) % _STARTS
        elsewhere = problem._replace(last_rad=self._starts[self._next_start])
        other = minimise_in_box(elsewhere, elsewhere.last_rad, *self._box(), max_iterations=_ITERATIONS)
        if elsewhere.loss(other.x, other.value) < _LOWER * problem.loss(found.x, found.value):
            self._solution, self._last_value = other.x, problem.value(other.x)

    def _solve_first(self, problem: FrameProblem) -> Minimum:
        """The best of several starts: a hand such as LEAP has local minima far apart."""
        lower, upper = self._box()
        ends = [
            minimise_in_box(problem, x, lower, upper, max_iterations=_FIRST_LOOK)
            for x in (self._solution, *self._starts)
        ]
        best = sorted(ends, key=lambda minimum: minimum.value)[:_FINALISTS]
        found = [
            minimise_in_box(problem, end.x, lower, upper, max_iterations=_FIRST_ITERATIONS) for end in best
        ]
        return min(found, key=lambda minimum: minimum.value)

    def _follow(self, solution: Array, step: Array, dt_s: float) -> Array:
        """The next output: the low-pass of the solution, a step away at most, inside the limits."""
        if self._output is None:
            return self.robot.clip(solution)
        wish = self._output + self._low_pass(dt_s) * (solution - self._output)
        # A robot that stands outside its limits is brought back by steps, too.
        return self._output + np.clip(self.robot.clip(wish) - self._output, -step, step)

    def _low_pass(self, dt_s: float) -> float:
        if self.profile.low_pass_alpha is not None:
            return self.profile.low_pass_alpha
        if self.profile.low_pass_hz is not None:
            return 1 - math.exp(-2 * math.pi * self.profile.low_pass_hz * dt_s)
        return 1.0


def _starts(robot: RobotHand) -> list[Array]:
    """Positions (n,) over the whole range: an additive recurrence, evenly spread, the same in every run."""
    golden = 2.0
    for _ in range(30):  # the root of x^(n + 1) = x + 1, whose powers spread n-dimensional points evenly
        golden = (1 + golden) ** (1 / (robot.num_joints + 1))
    steps = golden ** -np.arange(1.0, robot.num_joints + 1)
    span = robot.upper_rad - robot.lower_rad
    return [robot.middle_rad, *(robot.lower_rad + span * ((0.5 + i * steps) % 1) for i in range(1, _STARTS))]
