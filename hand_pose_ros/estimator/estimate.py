"""The module defines an estimator and its result for a frame, before smoothing and placement in metres."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from torch import Tensor

from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.detection.finders import LandmarkFinder
from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.pose import Detection, Frame


class SolvedWrists(NamedTuple):
    """Wrists of n hands that an estimator has solved itself, in the hands' views, in anchor lengths.

    position: (n, 3). condition, residual: (n,) as in :class:`~hand_pose_ros.camera.solved_root.RootSolution`, the
    residual in normalised image coordinates; zero where the estimator states none.
    samples: (n, S, 3) wrists of the hands' samples, NaN where one could not be solved; None without samples.
    """

    position: Tensor
    condition: Tensor
    residual: Tensor
    samples: Tensor | None = None

    @classmethod
    def exact(cls, position: Tensor) -> SolvedWrists:
        """Wrists (n, 3) of which no uncertainty is known."""
        nothing = position.new_zeros(position.shape[:-1])
        return cls(position, nothing, nothing)


class HandSurfaces(NamedTuple):
    """Offsets of an estimator's own meshes of n hands from the template that is posed by the hands.

    So the meshes follow the hands where these are smoothed, scaled and placed.

    offset: (n, V, 3) of the vertices, in the wrist's frame, anchor lengths. sigma: (n, V) their standard
    deviation, anchor lengths; NaN where unknown.
    """

    offset: Tensor
    sigma: Tensor


@dataclass(frozen=True, eq=False)
class EstimatedHands:
    """n hands of a frame, each a right one (mirrored, if its detection is left) of anchor length 1 in its view.

    detections: all of the frame. rows: (n,) of the estimated ones, rising; all fields below have these rows.
    reasons: reason for each other row.
    view: fields (n, ...), the canonical views, and the image points that place the hands.
    hands: fields (n, ...).
    samples: fields (n, S, ...) that were fused, with weights (n, S) that sum to 1; None without samples, which
        leaves covariances unknown.
    spread_scale: factor that calibrates the samples' spread.
    hand_size_m: length of the bone wrist -> index MCP that the estimator assumed, None if it assumed none: the
        mean bone lengths of adults then give the scale.
    sizes: of the n hands, which replace the assumed size; None for a hand of unknown size. None for all hands as
        the estimator assumed.
    wrist: from an estimator that solves the wrists; None if the image points place the hands.
    counts: counters of the estimator since its start, by name, for diagnostics.
    landmark_error: (n, 21) expected distance of each image point from its true place, in half extents of the view;
        NaN where unknown, None if it is known of no hand.
    surfaces: of the n hands, from an estimator that gives meshes.
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
    wrist: SolvedWrists | None = None
    sizes: tuple[HandSize | None, ...] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    landmark_error: Tensor | None = None
    surfaces: HandSurfaces | None = None

    def __post_init__(self) -> None:
        if sorted((*self.rows, *self.reasons)) != list(range(len(self.detections))):
            raise ValueError(
                f"each of {len(self.detections)} detections needs a hand or a reason, got hands for {self.rows} "
                f"and reasons for {tuple(self.reasons)}"
            )
        if self.rows and (self.view is None or self.hands is None):
            raise ValueError("hands need their views")
        if self.sizes is not None and len(self.sizes) != len(self.rows):
            raise ValueError(f"{len(self.rows)} hands need as many sizes, got {len(self.sizes)}")

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
        """Estimate a hand, or give the reason for its absence, for each detection."""
        ...

    def finder(self, landmarks: LandmarkFinder) -> LandmarkFinder:
        """Return the finder that tracks hands for this estimator: ``landmarks``, or a wrapper of it."""
        ...

    def reset(self) -> None:
        """Forget earlier frames."""
        ...
