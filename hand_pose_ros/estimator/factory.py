"""Builds the pipeline that a configuration asks for."""

from __future__ import annotations

from dataclasses import dataclass

from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.device import DEVICES
from hand_pose_ros.estimator.backends import BACKENDS, load_denoiser
from hand_pose_ros.estimator.diffusion_estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.ik_estimator import IkEstimator, IkEstimatorConfig
from hand_pose_ros.estimator.pipeline import HandPipeline, PoseEstimator
from hand_pose_ros.share import share_file

DETECTORS = ("mediapipe", "onnx")
ESTIMATORS = ("diffusion", "ik")
SHIPPED_MODEL = "models/hand_diffusion.safetensors"
"""The diffusion estimator's weights, in the package's share folder."""


@dataclass(frozen=True)
class PipelineConfig:
    """What the pipeline is made of.

    detector: one of ``DETECTORS``. detector_model: the detector's model file; empty for the one that MediaPipe
        brings.
    mirrored: the camera's image is mirrored, as a selfie view is; it is turned back before anything else.
    estimator: one of ``ESTIMATORS``. hand_size_m: the user's bone wrist -> index MCP in metres, None if unknown.
    estimator_model: weights of the diffusion estimator, or folder of its ONNX export; empty for the shipped ones.
    estimator_backend: what runs it, one of ``BACKENDS``. samples, steps: see ``DiffusionEstimatorConfig``.
    device: where networks run, one of ``DEVICES``.
    """

    detector: str = "mediapipe"
    detector_model: str = ""
    max_hands: int = 2
    min_detection_confidence: float = 0.5
    min_tracking_confidence: float = 0.5
    mirrored: bool = False
    estimator: str = "diffusion"
    estimator_model: str = ""
    estimator_backend: str = "auto"
    samples: int = DiffusionEstimatorConfig.samples
    steps: int | None = DiffusionEstimatorConfig.steps
    hand_size_m: float | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        allowed = {
            "detector": DETECTORS,
            "estimator": ESTIMATORS,
            "estimator_backend": BACKENDS,
            "device": DEVICES,
        }
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {choices}, got {getattr(self, name)!r}")


def create_pipeline(config: PipelineConfig) -> HandPipeline:
    """The pipeline of ``config``, with its models loaded.

    Raises:
        ValueError: a value is out of range, or a model file is missing or not usable.
        ImportError: a library that the detector needs is not installed; the message says which.
    """
    return HandPipeline(_create_detector(config), _create_estimator(config), mirrored=config.mirrored)


def _create_detector(config: PipelineConfig) -> HandDetector:
    # Imported here so that only the chosen detector's library has to be installed.
    if config.detector == "mediapipe":
        from hand_pose_ros.detection.mediapipe_detector import MediaPipeConfig, MediaPipeDetector

        return MediaPipeDetector(
            MediaPipeConfig(
                model_file=config.detector_model,
                max_hands=config.max_hands,
                min_detection_confidence=config.min_detection_confidence,
                min_tracking_confidence=config.min_tracking_confidence,
            )
        )
    from hand_pose_ros.detection.onnx_detector import OnnxDetector, OnnxDetectorConfig

    return OnnxDetector(
        OnnxDetectorConfig(
            model_file=config.detector_model,
            max_hands=config.max_hands,
            score_threshold=config.min_detection_confidence,
            device=config.device,
        )
    )


def _create_estimator(config: PipelineConfig) -> PoseEstimator:
    if config.estimator == "ik":
        return IkEstimator(IkEstimatorConfig(hand_size_m=config.hand_size_m))
    model = config.estimator_model or share_file(SHIPPED_MODEL)
    denoiser, spread_scale = load_denoiser(model, config.estimator_backend, config.device)
    settings = DiffusionEstimatorConfig(
        samples=config.samples, steps=config.steps, hand_size_m=config.hand_size_m
    )
    return DiffusionEstimator(denoiser, spread_scale, settings)
