"""Compares stated uncertainties with the errors of a hand's shape and of its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common import named_tensors
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.estimator.diffusion.batch import lift
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.diffusion.fusion import fuse_samples
from hand_pose_ros.estimator.placement import COMMON_SPREAD
from hand_pose_ros.evaluation import metrics
from hand_pose_ros.evaluation.methods import Prediction
from hand_pose_ros.evaluation.network_input import network_input
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.diffusion.sampling import HandDenoiser

PROBABILITIES: Final = np.linspace(0.05, 0.95, 19)
"""Central probabilities of the reliability plot."""
ONE_SIGMA, TWO_SIGMA = 0.6827, 0.9545
STATES: Final = ("visible", "hidden", "outside")
RANK_CORRELATION: Final = "rank correlation of sigma and error"
_FEWEST_RANKED: Final = 3


class AxisErrors(NamedTuple):
    """Errors and stated standard deviations of n hands' joints along the camera's axes.

    error, sigma: (n, J, 3) metres; an error without a label is NaN. state: (n, J) index into ``STATES``.
    """

    error: np.ndarray
    sigma: np.ndarray
    state: np.ndarray

    def known(self) -> AxisErrors:
        """Return the hands that have an estimate and a label."""
        return named_tensors.rows(
            self, np.isfinite(self.sigma).all((1, 2)) & np.isfinite(self.error).any((1, 2))
        )


def absolute_errors(prediction: Prediction, observations: Sequence[Observation]) -> AxisErrors:
    """Return the errors of the published joints in the camera frame, with shape, size and place."""
    error = prediction.joints_m - np.stack([observation.joints_m for observation in observations])
    sigma = np.sqrt(np.diagonal(prediction.covariance_m2, axis1=-2, axis2=-1))
    return AxisErrors(error, sigma, joint_state(observations)).known()


class ShapeErrors(NamedTuple):
    """Errors (n, 20, 3) in metres of the joints relative to the wrist, at the hand's true size.

    spread: (n, 20, 3) standard deviation of the samples. common: (n, 1, 1) of the error common to all.
    state: (n, 20) index into ``STATES``.
    """

    error: np.ndarray
    spread: np.ndarray
    common: np.ndarray
    state: np.ndarray

    def stated(self, spread_scale: float) -> AxisErrors:
        """Return the errors with the sigma that the estimator states for this factor on the spread."""
        sigma = np.sqrt(np.square(spread_scale * self.spread) + np.square(self.common))
        return AxisErrors(self.error, sigma, self.state)


def shape_errors(
    denoiser: HandDenoiser, observations: Sequence[Observation], config: DiffusionEstimatorConfig
) -> ShapeErrors:
    """Return the errors of all observations that can be lifted."""
    given = network_input(observations)
    observations = [observations[row] for row in given.rows.tolist()]
    joints, covariance = shape_and_covariance(denoiser, given.condition, config)
    truth = torch.from_numpy(np.stack([observation.joints_m for observation in observations]))
    truth = truth - truth[:, :1]
    size = truth[:, hand.ANCHOR_JOINT].norm(dim=-1)
    turn = given.view.rotation.double()
    sides = [observation.detection.side for observation in observations]
    flip = turn.new_tensor([[-1.0 if side == "left" else 1.0, 1.0, 1.0] for side in sides])
    error = size[:, None, None] * flip[:, None] * (joints.double() @ turn) - truth
    turned = turn.transpose(-1, -2)[:, None] @ covariance.double() @ turn[:, None]
    spread = size[:, None, None] * turned.diagonal(dim1=-2, dim2=-1).sqrt()
    common = COMMON_SPREAD * size[:, None, None]
    state = joint_state(observations)
    return ShapeErrors(error[:, 1:].numpy(), spread[:, 1:].numpy(), common.numpy(), state[:, 1:])


@torch.inference_mode()
def shape_and_covariance(
    denoiser: HandDenoiser,
    condition: KeypointCondition,
    config: DiffusionEstimatorConfig,
    image: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return fused joints (n, 21, 3) in the views, anchor lengths, and their samples' covariance (n, 21, 3, 3).

    Args:
        image: (n, ...) image features; None for a network without an image encoder.
    """
    lifted = lift(denoiser, condition, config.samples, config.steps, config.seed, image)
    weights = torch.full(lifted.unet.shape[:2], 1 / config.samples)
    joints = fuse_samples(lifted.samples, weights, config.fusion, denoiser, lifted.encoded).joints
    deviations = lifted.samples.joints - joints[:, None]
    return joints, (deviations[..., :, None] * deviations[..., None, :]).mean(1)


def joint_state(observations: Sequence[Observation]) -> np.ndarray:
    """Return the index (n, 21) into ``STATES``.

    Where observations do not know what is hidden, as on photos, joints inside the image count as visible.
    """
    hidden = np.stack([_or_none(observation, observation.hidden) for observation in observations])
    outside = np.stack([_or_none(observation, observation.outside) for observation in observations])
    return np.where(outside, 2, np.where(hidden, 1, 0))


def _or_none(observation: Observation, flags: np.ndarray | None) -> np.ndarray:
    return np.zeros(len(observation.joints_m), bool) if flags is None else flags


def coverage(errors: AxisErrors) -> dict[str, float]:
    """Return the share of the truth within one and two stated standard deviations, over all axes and along each.

    It also gives the rank correlation, over hands, of the mean stated sigma with the mean error, and the median
    stated sigma (root mean square over axes, millimetres) of visible, hidden and outside joints, as the mean over
    the medians of the joints: joints that are often hidden lie nearer to the wrist. Joints without a label do not
    count.
    """
    multiples = np.abs(errors.error / errors.sigma)
    rows = {}
    for count in (1, 2):
        rows[f"within {count} sigma"] = _share_within(multiples, count)
        for axis, name in enumerate("xyz"):
            rows[f"within {count} sigma, {name}"] = _share_within(multiples[..., axis], count)
    rows[RANK_CORRELATION] = _rank_correlation(errors)
    sigma = 1e3 * np.sqrt(np.square(errors.sigma).mean(-1))
    by_state = [_medians(sigma, errors.state == index) for index in range(len(STATES))]
    occurring = [medians for medians in by_state if np.isfinite(medians).any()]
    everywhere = np.isfinite(occurring).all(0)
    for name, medians in zip(STATES, by_state, strict=True):
        rows[f"sigma {name} mm"] = float(medians[everywhere].mean()) if everywhere.any() else float("nan")
    return rows


def stated_uncertainty(prediction: Prediction, observations: Sequence[Observation]) -> dict[str, float]:
    """Return how the stated uncertainty of an estimator fits its errors on hands with partial labels.

    *within 1 sigma*, *within 2 sigma*: share of the labelled coordinates in the camera frame. *rank, tilt*: rank
    correlation over hands of the stated deviation of the wrist's rotation with the root-relative error.
    """
    truth = np.stack([observation.joints_m for observation in observations])
    sigma = np.sqrt(np.diagonal(prediction.covariance_m2, axis1=-2, axis2=-1))
    multiples = np.abs(prediction.joints_m - truth) / sigma
    multiples = multiples[np.isfinite(multiples)]
    figures = {
        f"within {count} sigma": float((multiples <= count).mean()) if multiples.size else float("nan")
        for count in (1, 2)
    }
    error, turn = metrics.root_relative_mpjpe(prediction.joints_m, truth), prediction.turn_sigma_rad
    known = np.isfinite(error) & (np.isfinite(turn) if turn is not None else False)
    rank = float("nan")
    if turn is not None and known.sum() > 2:
        ranks = [np.argsort(np.argsort(values[known])).astype(float) for values in (turn, error)]
        rank = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    return figures | {"rank, tilt": rank}


def _share_within(multiples: np.ndarray, count: float) -> float:
    labelled = multiples[np.isfinite(multiples)]
    return float((labelled <= count).mean()) if labelled.size else float("nan")


def _rank_correlation(errors: AxisErrors) -> float:
    """Spearman's, of the hands' mean sigma and mean error over labelled joints; NaN for fewer than three hands."""
    if len(errors.error) < _FEWEST_RANKED:
        return float("nan")
    labelled = np.isfinite(errors.error).all(-1)
    error = np.where(labelled, np.linalg.norm(errors.error, axis=-1), np.nan)
    sigma = np.where(labelled, np.sqrt(np.square(errors.sigma).mean(-1)), np.nan)
    ranks = [rankdata(np.nanmean(values, axis=1)) for values in (sigma, error)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _medians(sigma: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return the median (J,) of the chosen sigma (n, J) of each joint; NaN for a joint that is never chosen."""
    columns = zip(sigma.T, chosen.T, strict=True)
    return np.array([np.median(s[c]) if c.any() else np.nan for s, c in columns])


def reliability_curve(errors: AxisErrors) -> np.ndarray:
    """Return the observed frequency of the truth within the central interval of each of ``PROBABILITIES``."""
    normal = torch.distributions.Normal(0.0, 1.0)
    bounds = normal.icdf(torch.from_numpy((1 + PROBABILITIES) / 2)).numpy()
    multiples = np.abs(errors.error / errors.sigma)
    return np.array([_share_within(multiples, bound) for bound in bounds])
