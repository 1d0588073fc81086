"""The module validates 2.5D networks on held-back images, cut as at run time and not augmented."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.hand_images.augmentation.augment import AugmentationConfig
from hand_pose_ros.networks.heatmap.config import FAST, LATENT
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork, network_images
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig
from hand_pose_ros.synthetic.detector.noise import DetectorNoise
from hand_pose_ros.training.tasks.heatmap.losses import REFERENCE_PX, PoseTruth
from hand_pose_ros.training.tasks.images.batches import (
    ImageBatch,
    ImageDataOptions,
    ImageSource,
    observed_batch,
)

_BATCH: Final = 16


class HeatmapValidation:
    """The validation evaluates a network on the same images every time.

    ``*_epe_px``: mean distance of the points of joints inside the crop, pixels of a 128 px crop. ``*_depth``: mean
    absolute error of the depths of known joints but the root, in lengths of the network's bone. ``beta_ratio``:
    largest beta of a joint divided by the least, of latent read-outs.
    """

    def __init__(self, options: ImageDataOptions, crops: ImageEncoderConfig, source: ImageSource) -> None:
        """``crops``: defines the crops."""
        self._options = replace(options, augmentation=AugmentationConfig.none(), detector_views=1.0)
        self._crops, self._source, self._noise = crops, source, DetectorNoise()
        self._batches: dict[str, ImageBatch] = {}

    @torch.no_grad()
    def __call__(self, model: HeatmapNetwork) -> dict[str, float]:
        """Evaluate ``model``, in evaluation mode."""
        figures, device = {}, next(model.parameters()).device
        for name, hands in self._source.held_back.items():
            if name not in self._batches:
                generator = np.random.default_rng(Seed.IMAGE_VALIDATION)
                self._batches[name] = observed_batch(
                    hands, self._options, self._crops, self._noise, generator
                )
            figures |= {f"{name}_{what}": value for what, value in self._figures(model, name, device).items()}
        if model.config.variant in (LATENT, FAST):
            figures["beta_ratio"] = float(model.beta.max() / model.beta.min())
        return figures

    def _figures(self, model: HeatmapNetwork, name: str, device: torch.device) -> dict[str, float]:
        batch = to(self._batches[name], device)
        parts = [model(network_images(crops, device))[:2] for crops in batch.crops.split(_BATCH)]
        points, depth = (torch.cat(one) for one in zip(*parts, strict=True))
        truth = PoseTruth.of_batch(batch, model.config)
        epe = (points - truth.points).norm(dim=-1)[truth.inside].mean() * (REFERENCE_PX / 2)
        joints = torch.arange(hand.NUM_JOINTS, device=device) != hand.WRIST
        return {"epe_px": float(epe), "depth": _mean_known((depth - truth.depth).abs()[:, joints])}


def _mean_known(values: Tensor) -> float:
    known = values[values.isfinite()]
    return float(known.mean()) if len(known) else float("nan")
