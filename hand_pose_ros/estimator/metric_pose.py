"""Scale-normalised hands in the canonical view -> metres in the camera's frame, with covariances."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.root_position import root_from_pose
from hand_pose_ros.camera.root_solution import Reason, RootSolution
from hand_pose_ros.camera.scale import scale_from_mean_lengths
from hand_pose_ros.estimator.diffusion.fusion import rotation_vectors, weighted_covariance
from hand_pose_ros.kinematics.mirror import mirror_across_camera_x
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.pose import Detection, HandPose

POPULATION_SPREAD: Final = 0.065
"""Standard deviation of adults' hand size, as a share of the mean."""
COMMON_SPREAD: Final = 0.035
"""Standard deviation, in anchor lengths, of what the samples do not show because all of them share it: errors of
the detector that the network takes for the truth. Measured on generated hands (docs/results/accuracy.md)."""
MISFIT_SPREAD: Final = 0.5
"""Standard deviation of the relative depth, as a multiple of what the misfit of the image points, were it noise of
their own, would make of it: errors that neighbouring points share count more, real noise counts less."""
_MOST_MISFIT: Final = 0.5  # of the depth
_NOISE_RATIO: Final = (
    2.0  # joints' noise in anchor lengths / image points' in half extents, of typical detections
)
_HUBER_EXTENTS: Final = 0.15  # half extents of the hand from which an image point's pull stops growing
_MIN_EXTENT: Final = 1e-4


class PlacedHand(NamedTuple):
    """Hands (...) in metres, in the frame of the view.

    scale: (...) metres per anchor length. relative: (..., 21, 3) joints from the wrist. root: of the wrist.
    """

    scale: Tensor
    relative: Tensor
    root: RootSolution

    @property
    def joints(self) -> Tensor:
        """(..., 21, 3) joints; NaN where the root could not be solved."""
        return self.relative + self.root.position[..., None, :]

    def at(self, index: int | slice) -> PlacedHand:
        """Some of the hands of the first leading dimension."""
        return PlacedHand(
            self.scale[index], self.relative[index], RootSolution(*(value[index] for value in self.root))
        )


def place_hands(joints: Tensor, points: Tensor, half_extent: float, hand_size_m: float | None) -> PlacedHand:
    """Give normalised hands their size and their place before the camera (2.5D root solve over all joints).

    Args:
        joints: (..., 21, 3) of one hand, relative to the wrist, in anchor lengths, in the view's frame.
        points: (21, 2) in the view, in multiples of ``half_extent``; NaN where missing.
        hand_size_m: length of the bone wrist -> index MCP; None for the size at which the bones have the mean
            lengths of adults (heatmap_25d eq. 8).
    """
    joints = joints.double()
    scale = (
        scale_from_mean_lengths(joints)
        if hand_size_m is None
        else torch.full(joints.shape[:-2], hand_size_m, dtype=joints.dtype)
    )
    relative = scale[..., None, None] * joints
    half_extent = max(half_extent, _MIN_EXTENT)
    root = root_from_pose(
        (points.double() * half_extent).expand(*joints.shape[:-2], hand.NUM_JOINTS, 2),
        relative,
        noise_ratio=_NOISE_RATIO * (hand_size_m or hand.MEAN_ANCHOR_LENGTH_M) / half_extent,
        huber_delta=_HUBER_EXTENTS * half_extent,
    )
    return PlacedHand(scale, relative, root)


def metric_pose(
    detection: Detection,
    rotation_view_camera: Tensor,
    fused: HandParameters,
    placed: PlacedHand,
    samples: HandParameters,
    placed_samples: PlacedHand,
    weights: Tensor,
    spread_scale: float,
    size_known: bool,
) -> HandPose:
    """The pose of one hand, which so far is a right one in the frame of its view.

    Args:
        fused, placed: the estimate. samples, placed_samples: (S, ...), with weights (S,).
        spread_scale: factor on the samples' spread, to which is added ``COMMON_SPREAD``, and, along the ray
            through each joint, what the misfit of the image points says of the distance.
        size_known: otherwise the spread of adults' sizes is added, along the same rays: a hand that is larger
            than the mean is as much farther away.
    """
    if not bool(placed.root.valid):
        why = Reason(int(placed.root.reason)).name.lower().replace("_", " ")
        return HandPose.invalid(detection, f"the wrist's position cannot be solved: {why}")
    turn = rotation_view_camera.double().T
    joints = placed.joints @ turn.T
    rotations = turn @ fused.rotations.double()
    covariance, wrist = _covariances(
        turn, joints, fused, placed, placed_samples, samples, weights, spread_scale, size_known
    )
    if detection.side == "left":
        joints, rotations = mirror_across_camera_x(joints, rotations)
        flip = joints.new_tensor((-1.0, 1.0, 1.0))
        covariance = covariance * flip[:, None] * flip
        # A rotation's vector is an axial one: mirrored across x it keeps its x and turns the others round.
        flip = torch.cat((flip, -flip))
        wrist = wrist * flip[:, None] * flip
    return HandPose(
        side=detection.side,
        score=detection.score,
        joints_m=joints.numpy(),
        rotations=rotations.numpy(),
        angles_rad=fused.angles.double().numpy(),
        proportions=fused.proportions.double().numpy(),
        anchor_length_m=float(placed.scale),
        covariance_m2=covariance.numpy(),
        wrist_covariance=wrist.numpy(),
        track_id=detection.track_id,
    )


def _covariances(
    turn: Tensor,
    joints: Tensor,
    fused: HandParameters,
    placed: PlacedHand,
    placed_samples: PlacedHand,
    samples: HandParameters,
    weights: Tensor,
    spread_scale: float,
    size_known: bool,
) -> tuple[Tensor, Tensor]:
    """Of the joints (21, 3, 3) and the wrist (6, 6) of a right hand, camera frame; NaN for a single sample."""
    solved = placed_samples.root.valid
    if int(solved.sum()) < 2:
        unknown = joints.new_full((1,), torch.nan)
        return unknown.expand(hand.NUM_JOINTS, 3, 3).clone(), unknown.expand(6, 6).clone()
    weights = weights[solved].to(joints)
    weights = weights / weights.sum()
    deviations = placed_samples.joints[solved] @ turn.T - joints
    turns = rotation_vectors(samples.rotation[solved], fused.rotation).to(joints) @ turn.T
    wrist = weighted_covariance(torch.cat((deviations[:, hand.WRIST], turns), dim=-1), weights)
    covariance = weighted_covariance(deviations, weights)
    covariance, wrist = covariance * spread_scale**2, wrist * spread_scale**2
    misfit = MISFIT_SPREAD * placed.root.condition * placed.root.residual
    along = misfit.clamp(max=_MOST_MISFIT).square() + (0.0 if size_known else POPULATION_SPREAD**2)
    common = torch.eye(3).to(joints) * (COMMON_SPREAD * placed.scale) ** 2
    added = common + along * joints[..., :, None] * joints[..., None, :]
    wrist[:3, :3] += added[hand.WRIST]
    return covariance + added, wrist
