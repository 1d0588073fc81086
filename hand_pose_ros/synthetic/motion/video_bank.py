"""Generated videos made once, and the clips and windows that training cuts from them."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import cat, each
from hand_pose_ros.files.atomic_file import atomic_path
from hand_pose_ros.files.bounded_text import shortened
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds
from hand_pose_ros.networks.temporal.window import HandWindow, newest_view, running_proportions
from hand_pose_ros.rotations import rotation_from_vector
from hand_pose_ros.synthetic.motion.videos import FrameEstimator, HandVideos, sample_videos
from hand_pose_ros.synthetic.poses.sampler import PoseSampler

_AT_ONCE = 64
_SKIPPING, _SKIPPED = (
    0.3,
    0.35,
)  # share of clips that leave frames out, and share of the frames that they leave out
_MASKED, _BEGINNING = 0.7, 0.2  # share of clips with hidden frames, and with a track that begins in them
_log = logging.getLogger(__name__)


class Windows(NamedTuple):
    """m windows, turned into the view of their newest valid frame.

    window: fields (m, F, ...). proportions: (m, 20) of the track, up to the newest frame.
    view: (m, 3, 3) R_view_camera. true_angles, true_rotation, true_joints: as in :class:`HandVideos`, turned.
    """

    window: HandWindow
    proportions: Tensor
    view: Tensor
    true_angles: Tensor
    true_rotation: Tensor
    true_joints: Tensor


def make_videos(
    count: int,
    frames: int,
    estimate: FrameEstimator,
    generator: torch.Generator,
    landmarks: str = "mediapipe",
) -> HandVideos:
    """``count`` random videos, in batches, with a line in the log now and then.

    ``landmarks``: whose errors the keypoints have, see :func:`~hand_pose_ros.synthetic.detector.noise.noise_of`.
    """
    sampler, parts = PoseSampler(), []
    for start in range(0, count, _AT_ONCE):
        many = min(_AT_ONCE, count - start)
        parts.append(sample_videos(many, frames, sampler, estimate, generator, landmarks))
        if start // _AT_ONCE % 5 == 0:
            _log.info("made %d of %d videos", start + len(parts[-1].views), count)
    return cat(parts)


def save_videos(path: str | Path, videos: HandVideos, made_with: dict) -> None:
    """Write a bank; ``made_with`` says what it was made with."""
    with atomic_path(path) as unfinished:
        torch.save(
            {"made_with": made_with, "window": tuple(videos.window), "rest": tuple(videos[1:])}, unfinished
        )


def load_videos(path: str | Path, made_with: dict) -> HandVideos:
    """Read a bank of :func:`save_videos`.

    Raises:
        ValueError: it is damaged, or was made with something else.
    """
    try:
        stored = torch.load(path, weights_only=True)
    except (RuntimeError, EOFError, ValueError, TypeError, KeyError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} cannot be read as videos: {shortened(str(error))}") from error
    if not isinstance(stored, dict) or not stored.keys() >= {"made_with", "window", "rest"}:
        raise ValueError(f"{path} holds no videos")
    if stored["made_with"] != made_with:
        raise ValueError(f"{path} was made with {stored['made_with']}, not with {made_with}: remove it")
    return HandVideos(HandWindow(*stored["window"]), *stored["rest"])


def random_clips(
    videos: HandVideos, count: int, frames: int, window: int, hidden: float, generator: torch.Generator
) -> HandVideos:
    """``count`` random clips of ``frames`` frames, some left out between them, and some of them hidden.

    Every window of ``window`` frames has a valid one. Tracks may begin in a clip: all before is hidden.

    Raises:
        ValueError: the videos are shorter than the clips, or windows so short that a clip's share no frame.
    """
    if not window <= frames < 2 * window:
        raise ValueError(f"frames must lie in [{window}, {2 * window - 1}], got {frames}")
    made, length = videos.views.shape[:2]
    if length < frames:
        raise ValueError(f"clips of {frames} frames cannot be cut from videos of {length}")
    chosen = torch.randint(made, (count,), generator=generator)
    skips = torch.rand(count, frames - 1, generator=generator) < _SKIPPED
    skips &= torch.rand(count, 1, generator=generator) < _SKIPPING
    # As many frames as the video has may be left out, and no more.
    spare = (skips.long().cumsum(1) <= length - frames) & skips
    places = torch.nn.functional.pad((1 + spare.long()).cumsum(1), (1, 0))
    free = length - places[:, -1]
    places = places + (torch.rand(count, generator=generator) * free).long().clamp(max=free - 1)[:, None]
    clips = videos.at(chosen, places)

    share = hidden * torch.rand(count, 1, generator=generator)
    share = torch.where(torch.rand(count, 1, generator=generator) < _MASKED, share, 0.0)
    valid = torch.rand(count, frames, generator=generator) >= share
    begin = torch.randint(1, window, (count, 1), generator=generator)
    begins = torch.rand(count, 1, generator=generator) < _BEGINNING
    valid &= ~begins | (torch.arange(frames) >= begin)
    in_all = valid[:, frames - window : window]  # the frames that all windows of a clip share
    valid[:, window - 1] |= ~in_all.any(1)
    return clips._replace(window=clips.window._replace(valid=valid))


def varied(videos: HandVideos, angle_rad: float, turn_rad: float, generator: torch.Generator) -> HandVideos:
    """Videos of other hands with the same errors: estimates and truth of all frames bent and turned alike.

    So that a network sees every error in many poses, and cannot learn by heart which pose had which.

    Args:
        angle_rad: standard deviation of the change of each angle. turn_rad: of the turn, about each axis.
    """
    window, bounds = videos.window, angle_bounds()
    count = len(videos.views)
    bend = angle_rad * torch.randn(count, 1, hand.NUM_ANGLES, generator=generator)
    turn = rotation_from_vector(turn_rad * torch.randn(count, 3, generator=generator))[:, None]

    def bent(angles: Tensor, rotation: Tensor, joints: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        other = bounds.clamp(angles + bend)
        before = forward_kinematics(angles, videos.proportions, rotation).joints
        after = forward_kinematics(other, videos.proportions, rotation).joints
        return other, turn @ rotation, (joints + after - before) @ turn.transpose(-1, -2)

    angles, rotation, joints = bent(window.angles, window.rotation, window.joints)
    true_angles, true_rotation, true_joints = bent(
        videos.true_angles, videos.true_rotation, videos.true_joints
    )
    return videos._replace(
        window=window._replace(angles=angles, rotation=rotation, joints=joints),
        true_angles=true_angles,
        true_rotation=true_rotation,
        true_joints=true_joints,
    )


def cut_windows(videos: HandVideos, size: int) -> Windows:
    """Every window of ``size`` frames of n videos: (n (F - size + 1), ...), those of a video in a row."""

    def cut(value: Tensor) -> Tensor:
        return value.unfold(1, size, 1).movedim(-1, 2).flatten(0, 1)

    window = each(cut, videos.window)
    proportions = running_proportions(videos.proportions, videos.window.sigma, videos.window.valid)
    view = newest_view(cut(videos.views), window.valid)
    turn = view[:, None]
    return Windows(
        window.turned(view),
        proportions[:, size - 1 :].flatten(0, 1),
        view,
        cut(videos.true_angles),
        turn @ cut(videos.true_rotation),
        cut(videos.true_joints) @ turn.transpose(-1, -2),
    )
