"""Every parameter of the hand_estimator node."""

from __future__ import annotations

from dataclasses import dataclass

from hand_pose_ros.common.device import DEVICES
from hand_pose_ros.estimator.diffusion.backends import BACKENDS
from hand_pose_ros.estimator.diffusion.conditions import CONDITIONS
from hand_pose_ros.factory import DETECTORS, ESTIMATORS, TRACKERS, PipelineConfig
from hand_pose_ros.ros.shared.parameters import NodeParameters, parameter

_SMALLEST_HAND_M = 0.03


@dataclass(frozen=True)
class HandEstimatorParameters(NodeParameters):
    """See the descriptions."""

    detector: str = parameter(
        "mediapipe", "What finds the hands in the image.", choices=DETECTORS, read_only=True
    )
    detector_model: str = parameter(
        "", "Model file of the detector; empty for the one that comes with it.", read_only=True
    )
    tracker: str = parameter(
        PipelineConfig.tracker,
        "How hands are followed: each in a crop of its own by MediaPipe's landmark network (`landmarks`), or by "
        "running the detector on every image (`detector`); `auto` is `landmarks` for MediaPipe.",
        choices=TRACKERS,
        read_only=True,
    )
    max_hands: int = parameter(2, "Most hands to find in one image.", minimum=1, maximum=10, read_only=True)
    min_detection_confidence: float = parameter(
        0.5, "Score from which a hand counts as found.", minimum=0.0, maximum=1.0, read_only=True
    )
    min_tracking_confidence: float = parameter(
        0.5,
        "Score below which a tracked hand is searched for anew.",
        minimum=0.0,
        maximum=1.0,
        read_only=True,
    )
    mirrored: bool = parameter(False, "The images are mirrored, as selfie cameras show them.", read_only=True)
    estimator: str = parameter(
        PipelineConfig.estimator,
        "What turns a found hand into a pose in space.",
        choices=ESTIMATORS,
        read_only=True,
    )
    estimator_model: str = parameter(
        "",
        "Weights of the diffusion estimator; empty for the shipped ones: those that see pictures if `condition` "
        "is `image` or `both`, else faster ones.",
        read_only=True,
    )
    estimator_backend: str = parameter(
        PipelineConfig.estimator_backend,
        "What runs the diffusion estimator's network.",
        choices=BACKENDS,
        read_only=True,
    )
    condition: str = parameter(
        PipelineConfig.condition,
        "What the diffusion estimator is told of a hand: its landmarks (`keypoints`), its picture (`image`), or "
        "`both`; `auto` is what the detector gives and the weights see.",
        choices=CONDITIONS,
        read_only=True,
    )
    samples: int = parameter(
        PipelineConfig.samples,
        "Poses that the diffusion estimator draws for each hand.",
        minimum=1,
        maximum=1024,
        read_only=True,
    )
    steps: int = parameter(
        PipelineConfig.steps or 0,
        "Steps of DDIM sampling; 0 for ancestral sampling over all steps.",
        minimum=0,
        maximum=1000,
        read_only=True,
    )
    hand_size_m: float = parameter(
        0.0,
        "Length of the user's bone wrist -> index MCP in metres, which sets the scale; 0 if unknown.",
        minimum=0.0,
        maximum=0.2,
        read_only=True,
    )
    temporal: bool = parameter(
        PipelineConfig.temporal,
        "Smooth hands over time by the temporal transformer, with any estimator.",
        read_only=True,
    )
    temporal_model: str = parameter(
        "", "Weights of the temporal transformer; empty for the shipped ones.", read_only=True
    )
    temporal_window: int = parameter(
        0,
        "Images of a hand that the temporal transformer sees; 0 for as many as it can.",
        minimum=0,
        maximum=64,
        read_only=True,
    )
    root_filter: bool = parameter(
        PipelineConfig.root_filter, "Filter the wrist's position over time.", read_only=True
    )
    device: str = parameter("auto", "Where networks run.", choices=DEVICES, read_only=True)
    image_transport: str = parameter(
        "raw",
        "Which images to subscribe to: `image`, or `image/compressed`.",
        choices=("raw", "compressed"),
        read_only=True,
    )
    image_reliability: str = parameter(
        "best_effort",
        "Reliability asked of the camera's publishers; best_effort connects to all of them.",
        choices=("best_effort", "reliable"),
        read_only=True,
    )
    rectified: bool = parameter(
        False,
        "The images are rectified, so that P of camera_info holds, without distortion. Always so for topics whose "
        "name begins with image_rect.",
        read_only=True,
    )
    frame_id: str = parameter(
        "", "Frame of everything published; empty for the one in the images' headers.", read_only=True
    )
    publish_tf: str = parameter(
        "all",
        "Which frames to broadcast: of all joints, of the wrist alone (so that robot_state_publisher can add "
        "the rest), or none.",
        choices=("all", "wrist", "none"),
    )
    overlay_mesh: bool = parameter(True, "Draw the outline of the mesh into image_overlay.")
    marker_lifetime_s: float = parameter(
        0.5,
        "How long RViz shows a marker when no new one comes, in seconds; 0 for ever.",
        minimum=0.0,
        maximum=60.0,
    )
    image_timeout_s: float = parameter(
        2.0,
        "How long no image may come before /diagnostics says so, in seconds.",
        minimum=0.1,
        maximum=3600.0,
    )
    diagnostics_period_s: float = parameter(
        1.0, "Time between two messages on /diagnostics, in seconds.", minimum=0.1, maximum=60.0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.hand_size_m < _SMALLEST_HAND_M:
            raise ValueError(
                f"hand_size_m must be 0 or at least {_SMALLEST_HAND_M} (metres), got {self.hand_size_m}"
            )

    def pipeline_config(self) -> PipelineConfig:
        """The part that describes the pipeline."""
        return PipelineConfig(
            detector=self.detector,
            detector_model=self.detector_model,
            tracker=self.tracker,
            max_hands=self.max_hands,
            min_detection_confidence=self.min_detection_confidence,
            min_tracking_confidence=self.min_tracking_confidence,
            mirrored=self.mirrored,
            estimator=self.estimator,
            estimator_model=self.estimator_model,
            estimator_backend=self.estimator_backend,
            condition=self.condition,
            samples=self.samples,
            steps=self.steps or None,
            temporal=self.temporal,
            temporal_model=self.temporal_model,
            temporal_window=self.temporal_window or None,
            root_filter=self.root_filter,
            hand_size_m=self.hand_size_m or None,
            device=self.device,
        )
