"""Makes fixed sets of keypoints with exact truth from random or recorded poses and simulated MediaPipe errors.

Every hand has the input of an estimator at run time: a camera, and a detection with image points and 3D landmarks.
The landmarks have the simulated relative depth; their x and y agree with the image points. If the simulated depth
makes most of the palm longer than it is (one hand in twelve, viewed along its palm), no landmarks can have this
depth, and it is scaled down. Every second hand is a left hand in the mirrored image.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.named_tensors import each
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.files.safe_arrays import read_arrays
from hand_pose_ros.pose import Detection
from hand_pose_ros.synthetic.detector.noise import noise_of
from hand_pose_ros.synthetic.observed_hands import ObservedHands, observe, sample_hands, wrist_frame_rotation
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.synthetic.views import HandView, random_views

LARGER_SIDE_PX: Final = 640
_BOX_MARGIN: Final = 0.1
_LEAST_WIDTH: Final = 1e-3  # in anchor lengths, of landmarks that depth alone would make too long


def generated_hands(count: int, seed: int = Seed.GENERATED, landmarks: str = "mediapipe") -> ObservedHands:
    """Sample poses in random views.

    Args:
        landmarks: whose errors the keypoints have, ``mediapipe`` or ``heatmap``, the fast 2.5D network; all are
            known, with depth and without confidence.
    """
    generator = torch.Generator().manual_seed(seed)
    return sample_hands(count, PoseSampler(), noise_of(landmarks), generator).observed


def recorded_hands(joints_m: Tensor, seed: int = Seed.RECORDED) -> ObservedHands:
    """Put recorded poses into random views, at their recorded sizes.

    Args:
        joints_m: (n, 21, 3) right hands, metres, in any frame.
    """
    generator = torch.Generator().manual_seed(seed)
    relative = joints_m - joints_m[:, :1]
    size = relative[:, hand.ANCHOR_JOINT].norm(dim=-1)
    joints = (relative @ wrist_frame_rotation(joints_m) / size[:, None, None]).float()
    placed = random_views(joints, generator)
    # A hand of the recorded size gives the same image at a distance that is larger by the same factor.
    distance = placed.wrist_m * (size.float() / placed.anchor_length_m)[:, None]
    placed = placed._replace(wrist_m=distance, anchor_length_m=size.float())
    return observe(joints, placed, noise_of("mediapipe"), generator)


def read_dexycb(path: str | Path, count: int) -> Tensor:
    """Read ``count`` poses (count, 21, 3), metres, evenly from all sequences, mirrored to right hands.

    Args:
        path: ``.npz`` with ``xyz_mm`` (N, 21, 3) of left hands, in our joint order, and ``seq`` (N,).

    Raises:
        ValueError: the file is missing, lacks an array, or holds too few poses.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} does not exist")
    file = read_arrays(path)
    if missing := {"xyz_mm", "seq"} - set(file):
        raise ValueError(f"{path} has no array {', '.join(sorted(missing))}")
    joints, sequence = file["xyz_mm"], file["seq"]
    rows = [np.flatnonzero(sequence == number) for number in np.unique(sequence)]
    shares = [count // len(rows) + (number < count % len(rows)) for number in range(len(rows))]
    if any(share > len(of_one) for share, of_one in zip(shares, rows, strict=True)):
        raise ValueError(f"{path} has too few poses in some sequence to take {count} evenly")
    chosen = [
        of_one[np.linspace(0, len(of_one) - 1, share).round().astype(int)]
        for share, of_one in zip(shares, rows, strict=True)
    ]
    right = joints[np.concatenate(chosen)].astype(np.float64) * (-1e-3, 1e-3, 1e-3)
    return torch.from_numpy(right)


def observations_of(observed: ObservedHands) -> list[Observation]:
    """Convert the hands to the input of estimators."""
    hands = each(_double, observed)
    truth = (hands.joints + hands.wrist[:, None]) @ hands.view.rotation
    truth = truth * hands.placed.anchor_length_m[:, None, None]
    landmarks = _landmarks(hands)
    image = hands.rays[..., :2] / hands.rays[..., 2:] * hands.placed.focal[:, None, None]
    return [
        _observation(hands.placed, i, image[i], landmarks[i], truth[i], hands.visible[i], i % 2 == 1)
        for i in range(len(truth))
    ]


def _landmarks(hands: ObservedHands) -> Tensor:
    """Return landmarks (n, 21, 3), metres, with the relative depth of the condition.

    Its unit is the median over palm bones of their length by their mean proportion, so the median bone must have
    its mean length: with depth d and width r in the image, the width becomes ``k r``, where
    ``k^2 r^2 + d^2 = proportion^2``.
    """
    flat = hands.rays[..., :2] / hands.rays[..., 2:]
    across = flat - flat[:, :1]
    palm, lengths = hand.LEVELS[0], across.new_tensor(hand.PALM_LENGTHS)
    left = (lengths.square() - hands.condition.depth[:, palm].square()).clamp(min=0).sqrt()
    width = (left / across[:, palm].norm(dim=-1).clamp(min=1e-9)).median(-1).values.clamp(min=_LEAST_WIDTH)
    landmarks = torch.cat((across * width[:, None, None], hands.condition.depth[..., None]), dim=-1)
    return landmarks * hand.MEAN_ANCHOR_LENGTH_M


def _observation(
    placed: HandView,
    index: int,
    image: Tensor,
    landmarks: Tensor,
    truth: Tensor,
    visible: Tensor,
    as_left: bool,
) -> Observation:
    half = LARGER_SIDE_PX / 2
    width, height = (round(float(2 * half * side)) for side in placed.aspect[index])
    focal = half * float(placed.focal[index])
    camera = CameraModel.pinhole(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
    flip = image.new_tensor((-1.0 if as_left else 1.0, 1.0, 1.0))
    centre = image.new_tensor((camera.cx, camera.cy))
    truth = truth * flip
    points_px = camera.project(truth)
    inside = ((points_px >= -0.5) & (points_px <= 2 * centre + 0.5)).all(-1)
    landmarks_px = (image * half * flip[:2] + centre).numpy()
    return Observation(
        image=partial(_black, height, width),
        camera=camera,
        detection=Detection(
            side="left" if as_left else "right",
            score=1.0,
            box_px=_box(landmarks_px),
            landmarks_px=landmarks_px,
            landmarks_m=(landmarks * flip).numpy(),
        ),
        joints_m=truth.numpy(),
        points_px=points_px.numpy(),
        hidden=(~visible & inside).numpy(),
        outside=~inside.numpy(),
    )


def _box(points: np.ndarray) -> np.ndarray:
    low, high = points.min(0), points.max(0)
    margin = _BOX_MARGIN * (high - low).max() + 1.0
    return np.concatenate((low - margin, high + margin))


def _black(height: int, width: int) -> np.ndarray:
    """Return a black image: these sets have keypoints only, and cannot measure methods that use images."""
    return np.zeros((height, width, 3), np.uint8)


def _double(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value
