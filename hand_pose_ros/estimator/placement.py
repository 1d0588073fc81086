"""The module places all estimated hands of a frame in the camera's frame, in metres, with covariances."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.root_position import root_from_pose
from hand_pose_ros.camera.scale import scale_from_mean_lengths
from hand_pose_ros.camera.solved_root import Reason, RootSolution
from hand_pose_ros.common.named_tensors import rows, to
from hand_pose_ros.estimator.estimate import EstimatedHands, SolvedWrists
from hand_pose_ros.estimator.hand_size import POPULATION_SPREAD
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.kinematics.mirror import mirror_across_camera_x
from hand_pose_ros.mesh.skinning import mesh_faces, skin
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.pose import HandMesh, HandPose

COMMON_SPREAD: Final = 0.035
"""Standard deviation, in anchor lengths, of errors common to all samples, such as undetected errors of the
detector. Measured on generated hands (docs/results/accuracy.md)."""
MISFIT_SPREAD: Final = 0.5
"""Standard deviation of the relative depth, as a multiple of the one that the misfit of the image points gives if
it is independent noise. Errors shared by neighbouring points count more, independent noise counts less."""
ERROR_ACROSS: Final = 0.6
"""Standard deviation of a joint across its ray, as a multiple of the expected error of its landmark at its
distance. Measured, as the next one, on renders that the network which tells that error was not trained on."""
ERROR_ALONG: Final = 1.2
"""The same along the ray: where an image point is wrong, the depth is more so."""
_MOST_MISFIT: Final = 0.5  # of the depth
NOISE_RATIO: Final = 2.0
"""Joints' noise in anchor lengths, divided by that of the image points in half extents, of typical detections."""
_HUBER_EXTENTS: Final = 0.15  # half extents of the hand from which an image point's pull stops growing
_MIN_EXTENT: Final = 1e-4


class PlacedHands(NamedTuple):
    """Hands (n, ...) in metres, in the frame of their views.

    scale: (n, ...) metres per anchor length. relative: (n, ..., 21, 3) joints from the wrist. root: of the wrist.
    """

    scale: Tensor
    relative: Tensor
    root: RootSolution

    @property
    def joints(self) -> Tensor:
        """(n, ..., 21, 3) joints; NaN where the root could not be solved."""
        return self.relative + self.root.position[..., None, :]

    def at(self, index: int | slice) -> PlacedHands:
        """Return the samples at ``index`` of the second dimension."""
        return rows(self, (slice(None), index))


def place_hands(
    joints: Tensor, points: Tensor, half_extent: Tensor, hand_size_m: float | Tensor | None
) -> PlacedHands:
    """Scale normalised hands and solve their position before the camera (2.5D root solve over all joints).

    Args:
        joints: (n, ..., 21, 3), n hands with optional samples, relative to the wrist, in anchor
            lengths, in the view's frame.
        points: (n, 21, 2) in the view, in multiples of ``half_extent`` (n,); NaN where missing.
        hand_size_m: length of the bone wrist -> index MCP, one for all or (n,); None or NaN for the size at which
            the bones have the mean lengths of adults (heatmap_25d eq. 8).
    """
    joints = joints.double()
    samples = [1] * (joints.ndim - 3)
    given = torch.as_tensor(torch.nan if hand_size_m is None else hand_size_m).to(joints)
    given = given.reshape(-1, *samples)
    scale = given.expand(joints.shape[:-2])
    if bool(given.isnan().any()):
        scale = torch.where(scale.isnan(), scale_from_mean_lengths(joints), scale)
    typical = given.nan_to_num(hand.MEAN_ANCHOR_LENGTH_M)
    relative = scale[..., None, None] * joints
    half_extent = half_extent.double().clamp(min=_MIN_EXTENT).reshape(-1, *samples)
    points = points.double().reshape(-1, *samples, hand.NUM_JOINTS, 2) * half_extent[..., None, None]
    root = root_from_pose(
        points.expand(*joints.shape[:-1], 2),
        relative,
        noise_ratio=NOISE_RATIO * typical / half_extent,
        huber_delta=_HUBER_EXTENTS * half_extent,
    )
    return PlacedHands(scale, relative, root)


def place(estimate: EstimatedHands) -> list[HandPose]:
    """Return a pose for each of the frame's detections, in order; invalid, with a reason, if not estimated.

    Covariances are those of the samples, scaled by the factor on their spread, plus ``COMMON_SPREAD``, plus, along
    the ray through each joint, the uncertainty of the distance from the misfit of the image points, plus, along
    the same rays, that of the size: a hand larger than assumed is proportionally farther away. Where the size is
    not known, it is the spread of adults' sizes. Where the error of the landmarks is expected, it is added too.
    """
    poses = {row: HandPose.invalid(estimate.detections[row], why) for row, why in estimate.reasons.items()}
    if estimate.rows:
        poses |= dict(zip(estimate.rows, _placed(estimate), strict=True))
    return [poses[row] for row in range(len(estimate.detections))]


@torch.inference_mode()
def _placed(estimate: EstimatedHands) -> list[HandPose]:
    assert estimate.hands is not None
    assert estimate.view is not None
    hands = to(estimate.hands, torch.device("cpu"))
    turn = estimate.view.rotation.double().mT
    placed, placed_samples = _placed_and_samples(estimate, hands)
    covariance, wrist_covariance = _covariances(estimate, turn, hands, placed, placed_samples)
    _, spread = hand_sizes(estimate)
    joints, rotations = placed.joints @ turn.mT, turn[:, None] @ hands.rotations.double()
    meshes = None if estimate.surfaces is None else placed_meshes(estimate, placed, turn)
    left = torch.tensor([one.side == "left" for one in estimate.estimated])
    if bool(left.any()):
        mirrored = mirror_across_camera_x(joints[left], rotations[left])
        joints[left], rotations[left] = mirrored
        flip = joints.new_tensor((-1.0, 1.0, 1.0))
        covariance[left] *= flip[:, None] * flip
        # A rotation vector is axial: mirroring across x keeps x and negates y and z.
        flip = torch.cat((flip, -flip))
        wrist_covariance[left] *= flip[:, None] * flip
    poses = []
    for index, detection in enumerate(estimate.estimated):
        if not bool(placed.root.valid[index]):
            why = Reason(int(placed.root.reason[index])).name.lower().replace("_", " ")
            poses.append(HandPose.invalid(detection, f"the wrist's position cannot be solved: {why}"))
            continue
        poses.append(
            HandPose(
                side=detection.side,
                score=detection.score,
                joints_m=joints[index].numpy(),
                rotations=rotations[index].numpy(),
                angles_rad=hands.angles[index].double().numpy(),
                proportions=hands.proportions[index].double().numpy(),
                anchor_length_m=float(placed.scale[index]),
                covariance_m2=covariance[index].numpy(),
                wrist_covariance=wrist_covariance[index].numpy(),
                track_id=detection.track_id,
                size_sigma_m=float(spread[index] * placed.scale[index]),
                mesh=None if meshes is None else meshes[index],
            )
        )
    return poses


def placed_meshes(estimate: EstimatedHands, placed: PlacedHands, turn: Tensor) -> list[HandMesh | None]:
    """Return the n hands' own meshes in the camera's frame; None for a hand whose wrist is not known.

    Args:
        turn: (n, 3, 3) from the views to the camera.
    """
    assert estimate.hands is not None
    assert estimate.surfaces is not None
    hands, surfaces = to(estimate.hands, torch.device("cpu")), to(estimate.surfaces, torch.device("cpu"))
    template = load_template()
    posed = skin(HandFrames(hands.joints.float(), hands.rotations.float()), template=template)
    relative = posed + surfaces.offset.float() @ hands.rotation.float().mT
    vertices = placed.scale[:, None, None] * relative.double() + placed.root.position[:, None]
    vertices = vertices @ turn.mT
    meshes: list[HandMesh | None] = []
    for index, one in enumerate(estimate.estimated):
        if not bool(vertices[index].isfinite().all()):
            meshes.append(None)
            continue
        of_side = vertices[index]
        if one.side == "left":
            of_side = of_side * of_side.new_tensor((-1.0, 1.0, 1.0))
        sigma = placed.scale[index] * surfaces.sigma[index].double() * estimate.spread_scale
        faces = mesh_faces(one.side, template).numpy()
        meshes.append(HandMesh(of_side.numpy(), faces, template.name, sigma.numpy()))
    return meshes


def hand_sizes(estimate: EstimatedHands) -> tuple[Tensor, Tensor]:
    """Return the sizes (n,) of the hands, metres, NaN where unknown, and their spreads (n,) as shares."""
    if estimate.sizes is None:
        size = torch.nan if estimate.hand_size_m is None else estimate.hand_size_m
        spread = POPULATION_SPREAD if estimate.hand_size_m is None else 0.0
        values = [(size, spread)] * len(estimate.rows)
    else:
        values = [
            (torch.nan, POPULATION_SPREAD) if one is None else (one.size_m, one.spread)
            for one in estimate.sizes
        ]
    sizes, spreads = torch.tensor(values, dtype=torch.float64).reshape(-1, 2).unbind(-1)
    return sizes, spreads


def _placed_and_samples(
    estimate: EstimatedHands, hands: HandParameters
) -> tuple[PlacedHands, PlacedHands | None]:
    """Place hands by their image points, or where the estimator has solved them; and their samples, if any."""
    view, (size, _) = estimate.view, hand_sizes(estimate)
    assert view is not None
    samples = None if estimate.samples is None else estimate.samples.joints.cpu()
    if estimate.wrist is not None:
        size = size if estimate.hand_size_m is None else size.nan_to_num(estimate.hand_size_m)
        return _with_known_wrist(estimate.wrist, hands.joints, samples, size)
    if samples is None:
        return place_hands(hands.joints, view.points, view.half_extent, size), None
    joints = torch.cat((hands.joints[:, None], samples), dim=1)
    every = place_hands(joints, view.points, view.half_extent, size)
    return every.at(0), every.at(slice(1, None))


def _with_known_wrist(
    wrist: SolvedWrists, joints: Tensor, samples: Tensor | None, size: Tensor
) -> tuple[PlacedHands, PlacedHands | None]:
    """Scale hands, and their samples, to ``size`` (n,), or by the mean bone lengths where it is NaN (eq. 8)."""
    joints = joints.double()
    scale = torch.where(size.isnan(), scale_from_mean_lengths(joints), size)
    placed = _scaled(scale, joints, wrist.position, wrist.condition, wrist.residual)
    if samples is None or wrist.samples is None:
        return placed, None
    nothing = torch.zeros_like(wrist.samples[..., 0])
    scale = scale[:, None].expand(nothing.shape)
    return placed, _scaled(scale, samples.double(), wrist.samples, nothing, nothing)


def _scaled(scale: Tensor, joints: Tensor, wrist: Tensor, condition: Tensor, residual: Tensor) -> PlacedHands:
    position = scale[..., None] * wrist.double()
    valid = position.isfinite().all(-1)
    reason = torch.where(valid, int(Reason.OK), int(Reason.NO_SOLUTION)).to(torch.uint8)
    root = RootSolution(position, condition.double(), residual.double(), valid, reason)
    return PlacedHands(scale, scale[..., None, None] * joints, root)


def _covariances(
    estimate: EstimatedHands,
    turn: Tensor,
    hands: HandParameters,
    placed: PlacedHands,
    placed_samples: PlacedHands | None,
) -> tuple[Tensor, Tensor]:
    """Covariances of joints (n, 21, 3, 3) and wrist (n, 6, 6), camera frame; NaN for fewer than two samples."""
    if placed_samples is None:
        return _unknown(turn)
    assert estimate.samples is not None
    assert estimate.weights is not None
    joints = placed.joints @ turn.mT
    solved = placed_samples.root.valid
    weights = estimate.weights.to(joints) * solved
    weights = weights / weights.sum(1, keepdim=True)
    deviations = placed_samples.joints @ turn[:, None].mT - joints[:, None]
    deviations = torch.where(solved[..., None, None], deviations, 0.0)
    turns = (
        rotation_vectors(estimate.samples.rotation.to(hands.rotation), hands.rotation[:, None]).to(joints)
        @ turn.mT
    )
    wrist = weighted_covariance(torch.cat((deviations[:, :, hand.WRIST], turns), dim=-1), weights)
    covariance = weighted_covariance(deviations, weights)
    covariance, wrist = covariance * estimate.spread_scale**2, wrist * estimate.spread_scale**2
    misfit = MISFIT_SPREAD * placed.root.condition * placed.root.residual
    _, size_spread = hand_sizes(estimate)
    along = (misfit.clamp(max=_MOST_MISFIT).square() + size_spread.square())[:, None, None, None]
    common = torch.eye(3).to(joints) * (COMMON_SPREAD * placed.scale)[:, None, None, None] ** 2
    added = common + along * joints[..., :, None] * joints[..., None, :]
    added = added + _of_landmarks(estimate, joints)
    covariance, wrist[:, :3, :3] = covariance + added, wrist[:, :3, :3] + added[:, hand.WRIST]
    too_few = (solved.sum(1) < 2)[:, None, None]
    return covariance.masked_fill(too_few[..., None], torch.nan), wrist.masked_fill(too_few, torch.nan)


def _of_landmarks(estimate: EstimatedHands, joints: Tensor) -> Tensor:
    """Covariances (n, 21, 3, 3) of joints (n, 21, 3) from their landmarks' expected errors; 0 where unknown."""
    if estimate.landmark_error is None:
        return joints.new_zeros(*joints.shape, 3)
    view, _ = estimate.known
    error = estimate.landmark_error.to(joints).nan_to_num() * view.half_extent.to(joints)[:, None]
    distance = joints.norm(dim=-1)
    variance = (error * distance).square()[..., None, None]
    ray = joints / distance[..., None]
    along = ray[..., :, None] * ray[..., None, :]
    return variance * (ERROR_ACROSS**2 * (torch.eye(3).to(joints) - along) + ERROR_ALONG**2 * along)


def _unknown(turn: Tensor) -> tuple[Tensor, Tensor]:
    """NaN covariances for the n hands of ``turn`` (n, 3, 3)."""
    count = len(turn)
    return turn.new_full((count, hand.NUM_JOINTS, 3, 3), torch.nan), turn.new_full((count, 6, 6), torch.nan)


def weighted_covariance(deviations: Tensor, weights: Tensor) -> Tensor:
    """Second moment (n, ..., k, k) of deviations (n, S, ..., k) from the estimate, with weights (n, S)."""
    weighted = weights.reshape(*weights.shape, *[1] * (deviations.ndim - 2)) * deviations
    return (weighted[..., None] * deviations[..., None, :]).sum(1)


def rotation_vectors(rotations: Tensor, reference: Tensor) -> Tensor:
    """The rotations (..., 3), rad about fixed axes, that turn ``reference`` (..., 3, 3) into ``rotations``."""
    turn = rotations @ reference.mT
    axis = torch.stack(
        (
            turn[..., 2, 1] - turn[..., 1, 2],
            turn[..., 0, 2] - turn[..., 2, 0],
            turn[..., 1, 0] - turn[..., 0, 1],
        ),
        dim=-1,
    )
    trace = turn.diagonal(dim1=-2, dim2=-1).sum(-1)
    angle = torch.atan2(axis.norm(dim=-1), trace - 1)
    return torch.nn.functional.normalize(axis, dim=-1) * angle[..., None]
