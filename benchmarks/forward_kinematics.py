"""Time of the FK layer on two CPU threads, beside the naive loop over hands and nodes.

python -m benchmarks.forward_kinematics
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from benchmarks.timing import median_seconds, print_header, print_row
from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds, sine_bound
from hand_pose_ros.rotations import orthogonalise

ANCHOR_LENGTH_M = 0.089
COUNTS = (1, 64, 4096)
NAIVE_COUNT = 64
"""The naive loop takes as long per hand for any number: beyond this it is timed on as many and scaled up."""


def naive_forward_kinematics(angles: Tensor, proportions: Tensor, root: Tensor) -> tuple[Tensor, Tensor]:
    """Eq. 7 as it is written: hand by hand, node by node, one 3x3 rotation per angle."""
    joints = torch.zeros(len(angles), hand.NUM_JOINTS, 3)
    rotations = torch.zeros(len(angles), hand.NUM_JOINTS, 3, 3)
    for i in range(len(angles)):
        rotations[i, 0] = root[i]
        for node in range(1, hand.NUM_JOINTS):
            parent = hand.PARENTS[node]
            local = torch.eye(3)
            for axis in (1, 2, 0):  # flexion, abduction, twist
                local = local @ _about(axis, _angle_of(angles[i], node, axis))
            rotations[i, node] = rotations[i, parent] @ local
            bone = torch.tensor([float(proportions[i, node - 1]) * ANCHOR_LENGTH_M, 0.0, 0.0])
            joints[i, node] = joints[i, parent] + rotations[i, node] @ bone
    return joints, rotations


def _angle_of(angles: Tensor, node: int, axis: int) -> Tensor:
    for index, angle in enumerate(hand.ANGLES):
        if (angle.node, angle.axis) == (node, axis):
            return angles[index]
    return angles.new_zeros(())


def _about(axis: int, angle: Tensor) -> Tensor:
    rotation = torch.eye(3)
    i, j = (axis + 1) % 3, (axis + 2) % 3
    rotation[i, i] = rotation[j, j] = torch.cos(angle)
    rotation[j, i] = torch.sin(angle)
    rotation[i, j] = -torch.sin(angle)
    return rotation


def main() -> None:
    torch.set_num_threads(2)
    generator = torch.Generator().manual_seed(Seed.ARBITRARY)
    many = max(COUNTS)
    angles = sine_bound(torch.randn(many, hand.NUM_ANGLES, generator=generator), angle_bounds())
    proportions = sine_bound(torch.randn(many, hand.NUM_BONES, generator=generator), proportion_bounds())
    matrix = torch.randn(many, 3, 3, generator=generator)
    root = orthogonalise(matrix)

    few = (angles[:NAIVE_COUNT], proportions[:NAIVE_COUNT], root[:NAIVE_COUNT])
    with torch.no_grad():
        expected = naive_forward_kinematics(*few)
        torch.testing.assert_close(
            tuple(forward_kinematics(*few, anchor_length=ANCHOR_LENGTH_M)), expected, rtol=0, atol=1e-6
        )
        naive_per_hand = (
            median_seconds(lambda: naive_forward_kinematics(*few), repeats=3, warm_up=1) / NAIVE_COUNT
        )

    def pose(count: int) -> HandFrames:
        return forward_kinematics(
            angles[:count], proportions[:count], root[:count], anchor_length=ANCHOR_LENGTH_M
        )

    print_header()
    with torch.no_grad():
        for count in COUNTS:
            seconds = median_seconds(partial(pose, count), repeats=30 if count == many else 300)
            print_row(f"forward kinematics, hands: {count}", seconds, naive_per_hand * count)
        for count in COUNTS:
            seconds = median_seconds(partial(orthogonalise, matrix[:count]), repeats=30)
            naive = median_seconds(partial(svd_rotations, matrix[:count]), repeats=30)
            print_row(f"orthogonalise (naive: SVD), matrices: {count}", seconds, naive)
    angles.requires_grad_()
    seconds = median_seconds(lambda: pose(many).joints.sum().backward())
    print_row(f"forward kinematics and gradient, hands: {many}", seconds)


def svd_rotations(matrix: Tensor) -> Tensor:
    left, _, right = torch.linalg.svd(matrix)
    signs = torch.ones(*matrix.shape[:-1])
    signs[..., 2] = torch.linalg.det(left @ right)
    return left @ (signs[..., None] * right)


if __name__ == "__main__":
    main()
