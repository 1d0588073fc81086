"""The module finds the files of MediaPipe's two networks and runs them without MediaPipe's graph."""

from __future__ import annotations

import os
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from hand_pose_ros.detection.detector import DetectorUnavailableError
from hand_pose_ros.detection.mediapipe.graph import MODEL_URL

_COMPLEXITIES: Final = ("lite", "full")
_WHEEL_FILES: Final = (
    "modules/palm_detection/palm_detection_{}.tflite",
    "modules/hand_landmark/hand_landmark_{}.tflite",
)
_TASK_FILES: Final = ("hand_detector.tflite", "hand_landmarks_detector.tflite")
_MOST_THREADS: Final = 4


class MediaPipeModels(NamedTuple):
    """The contents of the two TFLite files: the palm detector, and the landmarks of a hand in a crop."""

    palm: bytes
    landmarks: bytes


def read_models(model_file: str = "", model_complexity: int = 1) -> MediaPipeModels:
    """The networks in a ``hand_landmarker.task``, or in MediaPipe's wheel where no file is named.

    MediaPipe itself is not imported.

    Args:
        model_complexity: 0 (lite) or 1 (full) of the wheel's networks; a file has its own.

    Raises:
        ValueError: the file is missing or holds no such networks, or an unknown complexity.
        DetectorUnavailableError: no file is named, and MediaPipe is not installed or brings no networks.
    """
    if model_file:
        return _from_task_file(Path(model_file))
    if model_complexity not in range(len(_COMPLEXITIES)):
        raise ValueError(f"model_complexity must be 0 or 1, got {model_complexity}")
    try:
        wheel = find_spec("mediapipe")
    except ValueError:  # a stand-in module without a file
        wheel = None
    folder = Path(wheel.origin).parent if wheel and wheel.origin else None
    paths = [folder / name.format(_COMPLEXITIES[model_complexity]) for name in _WHEEL_FILES] if folder else []
    if not paths or not all(path.is_file() for path in paths):
        raise DetectorUnavailableError(
            "MediaPipe's hand model is not installed: pip install --no-deps 'mediapipe<0.10.22' (later ones have "
            f"none), or download hand_landmarker.task from {MODEL_URL} and give its path as the model file"
        )
    return MediaPipeModels(*(path.read_bytes() for path in paths))


def _from_task_file(path: Path) -> MediaPipeModels:
    if not path.is_file():
        raise ValueError(f"there is no model file {path}: download hand_landmarker.task from {MODEL_URL}")
    try:
        with zipfile.ZipFile(path) as archive:
            return MediaPipeModels(*(archive.read(name) for name in _TASK_FILES))
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(f"cannot use {path} as a hand landmarker: {error}") from error


class TfliteNetwork:
    """A network with one square image as its input, run on the CPU by LiteRT. For one thread at a time."""

    def __init__(self, content: bytes, threads: int = 0) -> None:
        """``threads``: how many of the CPU's it may use; 0 for half of the cores, at most four, as MediaPipe does.

        Raises:
            DetectorUnavailableError: LiteRT is not installed. ValueError: not a network.
        """
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError as error:
            raise DetectorUnavailableError(
                f"LiteRT, which runs MediaPipe's networks, cannot be imported ({error}): "
                "install ai-edge-litert==2.3.0, or let MediaPipe run on every image (tracker 'detector')"
            ) from error
        threads = threads or min(max((os.cpu_count() or 1) // 2, 1), _MOST_THREADS)
        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        (one,) = self._interpreter.get_input_details()
        self._input = one["index"]
        self._outputs = [
            detail["index"]
            for detail in sorted(self._interpreter.get_output_details(), key=lambda detail: detail["name"])
        ]
        self.input_side_px = int(one["shape"][1])

    def run(self, image: np.ndarray) -> list[np.ndarray]:
        """The outputs, in the order of their names, for an image (side, side, 3) float32 RGB in [0, 1]."""
        self._interpreter.set_tensor(self._input, image[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]
