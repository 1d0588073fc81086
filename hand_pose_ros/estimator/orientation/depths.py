"""Replaces a detector's relative depths by those that the orientation network tells from the image."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import torch

from hand_pose_ros.estimator.orientation.backends import RunnableOrientation, load_orientation_network
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.orientation.features import NETWORK
from hand_pose_ros.networks.registry import HAND_ORIENTATION, shipped_weights
from hand_pose_ros.pose import Detection

_LOGGER = logging.getLogger(__name__)
_WITHOUT = "hands are estimated with the detector's own depths"


class ImageDepths:
    """Gives conditions the network's depths; hands without features keep those of their detector."""

    def __init__(self, network: RunnableOrientation) -> None:
        self._network = network
        self._told = False

    def in_place(self, condition: KeypointCondition, detections: Sequence[Detection]) -> KeypointCondition:
        """Return the condition with the network's depths in place of the detector's; missing ones stay missing.

        Args:
            condition: of n hands, fields (n, ...). detections: of the same hands.
        """
        index, features, signs = [], [], []
        for row, one in enumerate(detections):
            if one.crop is not None and one.crop.network == NETWORK:
                index.append(row)
                features.append(one.crop.features)
                signs.append(1.0 if one.side == "right" else -1.0)
        if len(index) < len(detections) and not self._told:
            self._told = True
            _LOGGER.warning(
                "%s: only hand_landmark_full.tflite (the detector 'mediapipe' with model_complexity 1) has the "
                "features that tell them",
                _WITHOUT,
            )
        if not index:
            return condition
        told = self._network.depths(torch.from_numpy(np.stack(features)), torch.tensor(signs))
        told = told.to(condition.depth)
        known = condition.points[index].isfinite().all(-1)
        told = torch.where(known, told, torch.full_like(told, torch.nan))
        at = torch.tensor(index, device=told.device)
        return condition._replace(depth=condition.depth.index_copy(0, at, told))


def load_image_depths(path: str, backend: str, device: str) -> ImageDepths | None:
    """Load the network.

    Args:
        path: weight file; '' for the shipped weights. If these are missing there is no network, and a warning.

    Raises:
        ValueError: as for ``load_orientation_network``.
    """
    try:
        weights = path or shipped_weights(HAND_ORIENTATION)
    except FileNotFoundError as error:
        _LOGGER.warning("%s: %s", _WITHOUT, error)
        return None
    return ImageDepths(load_orientation_network(weights, backend, device))
