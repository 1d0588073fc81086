"""The detector runs any hand detection network in an ONNX file: boxes, scores, optional sides and landmarks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from hand_pose_ros.common.device import DEVICES
from hand_pose_ros.common.onnx_session import OnnxGraph, OnnxUnavailableError
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.detection.detector import DetectorUnavailableError, check_image
from hand_pose_ros.detection.onnx.layouts import LAYOUTS, Candidates
from hand_pose_ros.detection.onnx.letterbox import Letterbox
from hand_pose_ros.detection.suppression import suppress_duplicates
from hand_pose_ros.pose import Detection

SideRule = Callable[[np.ndarray, np.ndarray | None, tuple[int, int]], str]
"""(box_px (4,), landmarks_px (21, 2) or None, (width, height) of the image) -> 'left' or 'right'."""

NO_SIDE: Final = "none"
"""Side of a class without a side: the detector then needs a rule ``side_of``."""
_MOST_CANDIDATES = 300  # for the suppression of duplicates
_SCORE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class OnnxDetectorConfig(Options):
    """Input and output of the network: one input, (1, 3, height, width) float32, RGB, and one output.

    The output is (1, 4 + classes + 21 k, N) of the layout 'yolo' or (1, N, 6 + 21 k) of 'end_to_end'; see
    detection/onnx/layouts.py. k is ``landmark_values``; landmarks are in the order of this package, which is
    MediaPipe's. Landmarks below ``min_landmark_score`` are NaN. The input is (rgb / 255 - mean) / std.

    score_threshold: least score of a hand. max_hands: largest number of hands.
    device: one of :data:`~hand_pose_ros.common.device.DEVICES`.
    """

    model_file: str = option("", "Path of the ONNX file.")
    layout: str = option("yolo", "Layout of the network's output.", choices=tuple(LAYOUTS))
    class_sides: tuple[str, ...] = option(
        ("left", "right"),
        "Side of each class. [right] treats every hand as right.",
        choices=("left", "right", NO_SIDE),
    )
    landmark_values: int = option(
        0,
        "Numbers for each of the 21 landmarks: 0 (none), 2 (x, y) or 3 (x, y, score).",
        minimum=0,
        maximum=3,
    )
    min_landmark_score: float = option(
        0.3, "Landmarks with a lower score count as unknown.", minimum=0.0, maximum=1.0
    )
    input_size: tuple[int, int] = option((640, 640), "Width and height of the input, pixels.", minimum=1)
    mean: tuple[float, float, float] = option((0.0, 0.0, 0.0), "Subtracted from RGB in [0, 1].")
    std: tuple[float, float, float] = option((1.0, 1.0, 1.0), "Divisor of RGB after the mean; positive.")
    num_threads: int = option(0, "CPU threads; 0 leaves it to onnxruntime.", minimum=0)
    score_threshold: float = 0.4
    max_hands: int = 2
    device: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.class_sides:
            raise ValueError("class_sides must name at least one class")
        if self.landmark_values == 1:
            raise ValueError("landmark_values must be 0, 2 or 3, got 1")
        if not 0 <= self.score_threshold <= 1:
            raise ValueError(f"score_threshold must lie in [0, 1], got {self.score_threshold}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be positive, got {self.std}")
        if self.max_hands < 1:
            raise ValueError(f"max_hands must be at least 1, got {self.max_hands}")
        if self.device not in DEVICES:
            raise ValueError(f"device must be one of {DEVICES}, got {self.device!r}")


class OnnxDetector:
    """A :class:`~hand_pose_ros.detection.detector.HandDetector` that searches each image independently."""

    def __init__(self, config: OnnxDetectorConfig, side_of: SideRule | None = None) -> None:
        """Load the network and run it once, on a blank image.

        ``side_of`` decides the side of a hand whose class has no side.

        Raises:
            DetectorUnavailableError: onnxruntime is not installed, or has no CUDA although it was asked for.
            ValueError: the file is not a usable model or does not match ``config``, or a rule is missing.
        """
        if side_of is None and NO_SIDE in config.class_sides:
            raise ValueError(
                f"class_sides {config.class_sides} has a class without a side: "
                "name the side, or give a side_of rule"
            )
        self._config = config
        self._side_of = side_of
        self._graph: OnnxGraph | None = _open_graph(config)
        (self._input_name,) = self._graph.inputs
        self.detect(np.zeros((*config.input_size[::-1], 3), np.uint8))

    def detect(self, image_bgr: np.ndarray) -> list[Detection]:
        """See :class:`~hand_pose_ros.detection.detector.HandDetector`; images of any size.

        Raises:
            ValueError: not an image, or the network's output does not match the configuration.
            RuntimeError: the detector is closed.
        """
        image = check_image(image_bgr)
        letterbox = Letterbox((image.shape[1], image.shape[0]), self._config.input_size)
        candidates = self._run(letterbox.apply(image))
        detections = [
            self._detection(candidates.take(np.array([index])), letterbox)
            for index in range(len(candidates.scores))
        ]
        return suppress_duplicates(detections, self._config.max_hands)

    def reset(self) -> None:
        """Do nothing: images are independent."""

    def close(self) -> None:
        """Free the network; closing again does nothing."""
        self._graph = None

    def _run(self, input_bgr: np.ndarray) -> Candidates:
        """The credible candidates of an image (h, w, 3) of the input's size, best first."""
        if self._graph is None:
            raise RuntimeError("the detector is closed")
        config = self._config
        rgb = input_bgr[:, :, ::-1].astype(np.float32) / 255
        blob = (rgb - np.asarray(config.mean, np.float32)) / np.asarray(config.std, np.float32)
        blob = np.ascontiguousarray(blob.transpose(2, 0, 1)[None])
        output = self._graph.run_arrays({self._input_name: blob})[0].astype(np.float64)
        found = LAYOUTS[config.layout](output, len(config.class_sides), config.landmark_values)
        low, high = found.boxes[:, :2], found.boxes[:, 2:]
        real = np.isfinite(found.boxes).all(axis=1) & (high > low).all(axis=1)
        found = found.take(real & (found.scores >= config.score_threshold))
        if (found.scores > 1 + _SCORE_TOLERANCE).any():
            raise ValueError(
                f"the model's scores must lie in [0, 1], got {found.scores.max():.4g}: is its sigmoid missing, "
                f"or the layout not {config.layout!r}?"
            )
        return found.take(np.argsort(-found.scores, kind="stable")[:_MOST_CANDIDATES])

    def _detection(self, candidate: Candidates, letterbox: Letterbox) -> Detection:
        box_px = letterbox.to_image(candidate.boxes.reshape(2, 2)).reshape(4)
        landmarks_px = scores = None
        if candidate.landmarks is not None:
            landmarks_px = letterbox.to_image(candidate.landmarks[0, :, :2])
            if self._config.landmark_values == 3:
                scores = candidate.landmarks[0, :, 2].clip(0, 1)
                landmarks_px[~(scores >= self._config.min_landmark_score)] = np.nan
        side = self._config.class_sides[candidate.classes[0]]
        if side == NO_SIDE:
            assert self._side_of is not None  # required by __init__
            side = self._side_of(box_px, landmarks_px, letterbox.image_size)
        score = min(float(candidate.scores[0]), 1.0)
        return Detection(side, score, box_px, landmarks_px, landmark_scores=scores)


def _open_graph(config: OnnxDetectorConfig) -> OnnxGraph:
    try:
        graph = OnnxGraph(config.model_file, config.device, config.num_threads)
    except OnnxUnavailableError as error:
        raise DetectorUnavailableError(str(error)) from error
    _check_interface(graph, config)
    return graph


def _check_interface(graph: OnnxGraph, config: OnnxDetectorConfig) -> None:
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise ValueError(
            f"{config.model_file} must have one input and one output, got {list(graph.inputs)} "
            f"and {list(graph.outputs)}"
        )
    ((name, shape),) = graph.inputs.items()  # names stand for dimensions that are free
    kind = graph.input_types[name]
    expected = (1, 3, config.input_size[1], config.input_size[0])
    if (
        kind != "tensor(float)"
        or len(shape) != len(expected)
        or any(isinstance(size, int) and size != wanted for size, wanted in zip(shape, expected, strict=True))
    ):
        raise ValueError(
            f"{config.model_file} must take float32 of shape {expected}, it takes {kind} of shape {shape}"
        )
