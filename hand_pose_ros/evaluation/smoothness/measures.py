"""Measures error, jitter and lag over time, per frame and with the temporal transformer."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.estimator.temporal.smoother import TemporalSmoother, TrackedHands
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.temporal.transformer import TemporalTransformer
from hand_pose_ros.synthetic.motion.videos import HandVideos

LOST: Final = 0.4
"""Share of dropped frames in the test of robustness."""
_SHIFTS: Final = torch.arange(-1.0, 4.01, 0.1)  # frames


class Published(NamedTuple):
    """Joints (n, F, 21, 3) from the wrist, in the camera's frame, in anchor lengths; NaN for lost frames."""

    single: Tensor
    temporal: Tensor


def smoothness(
    model: TemporalTransformer, videos: HandVideos, generator: torch.Generator
) -> dict[str, float]:
    """Return the figures of the temporal transformer, and of D* per frame (``frame_``).

    mm, frame_mm: mean joint error. jitter, frame_jitter: mean norm of the second difference of the error, mm per
    frame squared. lag, frame_lag: delay in frames. lost_mm, lost_frame_mm: errors with 40 % of the frames
    dropped. first_mm, first_frame_mm: errors of the first frame of each track.
    """
    truth = videos.true_joints
    whole = publish(model, videos, torch.ones_like(videos.window.valid))
    arrived = torch.rand(videos.window.valid.shape, generator=generator) >= LOST
    lost = publish(model, videos, arrived)
    figures = {}
    for name, joints in (("", whole.temporal), ("frame_", whole.single)):
        error = hand.MEAN_ANCHOR_LENGTH_MM * (joints - truth)
        figures[f"{name}mm"] = float(error.norm(dim=-1).mean())
        figures[f"{name}jitter"] = float(error.diff(n=2, dim=1).norm(dim=-1).mean())
        figures[f"{name}lag"] = lag_frames(joints, truth)
        figures[f"first_{name}mm"] = float(error[:, 0].norm(dim=-1).mean())
    for name, joints in (("lost_", lost.temporal), ("lost_frame_", lost.single)):
        figures[f"{name}mm"] = float(
            (hand.MEAN_ANCHOR_LENGTH_MM * (joints - truth)).norm(dim=-1)[arrived].mean()
        )
    return figures


@torch.no_grad()
def publish(model: TemporalTransformer, videos: HandVideos, arrived: Tensor) -> Published:
    """Run the run-time smoother on videos of which only the frames ``arrived`` (n, F) exist."""
    smoother = TemporalSmoother(model)
    device = next(model.parameters()).device
    shape = videos.true_joints.shape
    single, temporal = (torch.full(shape, torch.nan) for _ in range(2))
    for frame in range(shape[1]):
        (rows,) = torch.nonzero(arrived[:, frame], as_tuple=True)
        if not len(rows):
            continue
        at = videos.at(rows, torch.full((len(rows), 1), frame))
        window, view = at.window, at.views[:, 0].to(device)
        turned = window._replace(
            **{name: getattr(window, name).to(device) for name in ("joints", "rotation")}
        )
        turned = turned.turned(view)
        angles, proportions = window.angles[:, 0].to(device), at.proportions[:, 0].to(device)
        rotation = turned.rotation[:, 0]
        fused = HandParameters(
            angles, proportions, rotation, *forward_kinematics(angles, proportions, rotation)
        )
        hands = TrackedHands(rows.tolist(), ["right"] * len(rows), window.stamps_s[:, 0].tolist(), view)
        smoothed = smoother.newest(hands, turned.joints[:, 0], window.sigma[:, 0].to(device), fused)
        single[rows, frame] = (fused.joints @ view).cpu()
        temporal[rows, frame] = (smoothed.joints @ view).cpu()
    return Published(single, temporal)


def lag_frames(joints: Tensor, truth: Tensor) -> float:
    """Return the delay in frames of ``joints`` (n, F, 21, 3): the shift of highest correlation with the truth.

    Both are taken as deviations from their mean over the frames; between frames the truth is interpolated.
    """
    frames = torch.arange(joints.shape[1])
    inner = frames[4:-1]
    correlations = []
    moved = joints[:, inner] - joints[:, inner].mean(1, keepdim=True)
    for shift in _SHIFTS.tolist():
        place = inner - shift
        low = place.floor().long()
        share = (place - low)[:, None, None]
        delayed = torch.lerp(truth[:, low], truth[:, (low + 1).clamp(max=len(frames) - 1)], share)
        delayed = delayed - delayed.mean(1, keepdim=True)
        correlations.append((moved * delayed).sum() / (moved.norm() * delayed.norm()))
    return float(_SHIFTS[int(torch.stack(correlations).argmax())])
