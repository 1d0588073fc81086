"""The module tells the expected error of each landmark from the landmark network's features."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.networks.landmark_error import LandmarkErrorNetwork, pooled_features
from hand_pose_ros.networks.orientation.features import NETWORK
from hand_pose_ros.networks.registry import LANDMARK_ERROR, load_network, shipped_weights
from hand_pose_ros.pose import Detection

_LOGGER = logging.getLogger(__name__)


class LandmarkErrors:
    """Runs the landmark error network, on the CPU: it has 18,000 weights."""

    def __init__(self, network: LandmarkErrorNetwork) -> None:
        self._network = network

    @torch.inference_mode()
    def expected(self, detections: Sequence[Detection]) -> Tensor | None:
        """Return the expected distances (n, 21) of the landmarks from their true places, in half extents.

        NaN for hands whose detector has no features of ``hand_landmark_full.tflite``; None if there is no other.
        """
        rows, features = [], []
        for row, one in enumerate(detections):
            if one.crop is not None and one.crop.network == NETWORK:
                rows.append(row)
                features.append(one.crop.features)
        if not rows:
            return None
        pooled = pooled_features(torch.from_numpy(np.stack(features)).float())
        expected = torch.full((len(detections), hand.NUM_JOINTS), torch.nan)
        expected[torch.tensor(rows)] = self._network(pooled).exp()
        return expected


def load_landmark_errors(path: str) -> LandmarkErrors | None:
    """Load the network.

    Args:
        path: weight file; '' for the shipped weights. If these are missing there is no network, and a warning.

    Raises:
        ValueError: the file is missing, damaged or of another network.
    """
    try:
        weights = path or shipped_weights(LANDMARK_ERROR)
    except FileNotFoundError as error:
        _LOGGER.warning("covariances do not contain the expected error of the landmarks: %s", error)
        return None
    return LandmarkErrors(load_network(weights, LANDMARK_ERROR).network)
