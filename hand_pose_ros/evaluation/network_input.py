"""Converts labelled hands to the input of the networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.common.named_tensors import cat
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.estimator.keypoint_input import keypoint_input, why_not
from hand_pose_ros.networks.condition import KeypointCondition


class NetworkInput(NamedTuple):
    """Input of the networks for n of N observations.

    rows: (n,) indices of these observations; the others cannot be lifted. view, condition: of these.
    """

    rows: Tensor
    view: KeypointView
    condition: KeypointCondition


def network_input(observations: Sequence[Observation]) -> NetworkInput:
    """Return the canonical views and conditions of the observations that can be lifted.

    Raises:
        ValueError: none of them can be lifted.
    """
    taken, views, conditions = [], [], []
    for row, observation in enumerate(observations):
        try:
            if why_not(observation.detection, observation.camera):
                continue
            view, condition = keypoint_input(observation.camera, observation.detection)
        except ValueError:
            continue
        taken.append(row)
        views.append(view)
        conditions.append(condition)
    if not taken:
        raise ValueError("none of the hands has keypoints that can be lifted")
    return NetworkInput(torch.tensor(taken), cat(views), cat(conditions))
