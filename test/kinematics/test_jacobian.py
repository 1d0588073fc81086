"""The analytic Jacobian of the joints against automatic differentiation."""

import torch
from helpers.hands import random_hands

from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.jacobian import NUM_COLUMNS, joint_jacobian
from hand_pose_ros.rotations import rotation_from_vector


def test_jacobian_equals_automatic_differentiation():
    pose = random_hands(4, seed=0)

    def posed(angles, log_proportions, log_anchor, turn, position):
        return forward_kinematics(
            angles,
            log_proportions.exp(),
            rotation_from_vector(turn) @ pose.root_rotation,
            position,
            log_anchor.exp(),
        )

    turn = torch.zeros(4, 3, dtype=torch.float64)
    inputs = (pose.angles, pose.proportions.log(), pose.anchor_length.log(), turn, pose.root_position)
    expected = torch.autograd.functional.jacobian(lambda *x: posed(*x).joints.sum(0), inputs)
    columns = [block.reshape(21, 3, 4, -1) for block in expected]
    expected = torch.cat(columns, dim=-1).permute(2, 0, 1, 3)
    frames = posed(*inputs)
    actual = joint_jacobian(pose.angles, frames)
    assert actual.shape == (4, 21, 3, NUM_COLUMNS)
    torch.testing.assert_close(actual, expected, rtol=1e-10, atol=1e-12)


def test_jacobian_of_one_hand_without_a_batch_axis():
    pose = random_hands(3, seed=1)
    frames = forward_kinematics(pose.angles, pose.proportions, pose.root_rotation)
    one = forward_kinematics(pose.angles[0], pose.proportions[0], pose.root_rotation[0])
    torch.testing.assert_close(joint_jacobian(pose.angles[0], one), joint_jacobian(pose.angles, frames)[0])
