"""The task trains the baseline without diffusion and its image encoder on hand images (paper, 2.2)."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.diffusion.image_baseline import HandImageRegressor, HandImageRegressorConfig
from hand_pose_ros.networks.diffusion.image_network import warm_start
from hand_pose_ros.networks.registry import IMAGE_HAND_DIFFUSION, IMAGE_HAND_REGRESSOR
from hand_pose_ros.networks.weights import load_weights
from hand_pose_ros.training.tasks.hand_losses import Targets, hand_losses
from hand_pose_ros.training.tasks.images.task import ImageLifting, ImageLiftingOptions, with_projection

_ENCODER = "image."  # prefix of the encoder in both networks


class ImageRegressionLifting(ImageLifting):
    """The task trains :class:`HandImageRegressor` with the data and the hand losses of the diffusion."""

    model: HandImageRegressor

    def __init__(self, options: ImageLiftingOptions) -> None:
        """``options.network``: fields of ``HandImageRegressorConfig``; a warm start sets those of the encoder.

        Raises:
            ValueError: the weights of the warm start have no image encoder.
        """
        super().__init__(options)
        network, loaded = with_projection(options), None
        if options.warm_start:
            loaded = load_weights(options.warm_start, IMAGE_HAND_DIFFUSION, IMAGE_HAND_REGRESSOR)
            network["image"] = loaded.config["image"] | network.get("image", {})
        self.model = HandImageRegressor(HandImageRegressorConfig.from_dict(network))
        if loaded is not None:
            own = {n.removeprefix(_ENCODER): t for n, t in loaded.tensors.items() if n.startswith(_ENCODER)}
            warm_start(self.model.image, replace(loaded, tensors=own))
        self._start()

    def _pose_losses(
        self, keypoints: KeypointCondition, image: Tensor, truth: Targets, _generator: torch.Generator
    ) -> dict[str, Tensor]:
        return hand_losses(self.model.regressor(keypoints, image), truth, self.options.losses)

    def _estimate(
        self, model: HandImageRegressor, keypoints: KeypointCondition | None, image: Tensor | None
    ) -> Tensor:
        return model.regressor(keypoints, image).joints
