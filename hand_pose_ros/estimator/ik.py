"""The estimator fits the hand to a detector's 2D and 3D landmarks by inverse kinematics."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.detection.finders import LandmarkFinder
from hand_pose_ros.estimator.estimate import EstimatedHands, SolvedWrists
from hand_pose_ros.kinematics.inverse import MIN_JOINTS, HandFit, fit_hand
from hand_pose_ros.kinematics.mirror import mirror_across_camera_x
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.pose import Detection, Frame

_MISFIT = 2.0  # mean residual in standard deviations above which the fit restarts without the last frame


@dataclass(frozen=True)
class IkEstimatorConfig(Options):
    """Options of :class:`IkEstimator`.

    hand_size_m: length of the bone wrist -> index MCP in metres; the mean of adults if None. It sets the scale,
        and with it the distance: a hand that is 5 % larger than assumed is 5 % farther away than estimated.
    """

    landmark_noise_m: float = option(
        0.03,
        "Standard deviation of the detector's 3D landmarks in metres: large, since it guesses their depth.",
        minimum=0.0001,
        maximum=10.0,
    )
    landmark_noise: float = option(
        0.02,
        "Standard deviation of the detector's 2D landmarks, as a fraction of the hand's extent in the image.",
        minimum=0.0001,
        maximum=10.0,
    )
    hand_size_m: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hand_size_m is not None and not 0 < self.hand_size_m < np.inf:
            raise ValueError(f"hand_size_m must be positive and finite, got {self.hand_size_m}")

    def create(self, hand_size_m: float | None, device: str) -> IkEstimator:
        """The estimator, which needs no device."""
        del device
        return IkEstimator(replace(self, hand_size_m=hand_size_m))


class IkEstimator:
    """A :class:`~hand_pose_ros.estimator.estimate.PoseEstimator` without a network.

    It needs a detector that gives 3D landmarks, and takes only the shape of the hand from them: image points and
    camera give the direction, the hand's size gives the distance. The fit of a hand with a track id starts from
    its last frame.
    """

    def __init__(self, config: IkEstimatorConfig | None = None) -> None:
        self._config = config or IkEstimatorConfig()
        self._last: dict[tuple[str, int | None], HandFit] = {}

    def finder(self, landmarks: LandmarkFinder) -> LandmarkFinder:
        """See :class:`~hand_pose_ros.estimator.estimate.PoseEstimator`."""
        return landmarks

    def estimate(self, frame: Frame, detections: list[Detection]) -> EstimatedHands:
        """See :class:`~hand_pose_ros.estimator.estimate.PoseEstimator`.

        Tracked hands start from their last fit, however old it is.
        """
        last, self._last = self._last, {}
        fits: dict[int, HandFit] = {}
        reasons: dict[int, str] = {}
        for row, detection in enumerate(detections):
            track = (detection.side, detection.track_id)
            reason = _why_not(detection)
            if not reason:
                fit = self._fit(frame.camera, detection, last.get(track))
                reason = _why_no_hand(fit)
            if reason:
                reasons[row] = reason
                continue
            fits[row] = fit
            if detection.track_id is not None:
                self._last[track] = fit
        return self._estimated(detections, fits, reasons)

    def reset(self) -> None:
        """Forget the last frame."""
        self._last = {}

    def _estimated(
        self, detections: list[Detection], fits: dict[int, HandFit], reasons: dict[int, str]
    ) -> EstimatedHands:
        """Convert the fitted hands to right hands of anchor length 1 in their canonical views."""
        if not fits:
            return EstimatedHands(detections, reasons=reasons)
        size = self._size_m
        posed = [(fit.frames.joints, fit.frames.rotations) for fit in fits.values()]
        posed = [
            mirror_across_camera_x(*one) if detections[row].side == "left" else one
            for row, one in zip(fits, posed, strict=True)
        ]
        joints, rotations = (torch.stack(values) for values in zip(*posed, strict=True))
        view = view_keypoints(joints)
        joints = joints @ view.rotation.mT
        wrist, rotations = joints[:, hand.WRIST], view.rotation[:, None] @ rotations
        hands = HandParameters(
            torch.stack([fit.angles for fit in fits.values()]),
            torch.stack([fit.proportions for fit in fits.values()]),
            rotations[:, hand.WRIST],
            (joints - wrist[:, None]) / size,
            rotations,
        )
        return EstimatedHands(
            detections,
            tuple(fits),
            reasons,
            view,
            hands,
            hand_size_m=size,
            wrist=SolvedWrists.exact(wrist / size),
        )

    @property
    def _size_m(self) -> float:
        return self._config.hand_size_m or hand.MEAN_ANCHOR_LENGTH_M

    def _fit(self, camera: CameraModel, detection: Detection, start: HandFit | None) -> HandFit:
        config = self._config
        size = self._size_m
        noise_px = config.landmark_noise * _extent_px(detection)
        fit = partial(
            fit_hand,
            _rescaled(torch.from_numpy(detection.landmarks_m).double(), size),
            side=detection.side,
            anchor_length_m=size,
            noise_m=config.landmark_noise_m,
            image_points_px=torch.from_numpy(detection.landmarks_px).double(),
            camera=camera,
            noise_px=noise_px,
            relative=True,
        )
        if start is not None:
            result = fit(start=start)
            assert result.residual_px is not None  # of the image points
            if bool(result.converged) and float(result.residual_px.nanmean()) < _MISFIT * noise_px:
                return result
        return fit()


def _why_not(detection: Detection) -> str:
    """Return why a detection cannot be fitted; empty if it can."""
    if detection.landmarks_px is None or detection.landmarks_m is None:
        return "the detector gives no 3D landmarks, which the inverse kinematics needs"
    known = np.isfinite(detection.landmarks_px).all(1) & np.isfinite(detection.landmarks_m).all(1)
    if known.sum() < MIN_JOINTS:
        return f"only {known.sum()} of 21 landmarks are known, {MIN_JOINTS} are needed"
    return ""


def _extent_px(detection: Detection) -> float:
    """The larger side of the landmarks' bounding box."""
    assert detection.landmarks_px is not None
    spread = np.nanmax(detection.landmarks_px, axis=0) - np.nanmin(detection.landmarks_px, axis=0)
    return max(float(spread.max()), 1.0)


def _rescaled(joints: Tensor, size: float) -> Tensor:
    """Scale joints (..., 21, 3), whose size the detector guessed, to the palm bones of a hand of ``size``."""
    palm = [bone for bone, (parent, _) in enumerate(hand.BONES) if parent == hand.WRIST]
    ends = [hand.BONES[bone][1] for bone in palm]
    lengths = (joints[..., ends, :] - joints[..., :1, :]).norm(dim=-1)
    expected = size * joints.new_tensor([hand.PROPORTIONS[bone][1] for bone in palm])
    return joints * (expected / lengths).nanmedian(-1).values[..., None, None]


def _why_no_hand(fit: HandFit) -> str:
    """Return why a fit is unusable; empty if it is a hand."""
    joints = fit.frames.joints
    if not bool(joints.isfinite().all()):
        return "the landmarks do not determine a hand"
    if not bool((joints[:, 2] > 0).all()):
        return "the landmarks do not fit a hand in front of the camera"
    return ""
