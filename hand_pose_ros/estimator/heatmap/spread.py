"""The module derives samples of hands from the noise that the maps state, for the covariance of an estimate."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.root_depth import joints_from_depths
from hand_pose_ros.estimator.deviating_hands import deviating_hands
from hand_pose_ros.estimator.heatmap.reading import ViewedPoses
from hand_pose_ros.estimator.heatmap.roots import RootForm
from hand_pose_ros.networks.hand_head import HandParameters


class SpreadHands(NamedTuple):
    """Samples (n, S, ...) of hands, with weights (n, S) that sum to 1, and their wrists (n, S, 3), anchor lengths.

    A sample is not anatomically exact: its joints deviate from the hand's as the noisy 2.5D pose does. A sample
    whose root depth cannot be solved has a NaN wrist.
    """

    samples: HandParameters
    weights: Tensor
    wrists: Tensor


def spread_hands(
    poses: ViewedPoses,
    joints: Tensor,
    hands: HandParameters,
    wrist: Tensor,
    noise: Tensor,
    root_of: RootForm,
) -> SpreadHands:
    """Add noise to 2.5D poses, solve each root depth again, and move the hands by the deviations.

    So the condition of the root depth shows in the wrists: the nearer the anchor bone points to the camera, the
    more they spread along the ray.

    Args:
        poses: n hands, and their ``joints`` (n, 21, 3) in the views, anchor lengths, before the fit.
        hands: fields (n, ...), the fitted hands, and their wrists (n, 3).
        noise: (S, 21, 3) standard normal: x, y, depth. root_of: the form that solved the poses.
    """
    sigma, depth_sigma = poses.sigma[:, None], poses.depth_sigma[:, None]
    points = poses.points[:, None] + sigma[..., None] * noise[..., :2]
    depths = poses.depths[:, None] + depth_sigma * noise[..., 2]
    root = root_of(points, depths, sigma.expand_as(depths), depth_sigma.expand_as(depths)).solution
    found = joints_from_depths(points, depths, root.depth)
    moved = found[..., hand.WRIST, :] - joints[:, None, hand.WRIST]
    relative, exact = _from_wrist(found), _from_wrist(joints)[:, None]
    unsolved = ~root.valid[..., None, None]
    deviation = (relative - exact).masked_fill(unsolved, 0.0)
    samples = deviating_hands(hands, exact, deviation)
    weights = deviation.new_full(deviation.shape[:2], 1 / len(noise))
    return SpreadHands(samples, weights, wrist[:, None] + moved)


def _from_wrist(joints: Tensor) -> Tensor:
    return joints - joints[..., hand.WRIST, None, :]
