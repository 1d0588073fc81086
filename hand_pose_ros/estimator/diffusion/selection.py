"""The samples of a hand are weighed by how well they agree with the heatmaps of its image.

A sample is drawn from what the network makes of landmarks and image together. The encoder's heatmaps hold more
than their mean points, which are all that the network is told of them: where they have two maxima, or a long one,
samples between or beside are less likely.
"""

from __future__ import annotations

from torch import Tensor

from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.estimator.diffusion.fusion import likelihood_weights
from hand_pose_ros.estimator.placement import place_hands
from hand_pose_ros.networks.image.heat_likelihood import heat_log_likelihood


def heat_weights(
    joints: Tensor,
    view: KeypointView,
    log_heat: Tensor,
    margin: float,
    hand_size_m: float | None,
    prior: Tensor | None = None,
) -> Tensor:
    """Weights (n, S), summing to 1, in proportion to the samples' likelihoods under the heatmaps.

    Each sample is placed where it fits the view's points best, and projected into the crop. A sample without a
    position, or whose likelihood is not known, gets no weight; if no sample of a hand has one, all get the same.

    Args:
        joints: (n, S, 21, 3) of the samples, see :func:`~hand_pose_ros.estimator.placement.place_hands`.
        view: (n, ...) their views. log_heat: (n, 21, h, w) over crops that span +-``margin`` half extents.
        hand_size_m: length of the bone wrist -> index MCP, or None for the mean of adults.
        prior: (n, S) weights that the samples have without the heatmaps; None for equal ones.
    """
    placed = place_hands(joints, view.points, view.half_extent, hand_size_m).joints
    in_half_extents = placed[..., :2] / (placed[..., 2:] * view.half_extent.to(placed)[:, None, None, None])
    found = heat_log_likelihood(log_heat.to(placed), in_half_extents / margin)
    return likelihood_weights(found if prior is None else found + prior.to(found).log())
