"""The module makes the conditions of the diffusion network from landmarks, crops, or both."""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros.camera.hand_crop import hand_crops
from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.common.named_tensors import cat, rows, to
from hand_pose_ros.estimator.diffusion.backends import takes_images
from hand_pose_ros.estimator.keypoint_input import keypoint_input, view_in_box, why_not
from hand_pose_ros.networks.condition import KeypointCondition, unknown_keypoints
from hand_pose_ros.networks.diffusion.sampling import HandDenoiser
from hand_pose_ros.networks.image.image_encoder import ImageFeatures
from hand_pose_ros.pose import Detection, Frame, SeenHand

CONDITIONS: Final = ("auto", "image", "keypoints", "both")
"""'auto' uses the landmarks if the detector gives them, and the image if the weights take it."""


class HandConditions(NamedTuple):
    """Conditions of n hands; left hands are mirrored.

    view: (n, ...) their views, whose points place the hands. keypoints: NaN for hands without landmarks.
    image: (n, image_features), None if the image is not used.
    log_heat: (n, 21, h, w) logarithms of the encoder's heatmaps over the crops; None if the image is not used.
    """

    view: KeypointView
    keypoints: KeypointCondition
    image: Tensor | None
    log_heat: Tensor | None


class _SeenCrops(NamedTuple):
    """The encoder's output for n hands: points (n, 21, 2), conditions (n, k) and maps (n, 21, h, w)."""

    points: Tensor
    condition: Tensor
    log_heat: Tensor


class ConditionMaker:
    """Makes conditions for one network from the inputs that ``condition`` names."""

    def __init__(self, denoiser: HandDenoiser, condition: str) -> None:
        """``condition``: one of :data:`CONDITIONS`.

        Raises:
            ValueError: an unknown condition, or one that the network does not take.
        """
        if condition not in CONDITIONS:
            raise ValueError(f"condition must be one of {CONDITIONS}, got {condition!r}")
        self._network = denoiser if takes_images(denoiser) else None
        if condition in ("image", "both") and self._network is None:
            raise ValueError(
                f"condition {condition!r} needs weights with an image encoder (kind 'image_hand_diffusion')"
            )
        self._condition = condition
        self._uses_image = self._network is not None and condition != "keypoints"

    def view(self, frame: Frame, detection: Detection) -> tuple[KeypointView, KeypointCondition]:
        """Return the view and the keypoint condition of one hand, with a leading dimension of 1.

        Raises:
            ValueError: the hand cannot be estimated; the message says why.
        """
        reason = why_not(detection, frame.camera)
        if not reason:
            if (seen := self._earlier(detection)) is not None:
                return seen.view, unknown_keypoints(seen.view.half_extent)
            view, keypoints = keypoint_input(frame.camera, detection)
            return view, unknown_keypoints(view.half_extent) if self._condition == "image" else keypoints
        if detection.landmarks_px is not None or not self._uses_image or self._condition == "both":
            raise ValueError(reason)
        view = view_in_box(frame.camera, detection, partial(self._points_in, frame, detection.side))
        view = to(view, torch.float32)
        return view, unknown_keypoints(view.half_extent)

    def conditions(
        self,
        frame: Frame,
        detections: list[Detection],
        views: list[tuple[KeypointView, KeypointCondition]],
    ) -> HandConditions:
        """Make the conditions of hands from their ``views``, see :meth:`view`."""
        view = cat([one for one, _ in views])
        keypoints = cat([one for _, one in views])
        if not self._uses_image:
            return HandConditions(view, keypoints, None, None)
        seen = self._seen(frame, detections, view)
        without = ~keypoints.points.isfinite().any(-1).any(-1)
        points = torch.where(without[:, None, None], seen.points.to(view.points), view.points)
        return HandConditions(view._replace(points=points), keypoints, seen.condition, seen.log_heat)

    def _earlier(self, detection: Detection) -> SeenHand | None:
        """Return the earlier encoding of a hand by this network, if the image is the only input."""
        seen = detection.seen if self._condition == "image" else None
        fits = seen is not None and seen.encoder is self._network and seen.side == detection.side
        return seen if fits else None

    def _seen(self, frame: Frame, detections: list[Detection], view: KeypointView) -> _SeenCrops:
        """Encode the views. Hands that have been encoded already keep their encoding."""
        earlier = [self._earlier(one) for one in detections]
        new = [row for row, one in enumerate(earlier) if one is None]
        seen = [
            _SeenCrops(view.points[row, None], one.features, one.log_heat)
            for row, one in enumerate(earlier)
            if one is not None
        ]
        if new:
            sides = [detections[row].side for row in new]
            encoded, condition = self._encode(frame, sides, rows(view, new))
            here = _SeenCrops(encoded.points, condition, encoded.log_heat)
            if not seen:
                return here
            seen = [one._replace(points=one.points.to(here.points)) for one in seen]
            for number, row in enumerate(new):
                seen.insert(row, rows(here, slice(number, number + 1)))
        return cat(seen)

    def _points_in(self, frame: Frame, side: str, view: KeypointView) -> Tensor:
        """Return the points (1, 21, 2) that the encoder finds in a view."""
        seen, _ = self._encode(frame, [side], view)
        return seen.points.double().cpu()

    def _encode(self, frame: Frame, sides: list[str], view: KeypointView) -> tuple[ImageFeatures, Tensor]:
        network = self._network
        assert network is not None
        size_px, margin = network.crops.size_px, network.crops.margin
        crops = hand_crops(frame.image_bgr, frame.camera, view, sides, size_px, margin)
        return network.encode_crops(crops, view.half_extent)
