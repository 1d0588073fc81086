"""The module validates on held-out images: with the image alone, the keypoints alone, and both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.evaluation.images.estimates import encode_crops
from hand_pose_ros.evaluation.metrics import pa_mpjpe
from hand_pose_ros.hand_images.augmentation.augment import AugmentationConfig
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.diffusion.image_baseline import HandImageRegressor
from hand_pose_ros.networks.diffusion.image_network import HandImageDiffusion
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig
from hand_pose_ros.synthetic.detector.noise import DetectorNoise
from hand_pose_ros.training.tasks.images.batches import (
    ImageBatch,
    ImageDataOptions,
    ImageSource,
    observed_batch,
)

_EPE_SIZE_PX = 128  # the errors of image points are stated for crops of this size

ImageNetwork: TypeAlias = HandImageDiffusion | HandImageRegressor
Estimate = Callable[[Any, KeypointCondition | None, Tensor | None], Tensor]
"""(model, keypoints, image condition) -> joints (n, 21, 3) in anchor lengths."""


class ImageValidation:
    """The validation evaluates a model on the same images every time.

    Noisy keypoints define the crops, as at run time; there is no augmentation. ``*_epe_px``: mean error of the
    heatmaps' points, of joints inside the crop, in pixels of a 128 px crop. ``*_mm``: PA-MPJPE of the valid hand.
    """

    def __init__(
        self,
        options: ImageDataOptions,
        encoder: ImageEncoderConfig,
        source: ImageSource,
        noise: DetectorNoise,
    ) -> None:
        self._options = replace(
            options, augmentation=AugmentationConfig.none(), detector_views=1.0, pairs=False
        )
        self._encoder, self._source, self._noise = encoder, source, noise
        self._batches: dict[str, ImageBatch] = {}

    @torch.no_grad()
    def __call__(self, model: ImageNetwork, estimate: Estimate) -> dict[str, float]:
        """Evaluate ``model``, in evaluation mode."""
        figures, device = {}, next(model.parameters()).device
        for name, hands in self._source.held_back.items():
            if name not in self._batches:
                generator = np.random.default_rng(Seed.IMAGE_VALIDATION)
                batch = observed_batch(hands, self._options, self._encoder, self._noise, generator)
                self._batches[name] = to(batch, device)
            of_set = self._figures(model, estimate, self._batches[name])
            figures |= {f"{name}_{what}": value for what, value in of_set.items()}
        return figures

    def _figures(self, model: ImageNetwork, estimate: Estimate, batch: ImageBatch) -> dict[str, float]:
        extent, margin = batch.condition.half_extent, self._encoder.margin
        points, condition = encode_crops(model, batch.crops, extent)
        inside = (batch.points.abs() < margin).all(-1)
        epe = (points - batch.points).norm(dim=-1)[inside].mean() * _EPE_SIZE_PX / (2 * margin)
        figures = {"epe_px": float(epe)}
        given = {
            "image": (None, condition),
            "keypoints": (batch.condition, None),
            "both": (batch.condition, condition),
        }
        for what, conditions in given.items():
            joints = estimate(model, *conditions).cpu().double().numpy()
            errors = pa_mpjpe(joints, batch.joints.cpu().double().numpy())
            figures[f"{what}_mm"] = float(np.nanmean(errors)) * hand.MEAN_ANCHOR_LENGTH_MM
        return figures
