"""The factory builds the pipeline that a configuration describes."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

from hand_pose_ros.common.device import DEVICES, check_device, has_cuda
from hand_pose_ros.common.options import Options, one_of, option, section
from hand_pose_ros.cpu_fallback import CpuFallback
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.detection.mediapipe.detector import MediaPipeConfig, MediaPipeDetector
from hand_pose_ros.detection.onnx.detector import OnnxDetector, OnnxDetectorConfig
from hand_pose_ros.detection.own.detector import OwnDetector, OwnDetectorConfig
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.estimate import PoseEstimator
from hand_pose_ros.estimator.hand_size import BONE_SPREAD, HandSize
from hand_pose_ros.estimator.heatmap.estimator import HeatmapEstimatorConfig
from hand_pose_ros.estimator.ik import IkEstimatorConfig
from hand_pose_ros.estimator.last_fit.smoother import LastFit, LastFitConfig
from hand_pose_ros.estimator.mesh_diffusion.estimator import MeshDiffusionEstimatorConfig
from hand_pose_ros.estimator.root_filter import RootFilter
from hand_pose_ros.estimator.size.population import POPULATIONS
from hand_pose_ros.estimator.temporal.smoother import TemporalConfig
from hand_pose_ros.mesh.mano import ManoModel, load_mano
from hand_pose_ros.pipeline import FramePipeline, HandPipeline
from hand_pose_ros.tracking.identities import IdentityConfig
from hand_pose_ros.tracking.landmark_tracker import LandmarkTracker, LandmarkTrackerConfig
from hand_pose_ros.tracking.tracker import HandTracker, TrackerConfig

DETECTORS: Final = {"mediapipe": MediaPipeConfig, "own": OwnDetectorConfig, "onnx": OnnxDetectorConfig}
ESTIMATORS: Final = {
    "diffusion": DiffusionEstimatorConfig,
    "heatmap": HeatmapEstimatorConfig,
    "ik": IkEstimatorConfig,
    "mesh_diffusion": MeshDiffusionEstimatorConfig,
}
"""Name -> options, whose ``create(hand_size_m, device)`` makes the estimator; a new one needs only a line here."""
_SMALLEST_HAND_M: Final = 0.03
_GIVEN_BY_PIPELINE: Final = {
    "hand_size_m": "hand_size_m",
    "device": "device",
    "max_hands": "tracker.max_hands",
    "min_detection_confidence": "tracker.min_detection_confidence",
    "min_tracking_confidence": "tracker.min_tracking_confidence",
    "score_threshold": "tracker.min_detection_confidence",
}
"""Fields of detectors and estimators that the pipeline fills in -> its option."""


@dataclass(frozen=True)
class PipelineConfig(Options):
    """The parts of the pipeline and their options.

    hand_size_m, hand_length_m: None if unknown; one of them is enough.

    Raises:
        ValueError: as :class:`Options`, options that contradict each other, or a detector or estimator with a
            value of its own for something that the pipeline gives it, such as the hand's size.
    """

    detector: MediaPipeConfig | OwnDetectorConfig | OnnxDetectorConfig = one_of(
        DETECTORS,
        "mediapipe",
        "Hand detector: MediaPipe's networks, this package's own (`own`), which need no file of MediaPipe, or a "
        "network of yours (`onnx`).",
        essential=True,
    )
    tracker: TrackerConfig = section(TrackerConfig, "tracker")
    mirrored: bool = option(
        False,
        "The images are mirrored, as selfie cameras show them: left and right hands change places.",
        essential=True,
    )
    estimator: (
        DiffusionEstimatorConfig | HeatmapEstimatorConfig | IkEstimatorConfig | MeshDiffusionEstimatorConfig
    ) = one_of(
        ESTIMATORS,
        "diffusion",
        "Pose estimator: `diffusion` samples poses from a network and states its uncertainty; `heatmap` reads "
        "image points and depths from the image by a 2.5D network (`heatmap.weights`), and states its "
        "uncertainty; `ik` fits the skeleton to the detector's 3D landmarks, without an uncertainty; "
        "`mesh_diffusion` draws the hand's mesh from the image, and states its uncertainty.",
        essential=True,
    )
    temporal: TemporalConfig = section(TemporalConfig, "temporal")
    last_fit: LastFitConfig = section(LastFitConfig, "last_fit")
    root_filter: bool = option(
        True, "Smooth the wrist's position by a Kalman filter with the covariance that the estimator states."
    )
    hand_size_m: float | None = option(
        None,
        "Length of the bone wrist -> index MCP (knuckle of the index finger) of the user's hand in metres. "
        "It sets the scale: a value 5 % too small makes hand and distance 5 % too small. 0 if unknown: the "
        "mean of adults. `hand_length_m` is easier to measure.",
        minimum=_SMALLEST_HAND_M,
        maximum=0.2,
        unset=0.0,
        essential=True,
    )
    hand_length_m: float | None = option(
        None,
        "Length of the user's hand in metres, from the crease of the wrist to the tip of the middle finger, as "
        "tables of body measures list it. It sets the scale; not together with `hand_size_m`. 0 if unknown.",
        minimum=0.06,
        maximum=0.42,
        unset=0.0,
        essential=True,
    )
    population: str = option(
        "adults",
        "Whose hands are before the camera while no size is given: `adults`, or `all`, with children. `all` "
        "assumes a smaller hand and states a larger uncertainty.",
        choices=tuple(POPULATIONS),
    )
    mano_file: str = option(
        "",
        "Path of your licensed MANO file (`MANO_RIGHT.npz` or `MANO_RIGHT.pkl`): the mesh of every hand is then "
        "MANO's, posed by the hand's angles. Empty for the mesh of the estimator or of this package.",
    )
    device: str = option(
        "auto",
        "Where networks run: `auto` is CUDA where it is available; `cuda` is refused where it is not. If the GPU "
        "fails later, the CPU takes over, with a warning on /diagnostics.",
        choices=DEVICES,
        essential=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tracker.method == "landmarks" and isinstance(self.detector, OnnxDetectorConfig):
            raise ValueError(
                "tracker.method 'landmarks' runs a landmark network: it needs the detector 'mediapipe' or 'own'"
            )

        if self.hand_size_m is not None and self.hand_length_m is not None:
            raise ValueError("give hand_size_m or hand_length_m, not both: one sets the scale")
        for part in (self.detector, self.estimator):
            for field in fields(part):
                given = _GIVEN_BY_PIPELINE.get(field.name)
                if given is not None and getattr(part, field.name) != field.default:
                    kind = type(part).__name__
                    raise ValueError(f"give {given} of the pipeline in place of {kind}.{field.name}")

    @property
    def hand_size(self) -> HandSize | None:
        """The user's hand, from whichever of its two measures is given; None if neither is."""
        if self.hand_length_m is not None:
            return HandSize.of_length(self.hand_length_m)
        if self.hand_size_m is not None:
            return HandSize(self.hand_size_m, BONE_SPREAD * self.hand_size_m)
        return None

    @property
    def follows_landmarks(self) -> bool:
        """Whether each hand is tracked in a crop of its own by the landmark network."""
        return self.tracker.method != "detector" and not isinstance(self.detector, OnnxDetectorConfig)


def create_pipeline(config: PipelineConfig) -> FramePipeline:
    """The pipeline of ``config``, with its models loaded; on a GPU, one that falls back to the CPU.

    Raises:
        ValueError: a value is out of range, a model file is missing or not usable, or the device is 'cuda' and
            nothing here can use a GPU; the message says why.
        ImportError: a library that the detector needs is not installed; the message says which.
    """
    check_device(config.device)
    if config.device == "cpu" or not has_cuda():
        return _create_pipeline(config)
    return CpuFallback(lambda device: _create_pipeline(replace(config, device=device)), config.device)


def _create_pipeline(config: PipelineConfig) -> HandPipeline:
    size = config.hand_size
    estimator = config.estimator.create(None if size is None else size.size_m, config.device)
    temporal = config.temporal
    return HandPipeline(
        _create_tracker(config, estimator),
        estimator,
        smoothers=(
            *((temporal.create(config.device),) if temporal.enabled else ()),
            *((LastFit(config.last_fit),) if config.last_fit.enabled else ()),
        ),
        pose_smoothers=(RootFilter(),) if config.root_filter else (),
        mirrored=config.mirrored,
        hand_size=size,
        population=config.population,
        mano=_read_mano(config.mano_file),
    )


def _read_mano(path: str) -> ManoModel | None:
    if not path:
        return None
    try:
        return load_mano(path)
    except OSError as error:
        raise ValueError(f"mano_file cannot be read: {error}") from error


def _create_tracker(config: PipelineConfig, estimator: PoseEstimator) -> HandTracker | HandDetector:
    tracker = config.tracker
    if isinstance(config.detector, OnnxDetectorConfig):
        return OnnxDetector(
            replace(
                config.detector,
                max_hands=tracker.max_hands,
                score_threshold=tracker.min_detection_confidence,
                device=config.device,
            )
        )
    detector = replace(
        config.detector,
        max_hands=tracker.max_hands,
        min_tracking_confidence=tracker.min_tracking_confidence,
        device=config.device,
    )
    if isinstance(detector, MediaPipeConfig):
        detector = replace(detector, min_detection_confidence=tracker.min_detection_confidence)
    if not config.follows_landmarks:
        return MediaPipeDetector(detector) if isinstance(detector, MediaPipeConfig) else OwnDetector(detector)
    palms, landmarks = detector.create_finders()
    return LandmarkTracker(
        palms,
        estimator.finder(landmarks),
        LandmarkTrackerConfig(
            min_detection_confidence=tracker.min_detection_confidence,
            min_tracking_confidence=tracker.min_tracking_confidence,
            identity=IdentityConfig(max_hands=tracker.max_hands),
        ),
    )
