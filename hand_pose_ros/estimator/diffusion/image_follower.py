"""Follows a hand by the estimator's own image encoder: no detector of landmarks runs while it is in view."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch

from hand_pose_ros.camera.hand_crop import hand_crop
from hand_pose_ros.camera.keypoint_view import view_keypoints, view_rays
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.estimator.keypoint_input import MAX_HALF_EXTENT, mirrored_rays
from hand_pose_ros.networks.diffusion.sampling import HandImageDenoiser
from hand_pose_ros.pose import Detection, Frame

_BOX_MARGIN: Final = 0.1


class ImageFollower:
    """Where the joints of a hand are, given where they are expected.

    The crop is cut where the hand should be, as the estimator will cut its own around what is found here.
    """

    def __init__(self, network: HandImageDenoiser, min_presence: float = 0.5) -> None:
        """``min_presence``: probability that the crop shows the hand, below which it counts as lost."""
        self._network = network
        self._least = min_presence

    @torch.inference_mode()
    def find(self, frame: Frame, expected_px: np.ndarray, side: str) -> Detection | None:
        """The hand, or None if it is not there.

        Args:
            expected_px: (21, 2) where its joints should be.
        """
        expected = torch.from_numpy(np.asarray(expected_px, dtype=np.float64))
        view = view_keypoints(mirrored_rays(frame.camera, expected, side)[None])
        half_extent = float(view.half_extent)
        if not bool(view.points.isfinite().any()) or not half_extent <= MAX_HALF_EXTENT:
            return None
        crops = self._network.crops
        crop = hand_crop(
            frame.image_bgr,
            frame.camera,
            view.rotation[0],
            half_extent,
            side,
            crops.size_px,
            crops.margin,
        )
        seen, _ = self._network.encode_crops(crop[None], view.half_extent.float())
        presence = 1 / (1 + math.exp(-float(seen.presence[0])))
        if presence < self._least:
            return None
        flip = torch.tensor((-1.0 if side == "left" else 1.0, 1.0, 1.0), dtype=torch.float64)
        found = frame.camera.project(view_rays(view, seen.points.double().cpu())[0] * flip).numpy()
        if not np.isfinite(found).all():
            return None
        return Detection(
            side=side,
            score=presence,
            box_px=box_around(found, _BOX_MARGIN),
            landmarks_px=found,
            landmark_scores=_scores(seen.sigma[0].double().cpu().numpy()),
        )


def _scores(sigma: np.ndarray) -> np.ndarray:
    """(21,) in (0, 1]: one for joints that are seen exactly, a half for those off by a tenth of the hand."""
    return 1 / (1 + sigma / 0.2)
