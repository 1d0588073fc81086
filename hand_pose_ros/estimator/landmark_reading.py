"""Takes the landmarks, depths and errors of a 2.5D network into conditions and covariances."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.detection.own.landmarks import HeatmapLandmarks
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.registry import HAND_HEATMAP, shipped_weights
from hand_pose_ros.networks.runtime.heatmap import load_heatmap_network
from hand_pose_ros.pose import Detection

_LOGGER = logging.getLogger(__name__)


def load_heatmap_landmarks(path: str, backend: str, device: str) -> HeatmapLandmarks | None:
    """Load the network that reads landmarks.

    Args:
        path: weight file; '' for the shipped weights. If these are missing there is no network, and a warning.

    Raises:
        ValueError: as for ``load_heatmap_network``, or the network does not state whether it sees a hand.
    """
    try:
        weights = path or shipped_weights(HAND_HEATMAP)
    except FileNotFoundError as error:
        _LOGGER.warning("hands are estimated and followed with the detector's own landmarks: %s", error)
        return None
    return open_heatmap_landmarks(weights, backend, device)


def open_heatmap_landmarks(path: str | Path, backend: str, device: str) -> HeatmapLandmarks:
    """Load the network as :func:`load_heatmap_landmarks` does, where nothing goes on without it.

    Raises:
        FileNotFoundError: the shipped weights are missing.
        ValueError: as for ``load_heatmap_landmarks``.
    """
    weights = path or shipped_weights(HAND_HEATMAP)
    return HeatmapLandmarks(load_heatmap_network(weights, backend, device, threads=1), in_3d=False)


def read_depths(condition: KeypointCondition, detections: Sequence[Detection]) -> KeypointCondition:
    """Return a condition, fields (n, ...), with the depths that were read of the same n hands; others stay."""
    read = [row for row, one in enumerate(detections) if one.read is not None]
    if not read:
        return condition
    depths = np.stack([one.read.depth for one in detections if one.read is not None])
    at = torch.tensor(read, device=condition.depth.device)
    return condition._replace(
        depth=condition.depth.index_copy(0, at, torch.from_numpy(depths).to(condition.depth))
    )


def read_errors(errors: Tensor | None, detections: Sequence[Detection]) -> Tensor | None:
    """Return the expected errors (n, 21) of the landmarks, half extents, with those that were read.

    Args:
        errors: of the same n hands, told otherwise; None if nothing tells any.
    """
    read = [row for row, one in enumerate(detections) if one.read is not None]
    if not read:
        return errors
    if errors is None:
        errors = torch.full((len(detections), hand.NUM_JOINTS), torch.nan)
    stated = np.stack([one.read.error for one in detections if one.read is not None])
    return errors.index_copy(0, torch.tensor(read), torch.from_numpy(stated).to(errors))
