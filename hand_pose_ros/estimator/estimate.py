"""What an estimator makes of a frame's detections, before hands are smoothed over time and placed in metres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.detection.finders import LandmarkFinder
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.pose import Detection, Frame


@dataclass(frozen=True, eq=False)
class EstimatedHands:
    """n hands of a frame, each a right one (mirrored, if its detection is left) of anchor length 1 in its view.

    detections: all of the frame. rows: (n,) those that were estimated, rising; all fields below are of these.
    reasons: why the others were not estimated, by their row.
    view: fields (n, ...), the canonical views, and the image points that place the hands.
    hands: fields (n, ...).
    samples: fields (n, S, ...) that the hands were made of, with weights (n, S) that sum to 1; None if there are
        none, and then nothing is known of covariances.
    spread_scale: factor on the samples' spread that makes it true.
    hand_size_m: length of the bone wrist -> index MCP, None if not known.
    wrist_m: (n, 3) place of the wrists in the views, of an estimator that knows it; it gives ``hand_size_m``, too.
        None for hands that the image points are to place.
    """

    detections: list[Detection]
    rows: tuple[int, ...] = ()
    reasons: Mapping[int, str] = field(default_factory=dict)
    view: KeypointView | None = None
    hands: HandParameters | None = None
    samples: HandParameters | None = None
    weights: Tensor | None = None
    spread_scale: float = 1.0
    hand_size_m: float | None = None
    wrist_m: Tensor | None = None

    def __post_init__(self) -> None:
        if sorted((*self.rows, *self.reasons)) != list(range(len(self.detections))):
            raise ValueError(
                f"each of {len(self.detections)} detections needs a hand or a reason, got hands for {self.rows} "
                f"and reasons for {tuple(self.reasons)}"
            )
        if self.rows and (self.view is None or self.hands is None):
            raise ValueError("hands need their views")
        if self.wrist_m is not None and self.hand_size_m is None:
            raise ValueError("hands with a place need a size")

    @property
    def known(self) -> tuple[KeypointView, HandParameters]:
        """Views and hands of the n estimated detections.

        Raises:
            ValueError: none was estimated.
        """
        if self.view is None or self.hands is None:
            raise ValueError("no detection was estimated")
        return self.view, self.hands

    @property
    def estimated(self) -> list[Detection]:
        """The n detections that were estimated."""
        return [self.detections[row] for row in self.rows]


class PoseEstimator(Protocol):
    """Estimates detected hands; one frame at a time."""

    def estimate(self, frame: Frame, detections: list[Detection]) -> EstimatedHands:
        """A hand, or the reason why there is none, for each detection."""
        ...

    def finder(self, landmarks: LandmarkFinder) -> LandmarkFinder:
        """The finder by which hands are tracked for this estimator: ``landmarks``, or one of its own around it."""
        ...

    def reset(self) -> None:
        """Forget what was learned from earlier frames."""
        ...
