"""Fits the noise model to a detector's answers on renders.

hand_pose noise-fit

The pictures' answers are kept in a folder, in parts, so that an interrupted study goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import rows
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.own.follower import read_again
from hand_pose_ros.estimator.landmark_reading import open_heatmap_landmarks
from hand_pose_ros.files.safe_arrays import read_arrays
from hand_pose_ros.synthetic.detector.finger_confusion import find_confusion, fingers_unseen
from hand_pose_ros.synthetic.detector.statistics import (
    HIDDEN,
    OUTSIDE,
    STATISTICS,
    VISIBLE,
    NoiseStatistics,
    anchor_in_half_extents,
    error_features,
    joint_states,
    level_features,
)
from hand_pose_ros.synthetic.detector.study import (
    Detect,
    Study,
    ViewedStudy,
    load_studies,
    run_study,
    save_study,
    view_study,
)

_PART = 100  # pictures per file of a study
_FLIPPED = -0.3  # correlation of a hand's depths with the truth below which it counts as flipped
_LOST = 0.4  # mean error, half extents, beyond which a hand tells nothing of systematic errors
_FLOOR = 0.5  # of the median squared error, added to a hand's before it is weighed
_RIDGE = 0.01  # relative to the features' variance
_ROBUST = 0.1  # anchor lengths: errors beyond count less in the definition offsets
_STEPS = 10  # of the fits that go by turns
_SHRINKAGE = 0.02  # of the correlations towards none
_MIN_LEVEL = 1e-3
_HIGHEST_LEVEL = 0.995  # share of the hands' levels that may occur
_SAMPLES = 10000
_QUANTILES = 65
_MIN_ADDED = 0.05  # share of the levels' variance that is taken for real, at least
_MAX_CORRELATION = 0.95


class _Prepared(NamedTuple):
    """Hands of a study without definition offsets: joints as the model is given them, and errors (n, 21, 3)."""

    joints: Tensor
    errors: Tensor
    view_rotation: Tensor
    state: Tensor


def fit_noise(viewed: ViewedStudy) -> NoiseStatistics:
    """Statistics of the errors of found hands, of their true side."""
    confusion = find_confusion(viewed.points, viewed.points_found)
    confused = (confusion.swapped | confusion.copied).any((1, 2))
    flipped = _depth_correlation(viewed) < _FLIPPED
    distance = (viewed.points_found - viewed.points).norm(dim=-1).mean(-1)
    regular = ~confused & ~flipped

    definition = _definition_offsets(viewed, regular & (distance < _LOST))
    hands = rows(_prepare(viewed, definition), regular)
    weights, bias, residuals = _systematic(hands)
    sigma, level = _joint_sigma(residuals, hands.state)
    unit = residuals / sigma[hands.state, torch.arange(hand.NUM_JOINTS)][..., (0, 0, 1)]
    unit = unit / level[:, None][..., (0, 0, 1)]
    cholesky = torch.linalg.cholesky(_correlations(unit))
    finger_spread = _finger_spread(unit, cholesky)
    features = level_features(hands.joints, hands.view_rotation, hands.state)
    level_weights, level_bias = _ridge(features, level.log(), torch.ones_like(level[:, 0]))
    spread = level.log() - features @ level_weights - level_bias
    sampled = _levels(_sampled_errors(cholesky, finger_spread)).log()
    level_cholesky, quantiles = _level_distribution(spread, sampled)
    return NoiseStatistics(
        definition=definition,
        weights=weights,
        bias=bias,
        sigma=sigma,
        cholesky=cholesky,
        level_weights=level_weights,
        level_bias=level_bias - sampled.mean(0),
        level_cholesky=level_cholesky,
        level_quantiles=quantiles,
        level_highest=level.log().quantile(_HIGHEST_LEVEL, dim=0) - sampled.mean(0),
        finger_spread=finger_spread,
        swapped=confusion.swapped.double().mean(0),
        copied=_copied_rates(confusion.copied, fingers_unseen(viewed.visible & viewed.inside)),
        flipped=flipped.double().mean(),
    )


def _copied_rates(copied: Tensor, unseen: Tensor) -> Tensor:
    """(2, 5, 5) how often a finger is placed on another one, of the times that it is seen, and that it is not."""
    rates = []
    for chosen in (~unseen, unseen):
        weight = chosen.double()[..., None]
        rates.append((copied * weight).sum(0) / weight.sum(0).clamp(min=1))
    return torch.stack(rates)


def _depth_correlation(viewed: ViewedStudy) -> Tensor:
    """(n,) correlation of each hand's found and true depths."""
    found, true = (value - value.mean(-1, keepdim=True) for value in (viewed.depth_found, viewed.depth))
    return (found * true).sum(-1) / (found.norm(dim=-1) * true.norm(dim=-1)).clamp(min=1e-9)


def _definition_offsets(viewed: ViewedStudy, chosen: Tensor) -> Tensor:
    """(21, 3) constant offset of each joint in the wrist frame, anchor lengths, from the image only; robust."""
    unit = anchor_in_half_extents(viewed.points, viewed.depth)[chosen]
    errors = (viewed.points_found - viewed.points)[chosen] / unit[:, None, None]
    matrix = viewed.view_rotation[chosen][:, :2].flatten(0, 1)
    offsets = []
    for joint in range(hand.NUM_JOINTS):
        target = errors[:, joint].flatten()
        weight = torch.ones_like(target)
        for _ in range(_STEPS):
            offset = torch.linalg.lstsq(matrix * weight[:, None], target * weight).solution
            weight = (1 + ((target - matrix @ offset) / _ROBUST).square()).rsqrt()
        offsets.append(offset)
    return torch.stack(offsets)


def _prepare(viewed: ViewedStudy, definition: Tensor) -> _Prepared:
    unit = anchor_in_half_extents(viewed.points, viewed.depth)[:, None, None]
    offset = definition @ viewed.view_rotation.transpose(-1, -2)
    in_image = viewed.points_found - viewed.points - offset[..., :2] * unit
    in_depth = viewed.depth_found - viewed.depth - (offset[..., 2] - offset[:, :1, 2])
    joints = torch.cat(((viewed.points - viewed.points[:, :1]) / unit, viewed.depth[..., None]), dim=-1)
    errors = torch.cat((in_image, in_depth[..., None]), dim=-1)
    return _Prepared(joints, errors, viewed.view_rotation, joint_states(viewed.visible, viewed.inside))


def _systematic(hands: _Prepared) -> tuple[Tensor, Tensor, Tensor]:
    """Weights and bias of the errors' systematic part, and what is left (n, 21, 3) of the errors.

    Hands count by how well they are predicted, in the image and in depth: a few lost hands must not bend the
    prediction for the good ones.
    """
    features = error_features(hands.joints, hands.view_rotation)
    residuals = hands.errors
    weights = torch.zeros(features.shape[1], hand.NUM_JOINTS, 3, dtype=features.dtype)
    bias = torch.zeros(hand.NUM_JOINTS, 3, dtype=features.dtype)
    for _ in range(_STEPS):
        for axes in (slice(0, 2), slice(2, 3)):
            squares = residuals[..., axes].square().mean((1, 2))
            count = 1 / (squares + _FLOOR * squares.median())
            target = hands.errors[..., axes].flatten(1)
            fitted, constant = _ridge(features, target, count)
            weights[..., axes] = fitted.unflatten(1, (hand.NUM_JOINTS, -1))
            bias[..., axes] = constant.unflatten(0, (hand.NUM_JOINTS, -1))
        predicted = features @ weights.flatten(1) + bias.flatten()
        residuals = hands.errors - predicted.unflatten(1, (-1, 3))
    return weights.flatten(1), bias.flatten(), residuals


def _ridge(features: Tensor, targets: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and bias of the ridge regression on standardised features, where row i counts ``count[i]`` times."""
    share = (count / count.sum())[:, None]
    mean, target_mean = (share * features).sum(0), (share * targets).sum(0)
    centred = features - mean
    spread = (share * centred.square()).sum(0).sqrt().clamp(min=1e-6)
    standard = centred / spread
    gram = standard.T @ (share * standard) + _RIDGE * torch.eye(features.shape[1], dtype=features.dtype)
    weights = torch.linalg.solve(gram, standard.T @ (share * (targets - target_mean))) / spread[:, None]
    return weights, target_mean - mean @ weights


def _joint_sigma(residuals: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Standard deviations (3, 21, 2) per state, joint and kind, and levels (n, 2) per hand, by turns.

    A residual's standard deviation is taken as the product of both. Joints outside the image are rare: they
    share one ratio to the visible ones.
    """
    squares = torch.stack((residuals[..., :2].square().mean(-1), residuals[..., 2].square()), dim=-1)
    squares[:, hand.WRIST, 1] = 0
    level = squares.new_ones(len(squares), 2)
    for _ in range(_STEPS):
        scaled = squares / level[:, None].square()
        variances = [_masked_mean(scaled, state == value) for value in (VISIBLE, HIDDEN, OUTSIDE)]
        ratio = _masked_mean(
            (scaled / variances[VISIBLE].clamp(min=1e-9)).flatten(0, 1), (state == OUTSIDE).flatten()
        )
        variances[OUTSIDE] = variances[VISIBLE] * ratio
        sigma = torch.stack(variances).sqrt()
        of_joint = sigma[state, torch.arange(hand.NUM_JOINTS)]
        relative = squares / of_joint.square().clamp(min=1e-12)
        relative[:, hand.WRIST, 1] = 0
        level = torch.stack((relative[..., 0].mean(1), relative[:, 1:, 1].mean(1)), dim=-1).sqrt()
        level = level.clamp(min=_MIN_LEVEL)
        level = level / level.median(0).values
    return sigma, level


def _masked_mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean over the first axis of the chosen ones; values (n, ..., 2), chosen (n, ...)."""
    weight = chosen.to(values)[..., None]
    return (values * weight).sum(0) / weight.sum(0).clamp(min=1)


def _correlations(unit: Tensor) -> Tensor:
    """(63, 63), shrunk a little towards none, of errors (n, 21, 3) of about unit variance."""
    errors = unit.flatten(1).nan_to_num(0.0)
    covariance = errors.T @ errors / len(errors)
    deviation = covariance.diagonal().clamp(min=1e-9).sqrt()
    correlations = covariance / (deviation[:, None] * deviation)
    eye = torch.eye(len(correlations), dtype=correlations.dtype)
    return (1 - _SHRINKAGE) * correlations * (1 - eye) + eye


def _sampled_errors(cholesky: Tensor, finger_spread: Tensor) -> Tensor:
    """(m, 21, 3) errors of unit variance, with these correlations and this spread of fingers' levels."""
    generator = torch.Generator().manual_seed(Seed.ARBITRARY)
    drawn = torch.randn(_SAMPLES, len(cholesky), dtype=cholesky.dtype, generator=generator) @ cholesky.T
    fingers = torch.randn(_SAMPLES, len(hand.FINGERS), dtype=cholesky.dtype, generator=generator)
    factor = (finger_spread * fingers - finger_spread.square()).exp().repeat_interleave(4, dim=1)
    errors = drawn.unflatten(1, (-1, 3)).clone()
    errors[:, 1:, :2] *= factor[..., None]
    return errors


def _levels(errors: Tensor) -> Tensor:
    """(m, 2) root mean squares of errors (m, 21, 3), in the image and in depth."""
    squares = errors.square()
    return torch.stack((squares[..., :2].mean((1, 2)), squares[:, 1:, 2].mean(1)), dim=-1).sqrt()


def _finger_spread(unit: Tensor, cholesky: Tensor) -> Tensor:
    """() spread of fingers' levels that gives errors in the image the tails that they have within their hand.

    A log-normal factor of spread s multiplies the kurtosis by exp(4 s^2); that of normal errors divided by their
    own hand's level is found by sampling.
    """
    normal = _sampled_errors(cholesky, cholesky.new_tensor(0.0))
    normal = normal[..., :2] / _levels(normal)[:, None, :1]
    ratio = _kurtosis(unit[:, 1:, :2]) / _kurtosis(normal[:, 1:])
    return (ratio.clamp(min=1).log() / 4).sqrt()


def _kurtosis(values: Tensor) -> Tensor:
    return values.pow(4).mean() / values.square().mean().square()


def _level_distribution(spread: Tensor, sampled: Tensor) -> tuple[Tensor, Tensor]:
    """Correlation (as Cholesky factor) and quantiles of hands' log levels (n, 2), beyond what chance gives.

    Hands of one level differ by chance, because their joints' errors are few and correlated (``sampled``): that
    much variance is taken off.
    """
    seen, chance = spread.T.cov(), sampled.T.cov()
    added = seen - chance
    variance = torch.maximum(added.diagonal(), _MIN_ADDED * seen.diagonal())
    correlation = (added[0, 1] / variance.prod().sqrt()).clamp(-_MAX_CORRELATION, _MAX_CORRELATION)
    matrix = torch.eye(2, dtype=spread.dtype)
    matrix[0, 1] = matrix[1, 0] = correlation
    centred = (spread - spread.mean(0)) * (variance / seen.diagonal()).sqrt()
    steps = torch.linspace(0, 1, _QUANTILES, dtype=spread.dtype)
    return torch.linalg.cholesky(matrix), centred.quantile(steps, dim=0)


def collect(folder: Path, count: int, seed: int, detect: Detect) -> Study:
    """A detector's answers on pictures until ``count`` hands are found, kept in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    found, part = 0, 0
    while found < count:
        path = folder / f"study_{part:04d}.npz"
        if not path.exists():
            save_study(run_study(_PART, detect, seed + part), path)
        found += int(read_arrays(path)["right_side"].sum())
        part += 1
    return load_studies(folder)


def open_detector(landmarks: str) -> Detect:
    """Return the studied detector: MediaPipe, or the shipped 2.5D network, which reads the hands that it finds.

    Raises:
        FileNotFoundError: the network's weights are missing.
    """
    from hand_pose_ros.detection.mediapipe.detector import MediaPipeConfig, MediaPipeDetector

    detector = MediaPipeDetector(MediaPipeConfig(max_hands=1))
    if landmarks == "mediapipe":
        return lambda frame: detector.detect(frame.image_bgr)
    reader = open_heatmap_landmarks("", "auto", "cpu")
    return lambda frame: [read_again(reader, frame, one) for one in detector.detect(frame.image_bgr)]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="hand_pose noise-fit", description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--landmarks", choices=tuple(STATISTICS), default="mediapipe", help="the network that tells landmarks"
    )
    parser.add_argument("--count", type=int, default=3000, help="hands that are to be found")
    parser.add_argument("--study", type=Path, required=True, help="folder of the answers, old and new")
    parser.add_argument("--seed", type=int, default=Seed.DETECTOR_STUDY.value)
    parser.add_argument("--output", type=Path, help="file of the statistics; by default the package's own")
    options = parser.parse_args(arguments)
    study = collect(options.study, options.count, options.seed, open_detector(options.landmarks))
    found = rows(study, study.right_side & np.isfinite(study.depth).all(1))
    fit_noise(view_study(found)).save(options.output or STATISTICS[options.landmarks])
    sys.stdout.write(
        f"{len(study.found)} pictures, {study.found.mean():.1%} found, "
        f"{study.right_side.sum() / study.found.sum():.1%} of these on their side\n"
    )
    return 0
