"""The module fuses the samples of a hand into one valid hand."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from hand_pose_ros.common.named_tensors import rows
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.networks.condition import Encoded
from hand_pose_ros.networks.diffusion.sampling import HandDenoiser
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.rotations import orthogonalise

FUSIONS: Final = ("fit", "angles", "medoid")
"""Methods of fusion: the IK head's fit to their mean joints; the mean of their angles, proportions and
rotations; or the sample with the least distance to all others."""


def fuse_samples(
    samples: HandParameters, weights: Tensor, method: str, denoiser: HandDenoiser, encoded: Encoded
) -> HandParameters:
    """Fuse each S samples into one valid hand.

    Args:
        samples: fields (n, S, ...). weights: (n, S), summing to 1.
        method: one of ``FUSIONS``.

    Returns:
        Fields (n, ...).

    Raises:
        ValueError: an unknown method.
    """
    if method == "fit":
        mean = (weights[..., None, None] * samples.joints).sum(1)
        return denoiser.fit(encoded.to_samples(mean), encoded)
    if method == "angles":
        angles = (weights[..., None] * samples.angles).sum(1)
        proportions = (weights[..., None] * samples.proportions).sum(1)
        rotation = _nearest_rotation((weights[..., None, None] * samples.rotation).sum(1))
        return HandParameters(
            angles, proportions, rotation, *forward_kinematics(angles, proportions, rotation)
        )
    if method == "medoid":
        distance = (samples.joints[:, :, None] - samples.joints[:, None]).norm(dim=-1).mean(-1)
        chosen = (distance * weights[:, None]).sum(-1).argmin(1)
        return rows(samples, (torch.arange(len(chosen), device=chosen.device), chosen))
    raise ValueError(f"fusion must be one of {FUSIONS}, got {method!r}")


def _nearest_rotation(matrix: Tensor) -> Tensor:
    """Orthogonalise (n, 3, 3) like :func:`orthogonalise`, by LAPACK on a CPU: faster for a few matrices."""
    if matrix.device.type != "cpu" or not bool(matrix.isfinite().all()):
        return orthogonalise(matrix)
    left, _, right = torch.linalg.svd(matrix)
    proper = torch.linalg.det(left @ right)[:, None, None]
    return torch.cat((left[..., :2], left[..., 2:] * proper), dim=-1) @ right


def reprojection_weights(residual: Tensor, sigma: float) -> Tensor:
    """Weights (n, S), summing to 1, of samples whose root mean square reprojection error is ``residual`` (n, S).

    The weight is Gaussian in the residual. Samples without a position get no weight, unless none has one.

    Args:
        residual: NaN where there is no position. sigma: in the same unit; infinity gives equal weights.
    """
    return likelihood_weights(-residual.square() / sigma**2 / 2)


def likelihood_weights(log_likelihood: Tensor) -> Tensor:
    """Weights (n, S), summing to 1, in proportion to likelihoods, of which the logarithms (n, S) are given.

    A sample whose likelihood is not finite gets no weight; if no sample of a hand has one, all get the same.
    """
    known = log_likelihood.isfinite()
    usable = known | ~known.any(-1, keepdim=True)
    logits = torch.where(known, log_likelihood, torch.zeros_like(log_likelihood))
    return torch.softmax(logits.masked_fill(~usable, -torch.inf), dim=-1)
