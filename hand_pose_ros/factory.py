"""Builds the pipeline that a configuration asks for."""

from __future__ import annotations

from dataclasses import dataclass

from hand_pose_ros.common.device import DEVICES
from hand_pose_ros.common.share import share_file
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.estimator.diffusion.backends import BACKENDS, load_denoiser, sees_pictures
from hand_pose_ros.estimator.diffusion.conditions import CONDITIONS
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.diffusion.image_follower import ImageFollower
from hand_pose_ros.estimator.ik import IkEstimator, IkEstimatorConfig
from hand_pose_ros.estimator.root_filter import RootFilter
from hand_pose_ros.estimator.temporal.network import load_temporal_network
from hand_pose_ros.estimator.temporal.smoother import TemporalSmoother
from hand_pose_ros.networks.diffusion.sampling import HandImageDenoiser
from hand_pose_ros.pipeline import HandPipeline
from hand_pose_ros.tracking.identities import IdentityConfig
from hand_pose_ros.tracking.landmark_tracker import LandmarkTracker, LandmarkTrackerConfig
from hand_pose_ros.tracking.tracker import HandTracker

DETECTORS = ("mediapipe", "onnx")
TRACKERS = ("auto", "landmarks", "detector")
"""How hands are followed: each in a crop of its own by MediaPipe's landmark network, or by running the detector on
every frame. 'auto' is 'landmarks' for the detector 'mediapipe', 'detector' for others."""
ESTIMATORS = ("diffusion", "ik")
SHIPPED_MODEL = "models/hand_diffusion.safetensors"
"""The diffusion estimator's weights, in the package's share folder: those that are told of landmarks alone."""
SHIPPED_IMAGE_MODEL = "models/hand_image_diffusion.safetensors"
"""Those that see pictures, too."""
SHIPPED_TEMPORAL_MODEL = "models/temporal.safetensors"
"""The temporal transformer's."""


@dataclass(frozen=True)
class PipelineConfig:
    """What the pipeline is made of.

    detector: one of ``DETECTORS``. detector_model: the detector's model file; empty for the one that MediaPipe
        brings. tracker: one of ``TRACKERS``.
    mirrored: the camera's image is mirrored, as a selfie view is; it is turned back before anything else.
    estimator: one of ``ESTIMATORS``. hand_size_m: the user's bone wrist -> index MCP in metres, None if unknown.
    estimator_model: weights of the diffusion estimator, or folder of its ONNX export; empty for the shipped ones,
        which see pictures where ``condition`` is 'image' or 'both'.
    estimator_backend: what runs it, one of ``BACKENDS``.
    condition: what it is told of a hand, one of ``CONDITIONS``; with 'image' the tracker follows hands by their
        pictures, too. samples, steps: see ``DiffusionEstimatorConfig``.
    temporal: smooth hands over time, with any estimator. temporal_model: weights of the transformer that
        does it; empty for the shipped ones. temporal_window: frames that it sees; None for all that it can.
    root_filter: filter the wrist's position over time, with any estimator.
    device: where networks run, one of ``DEVICES``.
    """

    detector: str = "mediapipe"
    detector_model: str = ""
    tracker: str = "auto"
    max_hands: int = 2
    min_detection_confidence: float = 0.5
    min_tracking_confidence: float = 0.5
    mirrored: bool = False
    estimator: str = "diffusion"
    estimator_model: str = ""
    estimator_backend: str = "auto"
    condition: str = DiffusionEstimatorConfig.condition
    samples: int = DiffusionEstimatorConfig.samples
    steps: int | None = DiffusionEstimatorConfig.steps
    temporal: bool = True
    temporal_model: str = ""
    temporal_window: int | None = None
    root_filter: bool = True
    hand_size_m: float | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        allowed = {
            "detector": DETECTORS,
            "tracker": TRACKERS,
            "estimator": ESTIMATORS,
            "estimator_backend": BACKENDS,
            "condition": CONDITIONS,
            "device": DEVICES,
        }
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")
        if self.tracker == "landmarks" and self.detector != "mediapipe":
            raise ValueError(
                f"the tracker 'landmarks' runs MediaPipe's networks: it needs the detector 'mediapipe', not "
                f"{self.detector!r}"
            )

    @property
    def follows_landmarks(self) -> bool:
        """Whether the tracker is 'landmarks'."""
        return self.tracker == "landmarks" or (self.tracker == "auto" and self.detector == "mediapipe")


def create_pipeline(config: PipelineConfig) -> HandPipeline:
    """The pipeline of ``config``, with its models loaded.

    Raises:
        ValueError: a value is out of range, or a model file is missing or not usable.
        ImportError: a library that the detector needs is not installed; the message says which.
    """
    if config.estimator == "ik":
        estimator, follower = IkEstimator(IkEstimatorConfig(hand_size_m=config.hand_size_m)), None
    else:
        estimator, follower = _create_diffusion_estimator(config)
    return HandPipeline(
        _create_tracker(config, follower),
        estimator,
        smoothers=(_create_smoother(config),) if config.temporal else (),
        pose_smoothers=(RootFilter(),) if config.root_filter else (),
        mirrored=config.mirrored,
    )


def _create_tracker(config: PipelineConfig, follower: HandImageDenoiser | None) -> HandTracker | HandDetector:
    """``follower``: the network that follows hands by what it sees of them; None to follow them by landmarks."""
    # Imported here so that only the chosen detector's library has to be installed.
    if config.follows_landmarks:
        from hand_pose_ros.detection.mediapipe.finders import create_finders

        palms, landmarks = create_finders(
            config.detector_model, min_palm_score=config.min_detection_confidence
        )
        return LandmarkTracker(
            palms,
            landmarks if follower is None else ImageFollower(follower, landmarks),
            LandmarkTrackerConfig(
                min_detection_confidence=config.min_detection_confidence,
                min_tracking_confidence=config.min_tracking_confidence,
                identity=IdentityConfig(max_hands=config.max_hands),
            ),
        )
    if config.detector == "mediapipe":
        from hand_pose_ros.detection.mediapipe.detector import MediaPipeConfig, MediaPipeDetector

        return MediaPipeDetector(
            MediaPipeConfig(
                model_file=config.detector_model,
                max_hands=config.max_hands,
                min_detection_confidence=config.min_detection_confidence,
                min_tracking_confidence=config.min_tracking_confidence,
            )
        )
    from hand_pose_ros.detection.onnx.detector import OnnxDetector, OnnxDetectorConfig

    return OnnxDetector(
        OnnxDetectorConfig(
            model_file=config.detector_model,
            max_hands=config.max_hands,
            score_threshold=config.min_detection_confidence,
            device=config.device,
        )
    )


def _create_diffusion_estimator(
    config: PipelineConfig,
) -> tuple[DiffusionEstimator, HandImageDenoiser | None]:
    """The estimator, and its network if that is told of pictures only, and so has to follow hands by them."""
    looks = config.condition in ("image", "both")
    model = config.estimator_model or share_file(SHIPPED_IMAGE_MODEL if looks else SHIPPED_MODEL)
    denoiser, spread_scale = load_denoiser(model, config.estimator_backend, config.device)
    settings = DiffusionEstimatorConfig(
        samples=config.samples,
        steps=config.steps,
        hand_size_m=config.hand_size_m,
        condition=config.condition,
    )
    estimator = DiffusionEstimator(denoiser, spread_scale, settings)
    return estimator, denoiser if config.condition == "image" and sees_pictures(denoiser) else None


def _create_smoother(config: PipelineConfig) -> TemporalSmoother:
    model = config.temporal_model or share_file(SHIPPED_TEMPORAL_MODEL)
    network = load_temporal_network(model, config.estimator_backend, config.device)
    return TemporalSmoother(network, config.temporal_window)
