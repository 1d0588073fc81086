"""The diffusion estimator samples hands from landmarks and image and fuses the samples into one valid hand."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.common.device import BACKENDS
from hand_pose_ros.common.named_tensors import to
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.finders import LandmarkFinder
from hand_pose_ros.detection.own.follower import HeatmapFollower, read_again
from hand_pose_ros.detection.own.landmarks import HeatmapLandmarks
from hand_pose_ros.estimator.depth_memory import DepthMemory
from hand_pose_ros.estimator.diffusion.backends import load_denoiser, takes_images
from hand_pose_ros.estimator.diffusion.conditions import CONDITIONS, ConditionMaker, HandConditions
from hand_pose_ros.estimator.diffusion.cuda_graph import GraphSampler
from hand_pose_ros.estimator.diffusion.fusion import FUSIONS, fuse_samples, reprojection_weights
from hand_pose_ros.estimator.diffusion.image_follower import ImageFollower
from hand_pose_ros.estimator.diffusion.selection import heat_weights
from hand_pose_ros.estimator.estimate import EstimatedHands
from hand_pose_ros.estimator.landmark_errors import LandmarkErrors, load_landmark_errors
from hand_pose_ros.estimator.landmark_reading import (
    load_heatmap_landmarks,
    read_depths,
    read_errors,
)
from hand_pose_ros.estimator.orientation.depths import ImageDepths, load_image_depths
from hand_pose_ros.estimator.placement import place_hands
from hand_pose_ros.estimator.smoothing import moved_samples
from hand_pose_ros.networks.condition import Encoded, KeypointCondition
from hand_pose_ros.networks.diffusion.sampling import (
    HandDenoiser,
    antithetic_noise,
    fit_samples,
    sample_joints,
)
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.registry import HAND_DIFFUSION, IMAGE_HAND_DIFFUSION, shipped_weights
from hand_pose_ros.pose import Detection, Frame

_LOGGER = logging.getLogger(__name__)
Sampler = Callable[[HandDenoiser, Encoded, Tensor, int | None, torch.Generator | None], Tensor]
"""Signature of :func:`~hand_pose_ros.networks.diffusion.sampling.sample_joints`, the default."""


@dataclass(frozen=True)
class DiffusionEstimatorConfig(Options):
    """Options of :class:`DiffusionEstimator`.

    steps: of the solver; None for ancestral sampling over all steps.
    fusion: method that fuses the samples, one of ``FUSIONS``.
    reprojection_sigma: standard deviation of the reprojection error, in half extents of the hand, that weights
        the samples; infinite for equal weights.
    hand_size_m: length of the bone wrist -> index MCP; None for the mean of adults, whose error of
        some 6 percent of the distance is part of the covariance.
    seed: of the noise, which is drawn once: identical input gives identical output.
    """

    model_file: str = option(
        "",
        "Weights (.safetensors), or the folder of an ONNX export; empty for the shipped weights: those with "
        "an image encoder if `condition` is `image` or `both`, else faster ones.",
    )
    backend: str = option(
        "auto",
        "Runs the network: `onnxruntime`, `torch`, `compiled` (torch.compile, which takes minutes to "
        "start), or `auto`: torch on CUDA and onnxruntime, the fastest there, on a CPU.",
        choices=BACKENDS,
    )
    condition: str = option(
        "auto",
        "Input of the diffusion estimator: landmarks (`keypoints`; `diffusion.landmarks` says whose), the image, "
        "by which the hand is then also tracked (`image`), or `both`; `auto` uses what the detector gives and "
        "the weights take.",
        choices=CONDITIONS,
        essential=True,
    )
    samples: int = option(
        8,
        "Poses sampled for each hand. More samples give a smoother result and take longer.",
        minimum=1,
        maximum=1024,
        essential=True,
    )
    steps: int | None = option(
        4,
        "Sampling steps; 0 for ancestral sampling over all 50 steps, which is slower and no better.",
        minimum=1,
        maximum=1000,
        unset=0,
    )
    landmarks: str = option(
        "heatmap",
        "Landmarks of the condition: those that the fast 2.5D network reads around the detector's, with their "
        "depths and errors, and by which hands are then followed (`heatmap`), or the detector's own "
        "(`detector`). Without effect with the condition `image`, which takes no landmarks.",
        choices=("heatmap", "detector"),
        essential=True,
    )
    heatmap_file: str = option(
        "", "Weights (.safetensors) of the 2.5D network that reads the landmarks; empty for the shipped ones."
    )
    image_depths: bool = option(
        True,
        "Estimate the depths of the joints from features of MediaPipe's full landmark network, instead of using "
        "its own depths. For `diffusion.landmarks: detector` with the detector `mediapipe`.",
    )
    orientation_file: str = option(
        "", "Weights of the network that estimates the depths (.safetensors); empty for the shipped weights."
    )
    landmark_errors: bool = option(
        True,
        "Add the expected errors of the landmarks to the covariances: those that the 2.5D network states, or, "
        "with `diffusion.landmarks: detector`, those estimated from features of MediaPipe's landmark network.",
    )
    landmark_error_file: str = option(
        "",
        "Weights of the network that estimates these errors (.safetensors); empty for the shipped weights.",
    )
    selection: bool = option(
        True,
        "Weigh the sampled poses by their likelihood under the image encoder's heatmaps before they are fused. "
        "Without effect where the estimator does not take the image.",
    )
    cuda_graph_hands: int = option(
        0,
        "Run all sampling steps as one CUDA graph, captured for up to this many hands; more hands are sampled "
        "step by step. 0 for no graph. It needs the backend `torch` on CUDA.",
        minimum=0,
        maximum=64,
    )
    fusion: str = "angles"
    reprojection_sigma: float = math.inf
    hand_size_m: float | None = None
    seed: int = Seed.ARBITRARY.value

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fusion not in FUSIONS:
            raise ValueError(f"fusion must be one of {FUSIONS}, got {self.fusion!r}")
        if not self.reprojection_sigma > 0:
            raise ValueError(f"reprojection_sigma must be positive, got {self.reprojection_sigma}")
        if self.hand_size_m is not None and not 0 < self.hand_size_m < math.inf:
            raise ValueError(f"hand_size_m must be positive and finite, got {self.hand_size_m}")

    def create(self, hand_size_m: float | None, device: str) -> DiffusionEstimator:
        """The estimator with its weights; raises ValueError as :func:`load_denoiser` and the estimator do."""
        takes_image = self.condition in ("image", "both")
        model = self.model_file or shipped_weights(IMAGE_HAND_DIFFUSION if takes_image else HAND_DIFFUSION)
        denoiser, spread_scale = load_denoiser(model, self.backend, device)
        config = replace(self, hand_size_m=hand_size_m)
        landmarks = depths = errors = None
        if self.condition != "image" and self.landmarks == "heatmap":
            landmarks = load_heatmap_landmarks(self.heatmap_file, self.backend, device)
        if self.image_depths and self.condition != "image" and landmarks is None:
            depths = load_image_depths(self.orientation_file, self.backend, device)
        if self.landmark_errors and landmarks is None:
            errors = load_landmark_errors(self.landmark_error_file)
        sampler = self._sampler(denoiser)
        return DiffusionEstimator(denoiser, spread_scale, config, sampler, depths, errors, landmarks)

    def _sampler(self, denoiser: HandDenoiser) -> Sampler:
        """The sampler; a graph holds only what PyTorch itself launches on CUDA."""
        if not self.cuda_graph_hands:
            return sample_joints
        if isinstance(denoiser, torch.nn.Module) and denoiser.mean.is_cuda:
            return GraphSampler(denoiser, self.cuda_graph_hands, self.samples, self.steps)
        _LOGGER.warning("cuda_graph_hands has no effect: it needs the backend 'torch' on CUDA")
        return sample_joints


class DiffusionEstimator:
    """A :class:`~hand_pose_ros.estimator.estimate.PoseEstimator` that samples hands from the diffusion network."""

    def __init__(
        self,
        denoiser: HandDenoiser,
        spread_scale: float = 1.0,
        config: DiffusionEstimatorConfig | None = None,
        sampler: Sampler = sample_joints,
        depths: ImageDepths | None = None,
        landmark_errors: LandmarkErrors | None = None,
        landmarks: HeatmapLandmarks | None = None,
    ) -> None:
        """Make an estimator of its parts.

        Args:
            spread_scale: factor on the samples' spread, from the weights.
            sampler: draws the samples. depths: tells the joints' depths; None for the detector's own.
            landmark_errors: tells the expected errors of the landmarks; None if nothing tells them.
            landmarks: reads the landmarks, their depths and errors; None for those of the detector.

        Raises:
            ValueError: more steps than the diffusion has, or a condition that the network does not take.
        """
        self._denoiser = denoiser
        self._config = config or DiffusionEstimatorConfig()
        self._conditions = ConditionMaker(denoiser, self._config.condition)
        self._spread_scale = spread_scale
        self._sampler = sampler
        self._depths = depths
        self._landmark_errors = landmark_errors
        self._landmarks = landmarks
        self._memory = DepthMemory()
        total = denoiser.schedule.steps
        if self._config.steps is not None and self._config.steps > total:
            raise ValueError(
                f"steps must be at most {total}, those of the diffusion, got {self._config.steps}"
            )
        # The first noise is drawn on the CPU, so that it is the same on every device.
        generator = torch.Generator().manual_seed(self._config.seed)
        self._noise = antithetic_noise(self._config.samples, generator).to(denoiser.mean)
        self._generator = torch.Generator(denoiser.mean.device).manual_seed(self._config.seed)

    def finder(self, landmarks: LandmarkFinder) -> LandmarkFinder:
        """Hands are tracked by the image encoder if it is the only input, else by what reads the landmarks."""
        if self._config.condition == "image" and takes_images(self._denoiser):
            return ImageFollower(self._denoiser, landmarks)
        if self._landmarks is None or isinstance(landmarks, HeatmapLandmarks):
            return landmarks
        return HeatmapFollower(landmarks, self._landmarks)

    def estimate(self, frame: Frame, detections: list[Detection]) -> EstimatedHands:
        """See :class:`~hand_pose_ros.estimator.estimate.PoseEstimator`.

        Only the depths that a 2.5D network has read of a track pass from frame to frame.
        """
        if self._landmarks is not None:
            detections = [read_again(self._landmarks, frame, one) for one in detections]
        views: dict[int, tuple[KeypointView, KeypointCondition]] = {}
        reasons: dict[int, str] = {}
        for row, detection in enumerate(detections):
            try:
                views[row] = self._conditions.view(frame, detection)
            except ValueError as error:
                reasons[row] = str(error)
        if not views:
            return EstimatedHands(detections, reasons=reasons)
        conditions = self._conditions.conditions(
            frame, [detections[row] for row in views], list(views.values())
        )
        seen = [detections[row] for row in views]
        if self._depths is not None:
            conditions = conditions._replace(keypoints=self._depths.in_place(conditions.keypoints, seen))
        keypoints = read_depths(conditions.keypoints, seen)
        keypoints = keypoints._replace(depth=self._memory.filtered(keypoints.depth, seen, frame.time_s))
        conditions = conditions._replace(keypoints=keypoints)
        hands, samples, weights = self._sampled(conditions)
        errors = None if self._landmark_errors is None else self._landmark_errors.expected(seen)
        if self._config.landmark_errors:
            errors = read_errors(errors, seen)
        return EstimatedHands(
            detections,
            tuple(views),
            reasons,
            conditions.view,
            hands,
            samples,
            weights,
            self._spread_scale,
            self._config.hand_size_m,
            landmark_error=errors,
        )

    def reset(self) -> None:
        """Forget the depths of earlier frames."""
        self._memory.reset()

    @torch.inference_mode()
    def _sampled(self, conditions: HandConditions) -> tuple[HandParameters, HandParameters, Tensor]:
        """Return n hands, fields (n, ...), fused from samples, fields (n, S, ...), with weights (n, S).

        Where the samples are selected by the image, they are moved onto the selected hand and keep their weights,
        so that the uncertainty is that of all of them: few samples hold most of the likelihood.
        """
        denoiser, config, view = self._denoiser, self._config, conditions.view
        encoded = denoiser.encode(to(conditions.keypoints, denoiser.mean.device), conditions.image)
        x0 = self._sampler(denoiser, encoded, self._noise, config.steps, self._generator)
        samples = fit_samples(denoiser, encoded, x0)
        weights = torch.full(samples.angles.shape[:2], 1 / config.samples)
        if math.isfinite(config.reprojection_sigma):
            placed = place_hands(samples.joints.cpu(), view.points, view.half_extent, config.hand_size_m)
            residual = placed.root.residual / view.half_extent[:, None]
            weights = reprojection_weights(residual.float(), config.reprojection_sigma)
        hands = fuse_samples(samples, weights.to(samples.joints.device), config.fusion, denoiser, encoded)
        if not config.selection or conditions.log_heat is None or not takes_images(denoiser):
            return hands, samples, weights
        joints, maps = samples.joints.cpu(), conditions.log_heat.cpu()
        likely = heat_weights(joints, view, maps, denoiser.crops.margin, config.hand_size_m, weights)
        selected = fuse_samples(samples, likely.to(samples.joints), config.fusion, denoiser, encoded)
        return selected, moved_samples(samples, hands, selected), weights
