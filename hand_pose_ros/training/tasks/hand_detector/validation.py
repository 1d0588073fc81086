"""The module scores a detector's hands against those of scenes: found, false, side, and error of the joints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch

from hand_pose_ros.hand_images.scenes.compose import Scene, SceneHands
from hand_pose_ros.networks.hand_detector.decoding import HandCandidates, decode, distinct
from hand_pose_ros.networks.hand_detector.network import HandDetector
from hand_pose_ros.networks.heatmap.network import network_images
from hand_pose_ros.training.tasks.hand_detector.targets import extents, wanted

_BATCH: Final = 16
_SAME_HAND: Final = 0.35  # mean distance of the joints, as a share of the hand's extent
_THRESHOLDS: Final = (0.2, 0.3, 0.4, 0.5, 0.6)
_LEAST_SCORE: Final = 0.05


class _Matches(NamedTuple):
    """Score (n,) of all hands found; hand (n,) whether each is a hand; right_side (n,), error (n,) of these."""

    score: np.ndarray
    hand: np.ndarray
    right_side: np.ndarray
    error: np.ndarray


class DetectorValidation:
    """Evaluates a network on the same scenes every time.

    ``recall`` and ``false_per_image`` at the threshold of the best F1, which is ``threshold``; ``f1``; ``side``,
    share of the found hands with the right side; ``points``, mean distance of their joints, sizes of the hand.
    """

    def __init__(self, scenes: Sequence[Scene]) -> None:
        self._scenes = scenes

    @torch.no_grad()
    def __call__(self, model: HandDetector) -> dict[str, float]:
        """Evaluate ``model``, in evaluation mode."""
        device = next(model.parameters()).device
        matches, total = [], 0
        for start in range(0, len(self._scenes), _BATCH):
            part = self._scenes[start : start + _BATCH]
            images = np.stack([scene.image for scene in part])
            maps = [one.float().cpu().numpy() for one in model(network_images(images, device))]
            for row, scene in enumerate(part):
                found = distinct(decode([one[row] for one in maps], _LEAST_SCORE))
                matches.append(matched(found, scene.hands, model.config.image_size))
                total += int(wanted(scene.hands, model.config.image_size).sum())
        of_all = _Matches(*(np.concatenate(fields) for fields in zip(*matches, strict=True)))
        return _figures(of_all, total, len(self._scenes))


def matched(found: HandCandidates, hands: SceneHands, size_px: int) -> _Matches:
    """Match candidates with the hands of a scene, the best first; those at hands not wanted are left out."""
    is_wanted, extent = wanted(hands, size_px), extents(hands.points)
    free = np.ones(len(extent), bool)
    rows = []
    for score, right, points in zip(*found, strict=True):
        error = np.linalg.norm(hands.points - (points - 0.5), axis=-1).mean(-1) / np.maximum(extent, 1e-6)
        error = np.where(free, error, np.inf)
        best = int(error.argmin()) if len(error) else -1
        if best < 0 or error[best] > _SAME_HAND:
            rows.append((score, False, False, np.nan))
            continue
        free[best] = False
        if is_wanted[best]:
            rows.append((score, True, (right >= 0.5) == hands.right[best], error[best]))
    if not rows:
        return _Matches(np.zeros(0), np.zeros(0, bool), np.zeros(0, bool), np.zeros(0))
    score, is_hand, right_side, error = zip(*rows, strict=True)
    return _Matches(np.array(score), np.array(is_hand), np.array(right_side), np.array(error))


def _figures(matches: _Matches, total: int, images: int) -> dict[str, float]:
    best: dict[str, float] = {}
    for threshold in _THRESHOLDS:
        chosen = matches.score >= threshold
        right = chosen & matches.hand
        f1 = 2 * right.sum() / max(chosen.sum() + total, 1)
        if not best or f1 > best["f1"]:
            best = {
                "f1": float(f1),
                "threshold": threshold,
                "recall": float(right.sum() / max(total, 1)),
                "false_per_image": float((chosen & ~matches.hand).sum() / max(images, 1)),
                "side": float(matches.right_side[right].mean()) if right.any() else 0.0,
                "points": float(matches.error[right].mean()) if right.any() else 1.0,
            }
    return best
