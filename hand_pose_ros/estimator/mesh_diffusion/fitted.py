"""The module turns hypotheses of a hand's mesh into one mesh, and into the hand inside its limits that fits it."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.estimator.deviating_hands import deviating_hands
from hand_pose_ros.estimator.estimate import HandSurfaces
from hand_pose_ros.estimator.placement import place_hands
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.kinematics.inverse import HandFit, fit_hand
from hand_pose_ros.mesh.skinning import regress_joints, skin
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.mesh_diffusion.sampling import choose, log_likelihood

LIKELIHOOD, MEAN = "likelihood", "mean"
CHOICES: Final = (MEAN, LIKELIHOOD)
_NOISE: Final = 0.03  # of a joint for the fit, anchor lengths: about 3 mm


class FittedHands(NamedTuple):
    """n hands of their meshes, anchor lengths, relative to the wrist, in their views.

    hands: fields (n, ...), inside their limits. samples: fields (n, S, ...), which deviate from the hands as the
    hypotheses do from the chosen mesh. surfaces: the meshes, as what they add to the hands' template.
    fit: of the hands, to start the next frame's from.
    """

    hands: HandParameters
    samples: HandParameters
    surfaces: HandSurfaces
    fit: HandFit


def chosen_meshes(
    meshes: Tensor, view: KeypointView, choice: str, hand_size_m: float | None
) -> tuple[Tensor, Tensor]:
    """Choose among hypotheses, and make all relative to their wrists.

    Args:
        meshes: (n, S, V, 3), anchor lengths, in the views' axes. view: n, with the landmarks as points.
        choice: one of ``CHOICES``: the mean, or the one whose joints' image is the most likely one under the
            landmarks (Laplace distributions of one width).

    Returns:
        Meshes (n, V, 3) and the joints (n, S, 21, 3) of all hypotheses.

    """
    joints = regress_joints(meshes)
    wrist = joints[..., hand.WRIST, None, :]
    meshes, joints = meshes - wrist, joints - wrist
    if choice == MEAN:
        return choose(meshes), joints
    placed = place_hands(joints, view.points, view.half_extent, hand_size_m)
    images = placed.joints[..., :2] / placed.joints[..., 2:] / view.half_extent.double()[:, None, None, None]
    likelihood = log_likelihood(images, view.points.double(), torch.ones_like(images[:, 0, :, 0]))
    likelihood = likelihood.masked_fill(~placed.root.valid, -torch.inf)
    return choose(meshes, likelihood), joints


def fit_meshes(meshes: Tensor, joints: Tensor, start: HandFit | None = None) -> FittedHands:
    """Fit hands of anchor length 1 to the joints of meshes.

    Args:
        meshes: (n, V, 3) chosen ones. joints: (n, S, 21, 3) of all hypotheses, as :func:`chosen_meshes` gives.
        start: fits of the last frame, NaN for hands without one.
    """
    own = regress_joints(meshes)
    fit = fit_hand(own.double(), anchor_length_m=1.0, noise_m=_NOISE, start=start)
    frames = fit.frames
    wrist = frames.joints[:, hand.WRIST, None]
    hands = HandParameters(
        fit.angles,
        fit.proportions,
        frames.rotations[:, hand.WRIST],
        frames.joints - wrist,
        frames.rotations,
    )
    posed = skin(HandFrames(hands.joints.float(), hands.rotations.float()))
    # The mesh's own wrist may be off that of the fitted hand: both are placed as the fit lies in the mesh.
    offset = (meshes - wrist.float() - posed) @ hands.rotation.float()
    deviation = (joints - own[:, None]).double()
    samples = deviating_hands(hands, own[:, None].double(), deviation)
    return FittedHands(hands, samples, HandSurfaces(offset, torch.full_like(offset[..., 0], torch.nan)), fit)


def vertex_sigma(meshes: Tensor) -> Tensor:
    """Return the standard deviation (n, V) of hypotheses' vertices, a mean of the axes; NaN for a single one.

    Args:
        meshes: (n, S, V, 3).
    """
    if meshes.shape[1] < 2:
        return torch.full_like(meshes[:, 0, :, 0], torch.nan)
    return meshes.var(dim=1).mean(-1).sqrt()
