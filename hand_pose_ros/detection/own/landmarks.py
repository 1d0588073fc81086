"""The fast 2.5D network follows hands: it finds the landmarks of one hand where its joints are expected."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView, rotation_to_z
from hand_pose_ros.camera.pixel_view import pixels_of_view, view_of_pixels
from hand_pose_ros.camera.root_depth import joints_from_depths
from hand_pose_ros.camera.root_forms import root_closed_form_first
from hand_pose_ros.detection.boxes import box_around
from hand_pose_ros.detection.finders import FoundHand, Palm
from hand_pose_ros.networks.runtime.heatmap import Read2d5, RunnableHeatmap
from hand_pose_ros.networks.runtime.heatmap_crops import read_views
from hand_pose_ros.pose import Detection, Frame, ReadLandmarks

NO_PRESENCE: Final = (
    "the landmark finder needs a 2.5D network that states whether a crop shows a hand: train the weights with "
    "config/training/heatmap/presence.yaml"
)
_SUREST: Final = (0.2, 0.8)  # bounds of the hand detector's likelihood of a right hand, beside the head's
_LEAST_LIKELIHOOD: Final = 1e-3
BOX_MARGIN: Final = 0.1
"""Added on each side of the landmarks' box, as a share of its larger side, unless stated otherwise."""
_DISTANCE_PER_ERROR: Final = math.pi / 2
"""Mean distance of normally distributed points, divided by the mean absolute error of a coordinate."""
_TYPICAL_ERROR: Final = 0.1  # of a joint's place in half extents of the crop; it halves the joint's score


class HeatmapLandmarks:
    """A :class:`~hand_pose_ros.detection.finders.LandmarkFinder`.

    The score is the probability of a hand. ``Detection.read`` has what the network states of the landmarks.
    ``landmarks_m`` follow from the 2.5D pose, at the mean size of adults; they are None without ``in_3d``,
    and where the root depth is not solved.
    """

    def __init__(
        self,
        network: RunnableHeatmap,
        box_margin: float = BOX_MARGIN,
        min_presence: float = 0.0,
        in_3d: bool = True,
    ) -> None:
        """Take the network.

        Args:
            box_margin: added on each side of the landmarks' box, as a share of its larger side.
            min_presence: probability of a hand from which that of a palm counts.
            in_3d: solve for ``landmarks_m``, for those who need more than ``Detection.read``.

        Raises:
            ValueError: the network does not state whether it sees a hand.
        """
        if not network.config.presence:
            raise ValueError(NO_PRESENCE)
        self._network, self._box_margin, self._min_presence = network, box_margin, min_presence
        self._in_3d = in_3d

    def in_palm(self, frame: Frame, palm: Palm) -> FoundHand | None:
        """Find the hand of a palm, whose rough joints must be known; None if no hand is possible or likely there.

        It is read where the detector places it, and then around the points found there, on the likelier side.

        Raises:
            ValueError: the palm has no joints.
        """
        if palm.joints_px is None:
            raise ValueError(
                "the own landmark finder needs palms with rough joints: those of the own detector"
            )
        side = "right" if palm.right >= 0.5 else "left"
        first = self._found(frame, palm.joints_px, side)
        if first is None:
            return None
        # Both look at the same hand, but the head sees it larger: the detector's doubts leave the choice to it.
        odds = _odds(first.right) * _odds(min(max(palm.right, _SUREST[0]), _SUREST[1]))
        side = "right" if odds >= 1 else "left"
        assert first.detection.landmarks_px is not None  # of every hand found
        second = self._found(frame, first.detection.landmarks_px, side)
        return second if second is not None and second.detection.score >= self._min_presence else None

    def near(
        self, frame: Frame, expected_px: np.ndarray, side: str, is_sure: bool = True
    ) -> FoundHand | None:
        """See :class:`~hand_pose_ros.detection.finders.LandmarkFinder`; the crop is mirrored for a left hand."""
        del is_sure
        return self._found(frame, expected_px, side)

    def _found(self, frame: Frame, expected_px: np.ndarray, side: str) -> FoundHand | None:
        view = view_of_pixels(frame.camera, expected_px, side)
        if view is None:
            return None
        found = read_views(self._network, frame.image_bgr, frame.camera, view, [side])
        if not all(bool(one.isfinite().all()) for one in found):
            return None
        points = self._network.config.margin * found.points
        landmarks_px = pixels_of_view(frame.camera, view, points, side)
        if landmarks_px is None:
            return None
        presence, as_assumed = found.hand[0].tolist()
        detection = Detection(
            side=side,
            score=presence,
            box_px=box_around(landmarks_px, self._box_margin),
            landmarks_px=landmarks_px,
            landmarks_m=_landmarks_m(view, points, found, side) if self._in_3d else None,
            landmark_scores=1 / (1 + (found.log_sigma[0].exp() / _TYPICAL_ERROR).numpy()),
            read=ReadLandmarks(
                (found.depth[0] - found.depth[0, hand.WRIST]).numpy(),
                _DISTANCE_PER_ERROR * self._network.config.margin * found.log_sigma[0].exp().numpy(),
            ),
        )
        return FoundHand(detection, as_assumed if side == "right" else 1 - as_assumed)


def _odds(likelihood: float) -> float:
    return max(likelihood, _LEAST_LIKELIHOOD) / max(1 - likelihood, _LEAST_LIKELIHOOD)


def _landmarks_m(view: KeypointView, points: Tensor, found: Read2d5, side: str) -> np.ndarray | None:
    """Return 3D landmarks (21, 3), metres, as ``Detection.landmarks_m``; None if the root depth is not solved."""
    normalised = points * view.half_extent[:, None, None]
    root, _ = root_closed_form_first(normalised, found.depth)
    if not bool(root.valid.all()):
        return None
    joints = joints_from_depths(normalised, found.depth, root.depth)[0]
    # The view is rolled so that the hand points up; a camera that only looks at the hand is not.
    rotation = view.rotation[0].double()
    roll = rotation @ rotation_to_z(rotation[2]).mT
    joints = (joints - joints[hand.WRIST]) @ roll * hand.MEAN_ANCHOR_LENGTH_M
    return (joints * joints.new_tensor((-1.0 if side == "left" else 1.0, 1.0, 1.0))).numpy()
