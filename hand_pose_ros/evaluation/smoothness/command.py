"""Measures jitter, lag and error per frame and with the temporal transformer, and writes tables and plots.

It uses generated videos and, if given, labelled videos and one without labels, compared with the detector's 3D.

    hand_pose smoothness --output docs/images --docs docs/results/temporal.md
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

import torch

from hand_pose_ros import hand
from hand_pose_ros.common.named_tensors import cat
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.mediapipe.finders import create_finders
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.temporal.smoother import TemporalSmoother
from hand_pose_ros.evaluation.report import replace_between_markers
from hand_pose_ros.evaluation.smoothness.measures import Published, publish, smoothness
from hand_pose_ros.evaluation.smoothness.videos import (
    LabelledFrame,
    VideoJoints,
    follow,
    labelled_table,
    labelled_videos,
    plot_labelled,
    save_panels,
    unlabelled_table,
    unlabelled_video,
)
from hand_pose_ros.networks.registry import HAND_DIFFUSION, TEMPORAL, load_network, shipped_weights
from hand_pose_ros.synthetic.motion.frame_stamps import random_stamps
from hand_pose_ros.synthetic.motion.hand_motion import sample_motion
from hand_pose_ros.synthetic.motion.videos import DiffusionFrames, HandVideos, estimated_videos
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.tracking.landmark_tracker import LandmarkTracker

_FRAMES, _RATE_HZ = 30, 30.0
_AT_ONCE = 50
_JOINTS = ("index_tip", "thumb_tip", "little_tip")
_ROWS = (
    ("mean joint error, mm", "frame_mm", "mm"),
    ("jitter: second difference of the error, mm per frame squared", "frame_jitter", "jitter"),
    ("lag, frames", "frame_lag", "lag"),
    ("error of the first frame of a track, mm", "first_frame_mm", "first_mm"),
    ("error with 40 % of the frames dropped, mm", "lost_frame_mm", "lost_mm"),
)
_ERRORS_OF = {"heatmap": "heatmap", "detector": "mediapipe"}
"""Landmarks of the estimator -> the noise model of generated videos."""
_log = logging.getLogger(__name__)


def held_out_videos(
    count: int, frames: DiffusionFrames, regular: bool, landmarks: str = "mediapipe"
) -> HandVideos:
    """Make ``count`` videos that are not used in training, at 30 Hz or with stamps of many kinds of cameras.

    ``landmarks``: whose errors the keypoints have, see :func:`~hand_pose_ros.synthetic.detector.noise.noise_of`.
    """
    generator = torch.Generator().manual_seed(Seed.VIDEOS.at(int(regular)))
    sampler, parts = PoseSampler(), []
    for start in range(0, count, _AT_ONCE):
        size = min(_AT_ONCE, count - start)
        stamps = (torch.arange(_FRAMES) / _RATE_HZ).expand(size, -1)
        if not regular:
            stamps = random_stamps(size, _FRAMES, generator)
        motion = sample_motion(size, _FRAMES, sampler, generator, stamps)
        parts.append(estimated_videos(motion, frames, generator, landmarks))
        _log.info("made %d of %d videos", start + size, count)
    return cat(parts)


def table(figures: dict[str, float]) -> str:
    """Format the figures of :func:`smoothness` as a Markdown table."""
    lines = ["| | per frame | temporal | change |", "|---|---|---|---|"]
    for title, single, temporal in _ROWS:
        before, after = figures[single], figures[temporal]
        change = "" if "lag" in single else f"{100 * (after / before - 1):+.1f} %"
        lines.append(f"| {title} | {before:.2f} | {after:.2f} | {change} |")
    return "\n".join(lines) + "\n"


def plot(path: Path, videos: HandVideos, published: Published, shown: int = 4) -> None:
    """Plot a coordinate of some joints over time, for the first videos: truth, per frame, temporal."""
    from matplotlib.figure import Figure  # only here: it takes long to load

    figure = Figure(figsize=(3 * len(_JOINTS), 2.1 * shown + 0.5), layout="constrained")
    axes = figure.subplots(shown, len(_JOINTS), squeeze=False)
    scale = hand.MEAN_ANCHOR_LENGTH_MM
    for row, video in zip(axes, range(shown), strict=True):
        times = videos.window.stamps_s[video]
        for axis, name in zip(row, _JOINTS, strict=True):
            joint, coordinate = hand.JOINT_INDEX[name], video % 3
            for joints, style, label in (
                (videos.true_joints, "k-", "truth"),
                (published.single, "C1.-", "per frame"),
                (published.temporal, "C0.-", "temporal"),
            ):
                axis.plot(times, scale * joints[video, :, joint, coordinate], style, label=label, lw=1, ms=3)
            axis.set_title(f"video {video + 1}: {name.replace('_', ' ')}", fontsize=9)
        row[0].set_ylabel(f"{'xyz'[video % 3]} from the wrist (mm)", fontsize=9)
    save_panels(path, figure, axes, "time (s)")


def generated(options: argparse.Namespace) -> str:
    """Measure on generated videos, plot some, and return the tables."""
    diffusion = load_network(options.diffusion, HAND_DIFFUSION).network
    frames = DiffusionFrames(diffusion, options.samples, options.steps)
    model = load_network(options.temporal, TEMPORAL).network
    texts = []
    for name, regular in (("at 30 Hz", True), ("with the stamps of all kinds of cameras", False)):
        videos = held_out_videos(options.videos, frames, regular, _ERRORS_OF[options.landmarks])
        figures = smoothness(model, videos, torch.Generator().manual_seed(Seed.VIDEOS))
        texts.append(f"**{options.videos} generated videos, {name}**\n\n{table(figures)}")
        if regular:
            published = publish(model, videos, torch.ones_like(videos.window.valid))
            plot(options.output / "smoothness.png", videos, published, min(3, options.videos))
    return "\n".join(texts)


def real(options: argparse.Namespace) -> str:
    """Measure on the given videos, plot the labelled ones, and return the tables; empty without videos."""
    smoother = TemporalSmoother(load_network(options.temporal, TEMPORAL).network)
    config = DiffusionEstimatorConfig(model_file=str(options.diffusion), landmarks=options.landmarks)
    estimator = config.create(None, "cpu")

    def followed(frames: Iterable[LabelledFrame]) -> VideoJoints:
        palms, landmarks = create_finders()
        tracker = LandmarkTracker(palms, estimator.finder(landmarks))
        return follow(frames, tracker, estimator, smoother, LandmarkTracker(*create_finders()))

    texts = []
    if options.labelled:
        videos = {name: followed(frames) for name, frames in labelled_videos(options.labelled).items()}
        texts.append(f"**Labelled videos, {options.labelled.name}**\n\n{labelled_table(videos)}")
        plot_labelled(options.output / "smoothness_labelled.png", videos)
    if options.video:
        frames = unlabelled_video(options.video, options.fov, options.side)
        table_of_video = unlabelled_table(followed(frames))
        texts.append(f"**A video without labels, {options.video.stem}**\n\n{table_of_video}")
    return "\n".join(texts)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(prog="hand_pose smoothness", description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--diffusion",
        type=Path,
        default=shipped_weights(HAND_DIFFUSION),
        help="weights of the diffusion estimator",
    )
    parser.add_argument(
        "--temporal",
        type=Path,
        default=shipped_weights(TEMPORAL),
        help="weights of the transformer",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the plots")
    parser.add_argument("--docs", type=Path, help="document whose tables are replaced, between its markers")
    parser.add_argument("--videos", type=int, default=200, help="number of generated videos")
    parser.add_argument("--samples", type=int, default=8, help="samples of the diffusion per frame")
    parser.add_argument("--steps", type=int, default=4, help="sampling steps")
    parser.add_argument(
        "--landmarks",
        choices=tuple(_ERRORS_OF),
        default=DiffusionEstimatorConfig.landmarks,
        help="landmarks of the estimator: those of the fast 2.5D network, or the detector's",
    )
    parser.add_argument("--labelled", type=Path, help="folder of labelled photos, with consecutive ones")
    parser.add_argument("--video", type=Path, help="video of one hand, without labels")
    parser.add_argument(
        "--fov", type=float, default=60.0, help="horizontal field of view of --video, degrees"
    )
    parser.add_argument("--side", choices=hand.SIDES, default="right", help="side of the hand in --video")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        text = generated(options)
        if options.labelled or options.video:
            text += "\n" + real(options)
        if options.docs:
            replace_between_markers(options.docs, text, "hand_pose smoothness")
    except (ValueError, FileNotFoundError) as error:
        parser.exit(2, f"hand_pose smoothness: {error}\n")
    sys.stdout.write(text)
    return 0
