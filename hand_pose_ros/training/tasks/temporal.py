"""The task trains the temporal transformer on generated videos with detector noise and diffusion estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.evaluation.smoothness.measures import smoothness
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.registry import HAND_DIFFUSION, load_network
from hand_pose_ros.networks.temporal.transformer import TemporalConfig, TemporalTransformer
from hand_pose_ros.synthetic.detector.statistics import STATISTICS
from hand_pose_ros.synthetic.motion.video_bank import (
    Windows,
    cut_windows,
    load_videos,
    make_videos,
    random_clips,
    save_videos,
    varied,
)
from hand_pose_ros.synthetic.motion.videos import DiffusionFrames, FrameEstimator, HandVideos

_MORE_FRAMES: Final = 2  # per clip than per window: an acceleration needs three windows in a row
_SIGMA_SPREAD: Final = 0.2  # of log sigma, which depends on the number of samples and steps


@dataclass(frozen=True)
class TemporalLosses:
    """Weights of the loss terms, all L1; 0 leaves a term out.

    camera, canonical: joints in the window's frame and in the wrist's, anchor lengths. angles: radians.
    velocity, acceleration: first and second differences, from window to window, of the newest frame's joints in
        the camera's frame, against those of the truth; they reduce jitter of the output.
    older: weight of a frame that is not the newest, whose weight is 1.
    """

    camera: float = 2.0
    canonical: float = 1.0
    angles: float = 0.2
    velocity: float = 1.0
    acceleration: float = 0.4
    older: float = 0.05


@dataclass(frozen=True)
class TemporalOptions:
    """Options of the task ``temporal``.

    diffusion: weight file of the frozen diffusion network. videos, frames: size of the bank, which is made once,
        before the first step. samples, sample_steps: of the diffusion; fewer than at run time cost less and have
        similar errors.
    landmarks: whose errors the videos' keypoints have, ``mediapipe`` or ``heatmap``, the fast 2.5D network.
    bank: file that stores the bank, and is read if it exists; empty for none.
    batch_size: clips per step; each has two frames more than a window. hidden: largest share of hidden frames.
    bend_rad, turn_rad: random bend and turn of hands and their estimates alike, see ``varied``.
    validation_videos: size of the fixed set that validation uses.
    """

    diffusion: str
    videos: int = 2400
    frames: int = 24
    samples: int = 4
    sample_steps: int = 4
    landmarks: str = "mediapipe"
    bank: str = ""
    batch_size: int = 96
    hidden: float = 0.5
    bend_rad: float = 0.1
    turn_rad: float = 0.15
    validation_videos: int = 60
    losses: TemporalLosses = field(default_factory=TemporalLosses)
    network: TemporalConfig = field(default_factory=TemporalConfig)

    def __post_init__(self) -> None:
        if self.landmarks not in STATISTICS:
            raise ValueError(f"landmarks must be one of {tuple(STATISTICS)}, got {self.landmarks!r}")


class TemporalSmoothing:
    """The task trains :class:`TemporalTransformer`; ``estimate`` makes the frames' own estimates."""

    def __init__(self, options: TemporalOptions, estimate: FrameEstimator) -> None:
        self.options = options
        self.model = TemporalTransformer(options.network)
        self._estimate = estimate
        self._bank: HandVideos | None = None
        self._validation: HandVideos | None = None

    @classmethod
    def from_options(cls, options: Mapping) -> TemporalSmoothing:
        """Make the task from the ``options`` of a training file.

        Raises:
            ValueError: an unknown or missing option, or missing diffusion weights.
        """
        read = read_dataclass(TemporalOptions, options)
        diffusion = load_network(read.diffusion, HAND_DIFFUSION).network
        return cls(read, DiffusionFrames(diffusion, read.samples, read.sample_steps))

    def metadata(self) -> dict:
        """Return the network's configuration."""
        return self.model.config.to_dict()

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted loss terms of windows from the bank, with new masks."""
        if self._bank is None:
            self._bank = self._filled_bank()
        options, size = self.options, self.model.config.window
        clips = random_clips(
            self._bank, options.batch_size, size + _MORE_FRAMES, size, options.hidden, generator
        )
        clips = varied(clips, options.bend_rad, options.turn_rad, generator)
        level = torch.exp(_SIGMA_SPREAD * torch.randn(options.batch_size, 1, 1, generator=generator))
        clips = clips._replace(window=clips.window._replace(sigma=level * clips.window.sigma))
        windows = to(cut_windows(clips, size), next(self.model.parameters()).device)
        hands = self.model(windows.window, windows.proportions)
        terms = self._frame_terms(hands, windows) | self._motion_terms(hands, windows)
        return {name: term for name, term in terms.items() if getattr(options.losses, name)}

    def make_data(self) -> None:
        """Make the bank, if a file stores it."""
        if self.options.bank and self._bank is None:
            self._bank = self._filled_bank()

    @torch.no_grad()
    def validate(self, model: TemporalTransformer) -> dict[str, float]:
        """Evaluate :func:`~hand_pose_ros.evaluation.smoothness.measures.smoothness`, always on the same videos."""
        if self._validation is None:
            generator = torch.Generator().manual_seed(Seed.TEMPORAL_VALIDATION)
            self._validation = make_videos(
                self.options.validation_videos,
                self.options.frames,
                self._estimate,
                generator,
                self.options.landmarks,
            )
        return smoothness(model, self._validation, torch.Generator().manual_seed(Seed.TEMPORAL_VALIDATION))

    def _filled_bank(self) -> HandVideos:
        options = self.options
        made_with = {
            "videos": options.videos,
            "frames": options.frames,
            "samples": options.samples,
            "sample_steps": options.sample_steps,
            "landmarks": options.landmarks,
        }
        if options.bank and Path(options.bank).is_file():
            return load_videos(options.bank, made_with)
        generator = torch.Generator().manual_seed(Seed.TEMPORAL_BANK)
        videos = make_videos(options.videos, options.frames, self._estimate, generator, options.landmarks)
        if options.bank:
            save_videos(options.bank, videos, made_with)
        return videos

    def _frame_terms(self, hands: HandParameters, windows: Windows) -> dict[str, Tensor]:
        """Return the errors of all frames; the newest has the largest weight."""
        losses = self.options.losses
        weights = hands.angles.new_full((hands.angles.shape[1],), losses.older)
        weights[-1] = 1.0
        weights = weights / weights.sum()

        def mean(error: Tensor) -> Tensor:
            return (error.abs().flatten(2).mean((0, 2)) * weights).sum()

        canonical = hands.joints @ hands.rotation - windows.true_joints @ windows.true_rotation
        return {
            "camera": losses.camera * mean(hands.joints - windows.true_joints),
            "canonical": losses.canonical * mean(canonical),
            "angles": losses.angles * mean(hands.angles - windows.true_angles),
        }

    def _motion_terms(self, hands: HandParameters, windows: Windows) -> dict[str, Tensor]:
        """Return the changes of the newest frame's error from window to window, in the camera's frame."""
        losses = self.options.losses
        error = (hands.joints[:, -1] - windows.true_joints[:, -1]) @ windows.view
        error = error.unflatten(0, (-1, 1 + _MORE_FRAMES))
        return {
            "velocity": losses.velocity * error.diff(dim=1).abs().mean(),
            "acceleration": losses.acceleration * error.diff(n=2, dim=1).abs().mean(),
        }
