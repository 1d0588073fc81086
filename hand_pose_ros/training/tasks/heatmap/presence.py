"""Losses and validation of the head that tells whether a crop shows a hand, and a right one.

Crops of hands are mirrored at random, so both sides occur. Crops without a hand show what is beside one, or a hand
that is much smaller than expected.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.hand_images.augmentation.augment import AugmentationConfig
from hand_pose_ros.hand_images.shards import HandImages
from hand_pose_ros.networks.heatmap.network import HeatmapNetwork, network_images
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig
from hand_pose_ros.synthetic.detector.noise import DetectorNoise
from hand_pose_ros.training.tasks.images.batches import ImageDataOptions, ImageSource, observed_batch
from hand_pose_ros.training.tasks.images.negatives import off_the_hand

ABSENT: Final = {"beside": 0.85, "wide": 0.15}
"""Kinds of crops without a hand and their shares, see :mod:`hand_pose_ros.training.tasks.images.negatives`."""
_BATCH: Final = 32


def presence_terms(logits: Tensor, hands: int, right: Tensor, weight: Tensor) -> dict[str, Tensor]:
    """Return the cross-entropies of presence and side, nats.

    Args:
        logits: (n + k, 2) of a hand and of a right one; the first n crops show a hand. hands: n. right: (n,) bool.
        weight: (n,) of the labels, for the side; what is doubtful may still show a hand.
    """
    present = (torch.arange(len(logits), device=logits.device) < hands).float()
    share = present.mean()
    balance = torch.where(present > 0, 0.5 / share.clamp(min=1e-6), 0.5 / (1 - share).clamp(min=1e-6))
    presence = binary_cross_entropy_with_logits(logits[:, 0], present, balance)
    side = binary_cross_entropy_with_logits(logits[:hands, 1], right.float(), reduction="none")
    return {"presence": presence, "side": (side * weight).sum() / weight.sum().clamp(min=1e-6)}


def mirrored_at_random(images: Tensor, hands: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror about half of the crops (n + k, 3, s, s); return them and which of the first n are not mirrored."""
    kept = torch.rand(len(images), generator=generator).to(images.device) < 0.5
    return torch.where(kept[:, None, None, None], images, images.flip(-1)), kept[:hands]


class PresenceValidation:
    """Evaluates the head on the stored views of held-back images, their mirror images, and crops without a hand.

    ``*_recall``: share of the hands with a probability of at least 0.5. ``*_false``: the same share of the crops
    without a hand. ``*_side``: share of the hands whose side is right.
    """

    def __init__(self, options: ImageDataOptions, crops: ImageEncoderConfig, source: ImageSource) -> None:
        """``crops``: defines the crops."""
        self._options = replace(options, augmentation=AugmentationConfig.none(), detector_views=1.0)
        self._crops, self._source = crops, source
        self._images: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    @torch.no_grad()
    def __call__(self, model: HeatmapNetwork) -> dict[str, float]:
        """Evaluate ``model``."""
        figures: dict[str, float] = {}
        for name, hands in self._source.held_back.items():
            if name not in self._images:
                self._images[name] = self._made(hands)
            of_hands, absent = self._images[name]
            right = self._probabilities(model, of_hands)
            left = self._probabilities(model, of_hands[:, :, ::-1])
            figures |= {
                f"{name}_recall": float((torch.cat((right, left))[:, 0] >= 0.5).float().mean()),
                f"{name}_false": float((self._probabilities(model, absent)[:, 0] >= 0.5).float().mean()),
                f"{name}_side": float(torch.cat((right[:, 1] >= 0.5, left[:, 1] < 0.5)).float().mean()),
            }
        return figures

    def _made(self, hands: HandImages) -> tuple[np.ndarray, np.ndarray]:
        """Make the crops of hands, and as many without one."""
        generator = np.random.default_rng(Seed.IMAGE_VALIDATION)
        absent = off_the_hand(
            hands, self._options.augmentation, generator, self._crops.size_px, self._crops.margin, ABSENT
        )
        batch = observed_batch(hands, self._options, self._crops, DetectorNoise(), generator)
        return batch.crops.numpy(), absent

    def _probabilities(self, model: HeatmapNetwork, crops: np.ndarray) -> Tensor:
        device = next(model.parameters()).device
        parts = [
            model.hand_logits(network_images(np.ascontiguousarray(crops[start : start + _BATCH]), device))
            for start in range(0, len(crops), _BATCH)
        ]
        return torch.cat(parts).float().sigmoid().cpu()
