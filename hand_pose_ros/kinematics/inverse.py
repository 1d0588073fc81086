"""The inverse kinematics solver: the hand, inside its limits, that best explains given joints and image points.

A maximum a-posteriori fit by bounded Levenberg-Marquardt (diffusion + FK paper, section 3.1). The data are 3D
joints and, optionally, their image points, each with its noise; the prior is centred on the neutral hand with
half of each limit's range as its standard deviation, so that undetermined angles take plausible values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.camera.root_position import root_from_pose
from hand_pose_ros.common.shapes import check_shape
from hand_pose_ros.kinematics.fit_problem import FitProblem
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.kinematics.initial_guess import HandState, initial_guess
from hand_pose_ros.kinematics.levenberg_marquardt import Solution, keep_better, minimise, select
from hand_pose_ros.kinematics.mirror import mirror_across_camera_x

MIN_JOINTS = 6
"""Fewer known joints than this do not determine a hand."""
_AHEAD_M = (0.0, 0.0, 0.5)
_GUESSES = 5
_SUSPICIOUS_MISS = 3.0  # standard deviations


@dataclass(frozen=True)
class HandFit:
    """A fitted hand, over the leading shape (...) of the input.

    angles: (..., 38) radians, inside the limits. proportions: (..., 20), inside the limits.
    anchor_length_m: (...). frames: the posed skeleton of these, in the input's frame; its first rotation and
        joint are the pose of the wrist.
    residual_m: (..., 21) distance to the given joints (after removing the unknown translation, if they are
        relative); NaN where none was given.
    residual_px: (..., 21) distance to the given image points, undistorted and in units of 1 / fx, so that it is
        one in pixels for a lens without distortion and square pixels; NaN or None without image points.
    converged: (...) bool, whether the optimum was reached. False, with NaN everywhere, where the input does not
        determine a hand.
    """

    angles: Tensor
    proportions: Tensor
    anchor_length_m: Tensor
    frames: HandFrames
    residual_m: Tensor
    residual_px: Tensor | None
    converged: Tensor


@torch.no_grad()
def fit_hand(
    joints_m: Tensor,
    weights: Tensor | None = None,
    *,
    side: str = "right",
    anchor_length_m: float | Tensor | None = None,
    noise_m: float = 3e-4,
    image_points_px: Tensor | None = None,
    image_weights: Tensor | None = None,
    camera: CameraModel | None = None,
    noise_px: float = 3.0,
    relative: bool = False,
    start: HandFit | None = None,
    max_iterations: int = 60,
) -> HandFit:
    """Fit the hand to 3D joints, and optionally to their image points.

    Args:
        joints_m: (..., 21, 3) metres. A joint with a NaN is missing.
        weights: (..., 21) >= 0, inverse variances relative to ``noise_m``; 1 if None.
        side: 'left' or 'right'.
        anchor_length_m: known length of the bone wrist -> index MCP, a number or (...); fitted if None.
        noise_m: standard deviation of a joint of weight 1: how far to trust the data against the prior.
        image_points_px: (..., 21, 2) pixels of ``camera``'s image, distorted as it is. NaN is missing.
        image_weights: (..., 21) >= 0, inverse variances relative to ``noise_px``; 1 if None.
        camera: the camera whose frame the joints are in, and whose image the points.
        noise_px: standard deviation of an image point of weight 1.
        relative: the joints are known up to a translation only (root-relative, say), and the image points
            alone tell where the hand is.
        start: fits of the same leading shape to start from, such as those of the frame before; saves most of the
            time where the hands have moved little. Hands that are NaN in it are started as without it.
        max_iterations: after which a fit is given up as not converged.

    Raises:
        ValueError: a wrong shape, an unknown side, a negative or non-finite weight, a noise or length that is not
            positive, image points without a camera, or ``relative`` without image points.
    """
    hand.check_side(side)
    _check_data("joints_m", joints_m, 3, weights, noise_m)
    if image_points_px is None and relative:
        raise ValueError("relative joints need image_points_px to say where the hand is")
    if (image_points_px is None) != (camera is None):
        raise ValueError("image_points_px and camera go together: give both or neither")
    batch = joints_m.shape[:-2]
    flip = joints_m.new_tensor((1.0 if side == "right" else -1.0, 1.0, 1.0))

    joints, precision = _known(joints_m.reshape(-1, hand.NUM_JOINTS, 3) * flip, weights, noise_m)
    rays = ray_precision = None
    if image_points_px is not None and camera is not None:
        _check_data("image_points_px", image_points_px, 2, image_weights, noise_px)
        if image_points_px.shape[:-1] != joints_m.shape[:-1]:
            raise ValueError(
                f"image_points_px {tuple(image_points_px.shape)} and joints_m {tuple(joints_m.shape)} "
                "must have the same leading shape"
            )
        points = image_points_px.reshape(-1, hand.NUM_JOINTS, 2).to(joints)
        noise = noise_px / camera.fx
        rays, ray_precision = _known(camera.rays(points)[..., :2] * flip[:2], image_weights, noise)

    log_anchor = _log_length(anchor_length_m, joints, batch)
    problem = FitProblem(joints, precision, rays, ray_precision, relative, log_anchor is not None)
    warm = None if start is None else _state_of(start, side, batch, joints)
    solution = _solve(problem, log_anchor, warm, max_iterations)
    return _result(problem, solution, side, batch, camera)


def _solve(
    problem: FitProblem, log_anchor: Tensor | None, warm: HandState | None, max_iterations: int
) -> Solution[HandState]:
    """Minimise from the best start and, where the fit then misses a joint, from other guesses as well."""
    solution = _minimise(problem, log_anchor, max_iterations, warm=warm)
    for rank in range(0 if warm is not None else 1, _GUESSES):
        misses, _ = problem.joint_residuals(problem.pose(solution.state).joints)
        suspect = (misses * problem.joint_precision).nan_to_num().amax(-1) > _SUSPICIOUS_MISS
        chosen = suspect.nonzero()[:, 0]
        if len(chosen) == 0:
            break
        scale = None if log_anchor is None else log_anchor[chosen]
        other = _minimise(problem.subset(chosen), scale, max_iterations, rank)
        solution = keep_better(solution, chosen, other)
    return solution


def _minimise(
    problem: FitProblem,
    log_anchor: Tensor | None,
    max_iterations: int,
    rank: int = 0,
    warm: HandState | None = None,
) -> Solution[HandState]:
    """Minimise from ``warm``, or from the guess of that rank where it is None or NaN."""
    if warm is None:
        start = _guess(problem, rank)
    else:
        known = warm.root_position.isfinite().all(-1)
        start = warm if bool(known.all()) else select(known, warm, _guess(problem, rank))
    if log_anchor is not None:
        start = start._replace(log_anchor=log_anchor)
    return minimise(start, problem, max_iterations)


def _guess(problem: FitProblem, rank: int) -> HandState:
    guess = initial_guess(problem.joints, problem.joint_precision, rank)
    if not problem.relative or problem.rays is None or problem.ray_precision is None:
        return guess
    # The position that explains the image points; in front of the camera if that fails.
    from_wrist = problem.pose(guess).joints - guess.root_position[:, None]
    root = root_from_pose(problem.rays, from_wrist, problem.ray_precision.square()).position
    return guess._replace(root_position=torch.where(root.isfinite(), root, torch.tensor(_AHEAD_M).to(root)))


def _state_of(fit: HandFit, side: str, batch: torch.Size, like: Tensor) -> HandState:
    """The solver's state, a right hand, of an earlier fit."""
    if fit.angles.shape[:-1] != batch:
        raise ValueError(
            f"start must have the leading shape {tuple(batch)} of joints_m, got {tuple(fit.angles.shape[:-1])}"
        )
    frames = fit.frames if side == "right" else mirror_across_camera_x(*fit.frames)
    joints, rotations = frames
    state = (
        fit.angles,
        fit.proportions.log(),
        fit.anchor_length_m.log(),
        rotations[..., 0, :, :],
        joints[..., 0, :],
    )
    return HandState(*(field.reshape(-1, *field.shape[len(batch) :]).to(like) for field in state))


def _result(
    problem: FitProblem,
    solution: Solution[HandState],
    side: str,
    batch: torch.Size,
    camera: CameraModel | None,
) -> HandFit:
    """Undo the mirroring and the flattening of the batch, and set undetermined hands to NaN."""
    state = solution.state
    frames = problem.pose(state)
    residual_m, residual_px = problem.joint_residuals(frames.joints)
    if side == "left":
        frames = HandFrames(*mirror_across_camera_x(*frames))
    determined = (problem.joint_precision > 0).sum(-1) >= MIN_JOINTS
    if problem.relative and problem.ray_precision is not None:
        determined &= (problem.ray_precision > 0).sum(-1) >= MIN_JOINTS

    def finish(values: Tensor) -> Tensor:
        blank = determined.reshape(-1, *[1] * (values.ndim - 1))
        return torch.where(blank, values, values.new_tensor(torch.nan)).reshape((*batch, *values.shape[1:]))

    return HandFit(
        angles=finish(state.angles),
        proportions=finish(state.log_proportions.exp()),
        anchor_length_m=finish(state.log_anchor.exp()),
        frames=HandFrames(*map(finish, frames)),
        residual_m=finish(residual_m),
        residual_px=None if residual_px is None or camera is None else finish(residual_px * camera.fx),
        converged=(solution.converged & determined).reshape(batch),
    )


def _known(points: Tensor, weights: Tensor | None, noise: float) -> tuple[Tensor, Tensor]:
    """Points (B, 21, d) with zeros for what is missing, and reciprocal standard deviations (B, 21), zero there."""
    known = points.isfinite().all(-1)
    precision = known.to(points) / noise
    if weights is not None:
        precision = precision * weights.reshape(-1, hand.NUM_JOINTS).to(points).sqrt()
    return torch.where(known[..., None], points, torch.zeros_like(points)), precision


def _log_length(length: float | Tensor | None, like: Tensor, batch: torch.Size) -> Tensor | None:
    """The logarithm of a known anchor length, one for each hand of the flattened batch."""
    if length is None:
        return None
    length = torch.as_tensor(length, dtype=like.dtype, device=like.device)
    if not bool(((length > 0) & length.isfinite()).all()):
        raise ValueError("anchor_length_m must be positive and finite")
    try:
        return length.expand(batch).reshape(-1).log()
    except RuntimeError as error:
        raise ValueError(
            f"anchor_length_m must be a number or have the leading shape {tuple(batch)} of joints_m, "
            f"got shape {tuple(length.shape)}"
        ) from error


def _check_data(name: str, points: Tensor, size: int, weights: Tensor | None, noise: float) -> None:
    check_shape(name, points, (hand.NUM_JOINTS, size))
    if not points.is_floating_point():
        raise ValueError(f"{name} must be of a floating point type, got {points.dtype}")
    if weights is not None:
        if weights.shape != points.shape[:-1]:
            expected, got = tuple(points.shape[:-1]), tuple(weights.shape)
            raise ValueError(f"weights of {name} must have shape {expected}, got {got}")
        if not bool(((weights >= 0) & weights.isfinite()).all()):
            raise ValueError(f"weights of {name} must be finite and not negative")
    if not (noise > 0 and math.isfinite(noise)):
        raise ValueError(f"the noise of {name} must be positive and finite, got {noise}")
