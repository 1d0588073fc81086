"""The module tracks a hand by the estimator's image encoder, without a landmark detector."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch

from hand_pose_ros.camera.hand_crop import hand_crops
from hand_pose_ros.camera.pixel_view import pixels_of_view, view_of_pixels
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.finders import FoundHand, LandmarkFinder, Palm
from hand_pose_ros.networks.diffusion.sampling import HandImageDenoiser
from hand_pose_ros.pose import Detection, Frame, SeenHand

_BOX_MARGIN: Final = 0.1


class ImageFollower:
    """A :class:`~hand_pose_ros.detection.finders.LandmarkFinder`; its score is the presence of a hand.

    The crop is cut at the expected joints. The detection carries the encoding of the crop.
    """

    def __init__(self, network: HandImageDenoiser, beginning: LandmarkFinder) -> None:
        """``beginning``: finds the landmarks of new hands, of which only the palm is known."""
        self._network = network
        self._beginning = beginning

    def in_palm(self, frame: Frame, palm: Palm) -> FoundHand | None:
        """See :class:`~hand_pose_ros.detection.finders.LandmarkFinder`."""
        return self._beginning.in_palm(frame, palm)

    @torch.inference_mode()
    def near(
        self, frame: Frame, expected_px: np.ndarray, side: str, is_sure: bool = True
    ) -> FoundHand | None:
        """See :class:`~hand_pose_ros.detection.finders.LandmarkFinder`; the given side is assumed."""
        del is_sure
        view = view_of_pixels(frame.camera, expected_px, side)
        if view is None:
            return None
        crops = self._network.crops
        crop = hand_crops(frame.image_bgr, frame.camera, view, [side], crops.size_px, crops.margin)
        seen, features = self._network.encode_crops(crop, view.half_extent.float())
        points = seen.points.double().cpu()
        presence = 1 / (1 + math.exp(-float(seen.presence[0])))
        found = pixels_of_view(frame.camera, view, points, side)
        if found is None:
            return None
        detection = Detection(
            side=side,
            score=presence,
            box_px=box_around(found, _BOX_MARGIN),
            landmarks_px=found,
            landmark_scores=_scores(seen.sigma[0].double().cpu().numpy()),
            seen=SeenHand(
                self._network,
                side,
                to(view._replace(points=points), torch.float32),
                features,
                seen.log_heat,
            ),
        )
        return FoundHand(detection, right=0.5)


def _scores(sigma: np.ndarray) -> np.ndarray:
    """Scores (21,) in (0, 1]: 1 for an exact joint, 0.5 for an expected error of 0.2 half extents."""
    return 1 / (1 + sigma / 0.2)
