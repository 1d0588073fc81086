"""Videos bent and turned for training: errors stay what they were, hands do not."""

from __future__ import annotations

import torch
from helpers.temporal import noisy_videos

from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.synthetic.motion.video_bank import varied


def changed(angle_rad, turn_rad):
    videos = noisy_videos(4)
    return videos, varied(videos, angle_rad, turn_rad, torch.Generator().manual_seed(1))


def test_nothing_changes_without_a_change():
    before, after = changed(0.0, 0.0)
    for one, other in zip((*before.window[2:], *before[1:]), (*after.window[2:], *after[1:]), strict=True):
        torch.testing.assert_close(other, one, atol=1e-5, rtol=0)


def test_a_turn_turns_estimates_and_truth_alike():
    before, after = changed(0.0, 0.3)
    turn = after.true_rotation @ before.true_rotation.transpose(-1, -2)
    torch.testing.assert_close(turn, turn[:, :1].expand_as(turn), atol=1e-5, rtol=0)
    error = (before.window.joints - before.true_joints) @ turn.transpose(-1, -2)
    torch.testing.assert_close(after.window.joints - after.true_joints, error, atol=1e-4, rtol=0)
    assert float((after.true_joints - before.true_joints).norm(dim=-1).mean()) > 0.1


def test_bent_hands_keep_the_errors_of_their_angles_and_are_what_their_angles_say():
    before, after = changed(0.05, 0.0)
    bend = after.true_angles - before.true_angles
    free = (after.window.angles - before.window.angles - bend).abs() < 1e-5
    assert float(free.float().mean()) > 0.75  # others met a limit
    posed = forward_kinematics(after.window.angles, after.proportions, after.window.rotation).joints
    was = forward_kinematics(before.window.angles, before.proportions, before.window.rotation).joints
    torch.testing.assert_close(after.window.joints - posed, before.window.joints - was, atol=1e-4, rtol=0)
