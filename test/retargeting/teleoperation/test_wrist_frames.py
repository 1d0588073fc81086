"""Hands are joined with the wrist frames of their own image; a lost one does not make the frame jump."""

from __future__ import annotations

import numpy as np
import torch
from helpers.hands import random_hands
from helpers.teleoperation import observed

from hand_pose_ros.retargeting.teleoperation.observed_hand import ObservedHand
from hand_pose_ros.retargeting.teleoperation.wrist_frames import WristFrames
from hand_pose_ros.rotations import orthogonalise

COVARIANCE = np.eye(6)


def hand(track_id: int = 3, turn: int = 0) -> tuple[ObservedHand, np.ndarray]:
    """The same person's hand in another orientation, and its true wrist rotation."""
    person = random_hands(1, 4)
    generator = torch.Generator().manual_seed(turn)
    rotation = orthogonalise(torch.randn(1, 3, 3, generator=generator, dtype=torch.float64))
    frames = person._replace(root_rotation=rotation).pose("right")
    joints = frames.joints[0].numpy()
    return ObservedHand("right", joints, np.full(21, 0.004), track_id), frames.rotations[0, 0].numpy()


def test_the_wrist_of_the_same_image_counts():
    frames, (seen, rotation) = WristFrames("right"), hand()
    frames.add(5.0, seen.wrist_m, rotation, COVARIANCE)
    joined = frames.joined(seen, 5.0)
    assert joined.wrist_rotation is rotation
    assert joined.wrist_covariance is COVARIANCE
    np.testing.assert_array_equal(joined.rotation, rotation)


def test_a_wrist_of_another_hand_or_image_does_not_count():
    frames, (seen, rotation) = WristFrames("right"), hand()
    frames.add(5.0, seen.wrist_m + [0.1, 0, 0], rotation, COVARIANCE)
    assert frames.joined(seen, 5.0) is seen
    assert frames.joined(seen, 5.1) is seen
    assert frames.joined(seen, None) is seen
    left = observed(side="left")
    frames.add(5.0, left.wrist_m, rotation, COVARIANCE)
    assert frames.joined(left, 5.0) is left


def test_a_lost_wrist_is_replaced_without_a_jump():
    frames, (seen, rotation) = WristFrames("right"), hand()
    frames.add(5.0, seen.wrist_m, rotation, COVARIANCE)
    frames.joined(seen, 5.0)
    later, true_rotation = hand(turn=1)
    joined = frames.joined(later, 5.03)
    np.testing.assert_allclose(joined.rotation, true_rotation, atol=1e-9)
    assert joined.wrist_covariance is None
    another, _ = hand(track_id=8, turn=1)
    assert frames.joined(another, 5.06) is another, "the build of another person is not known"


def test_a_degenerate_hand_is_left_to_the_admission():
    frames, (seen, rotation) = WristFrames("right"), hand()
    frames.add(5.0, seen.wrist_m, rotation, COVARIANCE)
    frames.joined(seen, 5.0)
    flat = ObservedHand("right", np.zeros((21, 3)), np.full(21, np.nan), 3)
    assert frames.joined(flat, 5.1) is flat
    frames.add(5.2, flat.wrist_m, rotation, COVARIANCE)
    assert frames.joined(flat, 5.2).wrist_rotation is rotation
