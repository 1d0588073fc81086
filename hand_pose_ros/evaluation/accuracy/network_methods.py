"""Makes methods of networks: the baseline without diffusion, and the diffusion without its IK head."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.estimator.diffusion.batch import lift
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.placement import place_hands
from hand_pose_ros.evaluation.methods import Method, Prediction
from hand_pose_ros.evaluation.network_input import NetworkInput, network_input
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.diffusion.baseline import HandRegressor
from hand_pose_ros.networks.diffusion.sampling import HandDenoiser
from hand_pose_ros.networks.hand_head import HandParameters


def baseline_method(network: HandRegressor, hand_size_m: float | None = None) -> Method:
    """Return the method that regresses one valid hand and places it as the estimator does."""

    @torch.inference_mode()
    def method(observations: Sequence[Observation]) -> Prediction:
        return _placed(observations, network, hand_size_m)

    return method


def unet_method(denoiser: HandDenoiser, config: DiffusionEstimatorConfig) -> Method:
    """Return the method D: the mean of the U-Net's samples, placed as the estimator does."""

    @torch.inference_mode()
    def method(observations: Sequence[Observation]) -> Prediction:
        def mean(condition: KeypointCondition) -> Tensor:
            return lift(denoiser, condition, config.samples, config.steps, config.seed).unet.mean(1)

        return _placed(observations, mean, config.hand_size_m)

    return method


def _placed(
    observations: Sequence[Observation],
    network: Callable[[KeypointCondition], HandParameters | Tensor],
    hand_size_m: float | None,
) -> Prediction:
    given = network_input(observations)
    output = network(given.condition)
    joints = output if isinstance(output, Tensor) else output.joints
    placed, size = _in_camera(observations, given, joints, hand_size_m)
    prediction = Prediction.of_joints(_all(placed, given, observations), _all(size, given, observations))
    if isinstance(output, Tensor):
        return prediction
    return Prediction(
        prediction.joints_m,
        prediction.size_m,
        _all(output.angles, given, observations),
        _all(output.proportions, given, observations),
        prediction.covariance_m2,
    )


def _in_camera(
    observations: Sequence[Observation], given: NetworkInput, joints: Tensor, hand_size_m: float | None
) -> tuple[Tensor, Tensor]:
    """Return joints (n, 21, 3) in the camera frame, metres, and the sizes (n,) of the hands."""
    placed = place_hands(joints, given.view.points, given.view.half_extent, hand_size_m)
    in_camera = placed.joints @ given.view.rotation.double()
    left = [observations[row].detection.side == "left" for row in given.rows.tolist()]
    in_camera[torch.tensor(left), :, 0] *= -1
    return in_camera, placed.scale


def _all(values: Tensor, given: NetworkInput, observations: Sequence[Observation]) -> np.ndarray:
    """Spread values (n, ...) to all observations; those that could not be lifted get NaN."""
    spread = np.full((len(observations), *values.shape[1:]), np.nan)
    spread[given.rows.numpy()] = values.double().numpy()
    return spread
