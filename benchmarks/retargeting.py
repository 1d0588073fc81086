"""Retargeting: time a hand, other solvers on the same problems, and dex-retargeting where it is installed.

    python -m benchmarks.retargeting
    python -m benchmarks.retargeting --motion joints.npz --urdfs dex-urdf/robots/hands --configs FOLDER

Without files: the demonstration hand on generated motion. A motion is an .npz file with ``joints`` (T, 21,
3), metres in the wrist frame of a right hand, at 30 frames a second. ``--urdfs`` is the folder that the
``urdf_path`` of dex-retargeting's files (``--configs``) is relative to. Velocity limits are lifted where
dex-retargeting is compared, since it has none.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import logging
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from hand_pose_ros.retargeting.box_newton import minimise_in_box
from hand_pose_ros.retargeting.demo_hand import demo_hand_urdf
from hand_pose_ros.retargeting.dex_yaml import OPERATOR_ROTATION
from hand_pose_ros.retargeting.human_vectors import HumanVectors
from hand_pose_ros.retargeting.objective import FrameProblem, Objective
from hand_pose_ros.retargeting.profile import RobotProfile
from hand_pose_ros.retargeting.profile_files import read_profile
from hand_pose_ros.retargeting.retargeter import Retargeter
from hand_pose_ros.retargeting.robot_hand import Array, RobotHand

_FRAME_S = 1 / 30
_CONFIGS = (
    "teleop/leap_hand_right", "teleop/leap_hand_right_dexpilot", "teleop/allegro_hand_right",
    "teleop/allegro_hand_right_dexpilot", "teleop/inspire_hand_right", "teleop/inspire_hand_right_dexpilot",
    "teleop/ability_hand_right", "teleop/ability_hand_right_dexpilot", "teleop/shadow_hand_right",
    "teleop/shadow_hand_right_dexpilot", "offline/leap_hand_right", "offline/allegro_hand_right",
)  # fmt: skip
_FAST = 1e3  # rad/s: no velocity limit

Solver = Callable[[FrameProblem, Array, Array, Array], Array]


def generated_motion(frames: int = 600) -> Array:
    """Joints (frames, 21, 3) of a right hand that goes from pose to pose, a second each."""
    from hand_pose_ros import gestures, hand
    from hand_pose_ros.kinematics.forward import forward_kinematics
    from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds

    torch = importlib.import_module("torch")
    poses = []
    for pose in gestures.GESTURES_DEG.values():
        angles = list(hand.limits()[1])
        for name, degrees in pose.items():
            angles[hand.ANGLE_INDEX[name]] = math.radians(degrees)
        poses.append(angles)
    times = np.arange(frames) * _FRAME_S
    share = times % 1
    share = (share**3 * (10 - 15 * share + 6 * share**2))[:, None]
    table = np.array(poses)
    first = times.astype(int) % len(table)
    angles = table[first] * (1 - share) + table[(first + 1) % len(table)] * share
    proportions = proportion_bounds(torch.float64).neutral.expand(frames, -1)
    clamped = angle_bounds(torch.float64).clamp(torch.from_numpy(angles))
    return forward_kinematics(clamped, proportions, anchor_length=hand.MEAN_ANCHOR_LENGTH_M).joints.numpy()


def problems(profile: RobotProfile, robot: RobotHand, motion: Array) -> Iterator[tuple[FrameProblem, Array]]:
    """Each frame's problem and the last solution, which is ours."""
    human = HumanVectors(profile)
    objective = Objective.of_profile(profile, robot, human)
    last = robot.middle_rad
    for joints in motion:
        problem = FrameProblem(objective, human.targets(joints), last)
        yield problem, last
        last = minimise_in_box(problem, last, robot.lower_rad, robot.upper_rad).x


def solvers() -> dict[str, Solver]:
    """Solvers by name: ours, SciPy's, and NLopt's where installed."""

    def ours(problem: FrameProblem, last: Array, lower: Array, upper: Array) -> Array:
        return minimise_in_box(problem, last, lower, upper).x

    def scipy_solver(method: str) -> Solver:
        def solve(problem: FrameProblem, last: Array, lower: Array, upper: Array) -> Array:
            def function(x: Array) -> tuple[float, Array]:
                found = problem.derivatives(x)
                return found.value, found.gradient

            bounds = list(zip(lower, upper, strict=True))
            return minimize(function, last, jac=True, bounds=bounds, method=method, options={"ftol": 1e-6}).x

        return solve

    def nlopt_solver(library: Any) -> Solver:
        def solve(problem: FrameProblem, last: Array, lower: Array, upper: Array) -> Array:
            def function(x: Array, gradient: Array) -> float:
                found = problem.derivatives(x)
                if gradient.size:
                    gradient[:] = found.gradient
                return found.value

            optimiser = library.opt(library.LD_SLSQP, len(last))
            optimiser.set_lower_bounds(lower)
            optimiser.set_upper_bounds(upper)
            optimiser.set_min_objective(function)
            optimiser.set_ftol_abs(1e-6)
            return np.asarray(optimiser.optimize(np.clip(last, lower, upper)))

        return solve

    found = {"ours": ours, "SciPy L-BFGS-B": scipy_solver("L-BFGS-B"), "SciPy SLSQP": scipy_solver("SLSQP")}
    if library := optional("nlopt"):
        found["NLopt SLSQP"] = nlopt_solver(library)
    return found


def optional(module: str) -> Any:
    """The module, or None where it or one that it needs is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


def compare_solvers(name: str, profile: RobotProfile, urdf: str, motion: Array) -> None:
    """One line a solver: median time, objective over ours, frames that end more than 1 % above ours."""
    robot = profile.robot_hand(urdf)
    print(f"\n{name}: {len(motion)} frames, {robot.num_joints} joints")
    print(f"{'solver':<18}{'median':>10}{'objective':>12}{'worse':>8}")
    reference: list[float] = []
    for label, solve in solvers().items():
        times, values = [], []
        for problem, last in problems(profile, robot, motion):
            start = time.process_time()
            x = solve(problem, last, robot.lower_rad, robot.upper_rad)
            times.append(time.process_time() - start)
            values.append(problem.value(robot.clip(x)))
        reference = reference or values
        ratios = np.array(values) / np.array(reference)
        objective = np.mean(values) / np.mean(reference)
        print(f"{label:<18}{1e3 * np.median(times):>7.2f} ms{objective:>12.4f}{(ratios > 1.01).sum():>8}")


def follow(profile: RobotProfile, urdf: str, motion: Array) -> tuple[float, float, Array, float]:
    """(median, first) seconds a frame, objective (T,) and the largest step over the velocity limit's."""
    retargeter = Retargeter(profile, profile.robot_hand(urdf))
    times, values, outputs = [], [], []
    for joints in motion:
        start = time.process_time()
        result = retargeter.retarget(joints, None, _FRAME_S)
        times.append(time.process_time() - start)
        values.append(result.objective)
        outputs.append(result.positions_rad)
    steps = np.abs(np.diff(outputs, axis=0)) / (retargeter.robot.velocity_rad_s * _FRAME_S)
    return float(np.median(times[1:])), times[0], np.array(values), float(steps.max())


def dex_follow(
    library: Any, path: Path, urdfs: Path, profile: RobotProfile, urdf: str, motion: Array
) -> tuple[float, Array, Array]:
    """Their median seconds a frame, our objective (T,) along their path, and our minima from its points."""
    library.RetargetingConfig.set_default_urdf_dir(str(urdfs))
    dex = library.RetargetingConfig.load_from_file(str(path)).build()
    robot = profile.robot_hand(urdf)
    human = HumanVectors(profile)
    objective = Objective.of_profile(profile, robot, human)
    names = dex.optimizer.target_joint_names
    order = [names.index(name) for name in robot.joint_names]
    indices = dex.optimizer.target_link_human_indices
    times, theirs, ours = [], [], []
    for joints in motion:
        turned = joints @ np.array(OPERATOR_ROTATION).T
        wanted = turned[indices] if indices.ndim == 1 else turned[indices[1]] - turned[indices[0]]
        last = robot.clip(np.asarray(dex.last_qpos, dtype=np.float64)[order])
        start = time.process_time()
        dex.retarget(wanted)
        times.append(time.process_time() - start)
        problem = FrameProblem(objective, human.targets(joints), last)
        theirs.append(problem.value(robot.clip(np.asarray(dex.last_qpos, dtype=np.float64)[order])))
        ours.append(minimise_in_box(problem, last, robot.lower_rad, robot.upper_rad).value)
    return float(np.median(times)), np.array(theirs), np.array(ours)


def compare_with_dex(configs: Path, urdfs: Path, motion: Array) -> None:
    """One line a file of dex-retargeting's."""
    library = optional("dex_retargeting.retargeting_config")
    head = f"{'file':<36}{'ours':>9}{'first':>9}{'step':>7}{'dex':>9}{'ratio':>8}"
    print(f"\n{head}{'objective':>11}{'same last':>11}{'worse':>7}")
    for name in _CONFIGS:
        path = configs / f"{name}.yml"
        profile = read_profile(path, "right")
        if not (urdfs / profile.urdf).is_file():
            continue
        urdf = (urdfs / profile.urdf).read_text()
        median, first, _, step = follow(profile, urdf, motion)
        line = f"{name:<36}{1e3 * median:>6.2f} ms{1e3 * first:>6.0f} ms{step:>7.2f}"
        if library:
            free = dataclasses.replace(profile, velocity_limit=_FAST)
            _, _, values, _ = follow(free, urdf, motion)
            dex_s, theirs, same = dex_follow(library, path, urdfs, free, urdf, motion)
            ratio = same / theirs
            line += f"{1e3 * dex_s:>6.1f} ms{dex_s / median:>7.0f}x{values.mean() / theirs.mean():>11.4f}"
            line += f"{same.mean() / theirs.mean():>11.4f}{(ratio > 1.01).sum():>7}"
        print(line, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--motion", type=Path, help="human joints, .npz; generated if not given")
    parser.add_argument("--urdfs", type=Path, help="folder of robot hands, as dex-urdf's robots/hands")
    parser.add_argument("--configs", type=Path, help="folder of dex-retargeting's YAML files")
    parser.add_argument("--frames", type=int, default=600, help="frames at most (default: %(default)s)")
    options = parser.parse_args()
    logging.getLogger().setLevel(logging.CRITICAL)  # dex-retargeting warns of every mesh that is not there
    motion = np.load(options.motion)["joints"] if options.motion else generated_motion(options.frames)
    motion = motion[: options.frames].astype(np.float64)
    profile = read_profile("demo_hand")
    median, first, _, step = follow(profile, demo_hand_urdf(), motion)
    line = f"{1e3 * median:.2f} ms a hand, first {1e3 * first:.0f} ms, largest step {step:.2f} of the limit"
    print(f"demo_hand: {line}")
    compare_solvers("demo_hand", profile, demo_hand_urdf(), motion)
    if options.urdfs and options.configs:
        compare_with_dex(options.configs, options.urdfs, motion)


if __name__ == "__main__":
    main()
