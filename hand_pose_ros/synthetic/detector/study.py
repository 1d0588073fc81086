"""A detector's answers on rendered hands of which everything is known: what the noise model is fitted to.

Every picture shows one right hand in a random pose and view, or the mirror image of one; answers on mirrored
pictures are mirrored back, so that all that is stored is of right hands.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import view_keypoints
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.named_tensors import cat, stack
from hand_pose_ros.detection.relative_depth import relative_depth
from hand_pose_ros.files.safe_arrays import read_arrays
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.pose import Detection, Frame
from hand_pose_ros.rendering.background import room_background
from hand_pose_ros.rendering.forearm import Forearm
from hand_pose_ros.rendering.lighting import Light, Lighting
from hand_pose_ros.rendering.renderer import HandInView, render
from hand_pose_ros.rendering.skin import SKIN_TONES
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.synthetic.views import random_views

_SIDE_PX = (140.0, 320.0)  # of a picture
_HAND_SHARE = (0.35, 0.7)  # of its larger side that the hand's joints fill
_SMALLEST_SIDE_PX = 48

Detect = Callable[[Frame], Sequence[Detection]]
"""Finds the hand of a picture, with 2D landmarks and either 3D ones or depths that a 2.5D network has read."""


class Study(NamedTuple):
    """n pictures: what is true of the hand in each, and what the detector said.

    joints_m: (n, 21, 3) camera frame. rotation: (n, 3, 3) wrist frame -> camera frame. visible: (n, 21) bool,
    inside the picture and not hidden. inside: (n, 21) bool. camera: (n, 4) fx, fy, cx, cy in pixels.
    found: (n,) bool. right_side: (n,) bool, the detector took the hand for one of its own side. score: (n,).
    landmarks_px: (n, 21, 2). depth: (n, 21) relative to the wrist, in anchor lengths. NaN where not found.
    """

    joints_m: np.ndarray
    rotation: np.ndarray
    visible: np.ndarray
    inside: np.ndarray
    camera: np.ndarray
    found: np.ndarray
    right_side: np.ndarray
    score: np.ndarray
    landmarks_px: np.ndarray
    depth: np.ndarray


class ViewedStudy(NamedTuple):
    """The hands of a study that were found, in the canonical view of their true joints.

    points, points_found: (n, 21, 2) in multiples of the true half extent. depth, depth_found: (n, 21) relative to
    the wrist, in anchor lengths. joints: (n, 21, 3) relative to the wrist in anchor lengths, view frame.
    visible, inside: (n, 21) bool, where ``visible`` says nothing of joints outside.
    view_rotation: (n, 3, 3) wrist frame -> view frame.
    """

    points: Tensor
    points_found: Tensor
    depth: Tensor
    depth_found: Tensor
    joints: Tensor
    visible: Tensor
    inside: Tensor
    view_rotation: Tensor


def run_study(count: int, detect: Detect, seed: int) -> Study:
    """Show ``count`` pictures to a detector that looks for one hand; the same seed gives the same pictures."""
    generator = torch.Generator().manual_seed(seed)
    random = np.random.default_rng(seed)
    angles, proportions = PoseSampler().sample(count, generator)
    views = random_views(forward_kinematics(angles, proportions).joints, generator)
    frames = forward_kinematics(angles, proportions, views.rotation, views.wrist_m, views.anchor_length_m)
    limits = (views.aspect / views.focal[:, None]).numpy()
    answers = []
    for index in range(count):
        one = HandFrames(frames.joints[index], frames.rotations[index])
        answers.append(_show(one, limits[index], detect, random))
    return stack(answers)


def _show(frames: HandFrames, limit: np.ndarray, detect: Detect, random: np.random.Generator) -> Study:
    """One picture, as a study without its leading axis. ``limit`` (2,): where the image ends, at z = 1."""
    camera = _crop_camera(frames.joints.double().numpy(), limit, random)
    one = HandInView(frames, "right", SKIN_TONES[random.integers(len(SKIN_TONES))], _random_forearm(random))
    background = room_background(camera.width, camera.height, int(random.integers(2**31)))
    picture = render([one], camera, background, _random_lighting(random))
    (truth,) = picture.hands
    mirrored = bool(random.integers(2))
    in_image = (truth.joints_px > -0.5) & (truth.joints_px < (camera.width - 0.5, camera.height - 0.5))
    return Study(
        joints_m=truth.joints_m,
        rotation=frames.rotations[hand.WRIST].numpy(),
        visible=truth.visible,
        inside=in_image.all(1),
        camera=np.array((camera.fx, camera.fy, camera.cx, camera.cy)),
        **answer(detect, Frame(picture.image, camera), mirrored),
    )


def answer(detect: Detect, frame: Frame, mirrored: bool) -> dict[str, np.ndarray]:
    """A detector's answer in a :class:`Study`, for a right hand or its mirror image.

    Raises:
        ValueError: the detector does not tell depths.
    """
    detections = detect(frame.mirrored() if mirrored else frame)
    if not detections:
        return {
            "found": np.array(False),
            "right_side": np.array(False),
            "score": np.array(np.nan),
            "landmarks_px": np.full((hand.NUM_JOINTS, 2), np.nan),
            "depth": np.full(hand.NUM_JOINTS, np.nan),
        }
    found = detections[0]
    if found.landmarks_px is None or (found.landmarks_m is None and found.read is None):
        raise ValueError("the detector must give 2D landmarks and their depths")
    if found.read is not None:
        depth = found.read.depth
    else:
        depth = relative_depth(torch.from_numpy(found.landmarks_m).double()).numpy()
    px = found.landmarks_px.copy()
    if mirrored:
        px[:, 0] = frame.camera.width - 1 - px[:, 0]
    return {
        "found": np.array(True),
        "right_side": np.array(found.side == ("left" if mirrored else "right")),
        "score": np.array(found.score),
        "landmarks_px": px,
        "depth": np.asarray(depth, dtype=np.float64),
    }


def _crop_camera(joints_m: np.ndarray, limit: np.ndarray, random: np.random.Generator) -> CameraModel:
    """The camera of the part of the image around a hand, not reaching beyond the image itself."""
    points = joints_m[:, :2] / joints_m[:, 2:]
    low, high = points.min(0), points.max(0)
    extent = (high - low).max() / random.uniform(*_HAND_SHARE)
    start = (low + high) / 2 - extent / 2 + random.uniform(-0.15, 0.15, 2) * extent
    start = np.maximum(np.minimum(start, limit - extent), -limit)
    end = np.minimum(start + extent, limit)
    side_px = math.exp(random.uniform(*np.log(_SIDE_PX)))
    focal = side_px / extent
    width, height = np.maximum(np.round((end - start) * focal), _SMALLEST_SIDE_PX).astype(int)
    centre = -start * focal - 0.5
    return CameraModel.pinhole(focal, focal, centre[0], centre[1], int(width), int(height))


def _random_forearm(random: np.random.Generator) -> Forearm:
    return Forearm(
        flexion_rad=random.uniform(-0.6, 0.6),
        abduction_rad=random.uniform(-0.25, 0.25),
        sleeve_start_m=None if random.random() < 0.5 else random.uniform(0.04, 0.16),
        sleeve_rgb=tuple(random.uniform(0.05, 0.8, 3)),
    )


def _random_lighting(random: np.random.Generator) -> Lighting:
    """A main light from above or the side, and a weaker one, of changing strength."""
    main, weak = random.uniform((-1, -1, -1), (1, 0.2, -0.3)), random.uniform((-1, -1, -1), (1, 1, 0.2))
    return Lighting(
        lights=(
            Light(tuple(main), tuple(np.array((1.5, 1.45, 1.4)) * random.uniform(0.6, 1.1)), 0.2),
            Light(tuple(weak), tuple(np.array((0.4, 0.42, 0.46)) * random.uniform(0.4, 1.4)), 0.35),
        ),
        exposure=random.uniform(0.6, 1.0),
    )


def save_study(study: Study, path: Path) -> None:
    """Write a study to a file that :func:`load_studies` reads."""
    np.savez_compressed(path, **study._asdict())


def load_studies(folder: Path) -> Study:
    """All studies of a folder as one.

    Raises:
        ValueError: there is none, or one is of another version of this package.
    """
    paths = sorted(folder.glob("study_*.npz"))
    if not paths:
        raise ValueError(f"no study_*.npz in {folder}")
    stored = {path: read_arrays(path) for path in paths}
    if strange := [path for path, arrays in stored.items() if arrays.keys() != set(Study._fields)]:
        raise ValueError(f"{strange[0]} is not a study of this version: remove it, and it is made again")
    return cat([Study(**arrays) for arrays in stored.values()])


def view_study(study: Study) -> ViewedStudy:
    """Truth and answers of the hands that were found, in the canonical view of the truth."""
    found = study.found
    joints = torch.from_numpy(study.joints_m[found]).double()
    view = view_keypoints(joints)
    anchor = (joints[:, hand.ANCHOR_JOINT] - joints[:, hand.WRIST]).norm(dim=-1)
    relative = (joints - joints[:, :1]) @ view.rotation.transpose(-1, -2) / anchor[:, None, None]
    fx, fy, cx, cy = torch.from_numpy(study.camera[found]).double().T[:, :, None]
    px = torch.from_numpy(study.landmarks_px[found]).double()
    rays = torch.stack(((px[..., 0] - cx) / fx, (px[..., 1] - cy) / fy, torch.ones_like(px[..., 0])), dim=-1)
    turned = rays @ view.rotation.transpose(-1, -2)
    return ViewedStudy(
        points=view.points,
        points_found=turned[..., :2] / turned[..., 2:] / view.half_extent[:, None, None],
        depth=relative[..., 2],
        depth_found=torch.from_numpy(study.depth[found]).double(),
        joints=relative,
        visible=torch.from_numpy(study.visible[found]),
        inside=torch.from_numpy(study.inside[found]),
        view_rotation=view.rotation @ torch.from_numpy(study.rotation[found]).double(),
    )
