"""Labelled hands as the networks get them: canonical views and conditions of those that can be lifted."""

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
    """n of N observations as the networks get them.

    rows: (n,) which ones; the others cannot be lifted. view, condition: of these.
    """

    rows: Tensor
    view: KeypointView
    condition: KeypointCondition


def network_input(observations: Sequence[Observation]) -> NetworkInput:
    """The canonical views and conditions of those observations that the networks can take.

    Raises:
        ValueError: none of them can be taken.
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
