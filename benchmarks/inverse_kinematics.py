"""Inverse kinematics of a batch of hands, beside the same solver called once for each hand."""

from __future__ import annotations

import torch

from benchmarks.timing import median_seconds, print_header, print_row
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.hand import MEAN_ANCHOR_LENGTH_M
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.inverse import fit_hand
from hand_pose_ros.kinematics.limits import Bounds, angle_bounds, proportion_bounds
from hand_pose_ros.rotations import orthogonalise

_HANDS, _ONE_BY_ONE = 256, 16


def random_joints(count: int) -> torch.Tensor:
    """Joints (count, 21, 3) in metres of hands uniform inside their limits, in front of a camera."""
    generator = torch.Generator().manual_seed(Seed.ARBITRARY)

    def uniform(bounds: Bounds) -> torch.Tensor:
        share = torch.rand(count, len(bounds.minimum), generator=generator)
        return torch.lerp(bounds.minimum, bounds.maximum, share)

    root = orthogonalise(torch.randn(count, 3, 3, generator=generator))
    position = torch.tensor([0.0, 0.0, 0.6])
    angles, proportions = uniform(angle_bounds()), uniform(proportion_bounds())
    return forward_kinematics(angles, proportions, root, position, MEAN_ANCHOR_LENGTH_M).joints


def main() -> None:
    torch.set_num_threads(2)
    joints = random_joints(_HANDS)

    def one_by_one() -> None:
        for one in joints[:_ONE_BY_ONE]:
            fit_hand(one)

    each = median_seconds(one_by_one, repeats=3, warm_up=1) / _ONE_BY_ONE
    print_header()
    print_row("IK of one hand", each)
    print_row(f"IK of {_HANDS} hands", median_seconds(lambda: fit_hand(joints), repeats=5), _HANDS * each)


if __name__ == "__main__":
    main()
