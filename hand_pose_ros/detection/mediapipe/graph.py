"""The two interfaces through which MediaPipe offers its hand model: ``solutions`` (up to 0.10.21) and Tasks.

Both give the same numbers from the same model. MediaPipe is imported when the first detector is made, not before.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

import numpy as np

from hand_pose_ros.detection.detector import DetectorUnavailableError

MODEL_URL: Final = "https://ai.google.dev/edge/mediapipe/solutions/vision/hand_landmarker"

# Of the model's output class. The names that MediaPipe gives to the classes are no guide: solutions names them for
# mirrored images, Tasks for plain ones, and earlier versions of Tasks as solutions.
_SIDE_OF_CLASS: Final = {0: "right", 1: "left"}
_QUIET: Final = ("GLOG_minloglevel", "2")  # errors only


@dataclass(frozen=True)
class FoundHand:
    """A hand as MediaPipe reports it.

    side: as pictured. score: confidence in the side. landmarks: (21, 2), as shares of the image's width and
    height. world_m: (21, 3), metres, with the axes of ``Detection.landmarks_m``.
    """

    side: str
    score: float
    landmarks: np.ndarray
    world_m: np.ndarray


class Backend(Protocol):
    """One of MediaPipe's interfaces."""

    def find(self, image_rgb: np.ndarray) -> list[FoundHand]:
        """Return the hands in an image (H, W, 3) uint8 RGB."""
        ...

    def reset(self) -> None:
        """Forget the hands of earlier images."""
        ...

    def close(self) -> None:
        """Free the model."""
        ...


def import_mediapipe() -> ModuleType:
    """MediaPipe, with its C++ log set to errors only, unless the environment already says otherwise.

    The lines that newer versions write before they have set up their log cannot be turned off; they are harmless.

    Raises:
        DetectorUnavailableError: it is not installed, or lacks something itself.
    """
    os.environ.setdefault(*_QUIET)
    try:
        import mediapipe
    except ImportError as error:
        raise DetectorUnavailableError(
            f"MediaPipe cannot be imported ({error}): install mediapipe==0.10.21, the last release that "
            f"carries its hand model, or a newer one and the model file from {MODEL_URL}"
        ) from error
    return mediapipe


class SolutionsBackend:
    """The hand model inside MediaPipe's wheel."""

    def __init__(
        self,
        max_hands: int,
        tracking: bool,
        model_complexity: int,
        min_detection_confidence: float,
        min_tracking_confidence: float,
    ) -> None:
        mediapipe = import_mediapipe()
        if not hasattr(mediapipe, "solutions"):
            raise DetectorUnavailableError(
                f"MediaPipe {mediapipe.__version__} carries no hand model: download hand_landmarker.task from "
                f"{MODEL_URL} and give its path as the model file, or install mediapipe==0.10.21"
            )
        self._hands = mediapipe.solutions.hands.Hands(
            static_image_mode=not tracking,
            max_num_hands=max_hands,
            model_complexity=model_complexity,
            min_detection_confidence=min_detection_confidence,
            min_tracking_confidence=min_tracking_confidence,
        )

    def find(self, image_rgb: np.ndarray) -> list[FoundHand]:
        """See :class:`Backend`."""
        found = self._hands.process(image_rgb)
        if not found.multi_hand_landmarks:
            return []
        return [
            _found_hand(sides.classification[0], marks.landmark, world.landmark)
            for sides, marks, world in zip(
                found.multi_handedness,
                found.multi_hand_landmarks,
                found.multi_hand_world_landmarks,
                strict=True,
            )
        ]

    def reset(self) -> None:
        """See :class:`Backend`."""
        self._hands.reset()

    def close(self) -> None:
        """See :class:`Backend`."""
        self._hands.close()


class TasksBackend:
    """A ``hand_landmarker.task`` file, which also says how complex the model is."""

    def __init__(
        self,
        model_file: str,
        max_hands: int,
        tracking: bool,
        min_detection_confidence: float,
        min_tracking_confidence: float,
    ) -> None:
        if not Path(model_file).is_file():
            raise ValueError(
                f"there is no model file {model_file}: download hand_landmarker.task from {MODEL_URL}"
            )
        self._mediapipe = import_mediapipe()
        from mediapipe.tasks.python import BaseOptions, vision

        self._vision = vision
        self._tracking = tracking
        mode = vision.RunningMode.VIDEO if tracking else vision.RunningMode.IMAGE
        self._options = vision.HandLandmarkerOptions(
            base_options=BaseOptions(model_asset_path=str(model_file)),
            running_mode=mode,
            num_hands=max_hands,
            min_hand_detection_confidence=min_detection_confidence,
            # What solutions calls tracking confidence. Tasks has another by that name: the overlap of boxes.
            min_hand_presence_confidence=min_tracking_confidence,
        )
        self._open()

    def find(self, image_rgb: np.ndarray) -> list[FoundHand]:
        """See :class:`Backend`."""
        image = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=image_rgb)
        if self._tracking:
            self._frame += 1  # MediaPipe wants rising times, and uses them for nothing else here
            found = self._landmarker.detect_for_video(image, self._frame)
        else:
            found = self._landmarker.detect(image)
        return [
            _found_hand(sides[0], marks, world)
            for sides, marks, world in zip(
                found.handedness, found.hand_landmarks, found.hand_world_landmarks, strict=True
            )
        ]

    def reset(self) -> None:
        """See :class:`Backend`."""
        self._landmarker.close()
        self._open()

    def close(self) -> None:
        """See :class:`Backend`."""
        self._landmarker.close()

    def _open(self) -> None:
        self._frame = 0
        try:
            self._landmarker = self._vision.HandLandmarker.create_from_options(self._options)
        except (RuntimeError, ValueError, OSError) as error:
            path = self._options.base_options.model_asset_path
            raise ValueError(f"MediaPipe cannot use {path} as a hand landmarker: {error}") from error


def _found_hand(side: Any, landmarks: Any, world: Any) -> FoundHand:
    return FoundHand(
        side=_SIDE_OF_CLASS[side.index],
        score=float(side.score),
        landmarks=np.array([(mark.x, mark.y) for mark in landmarks]),
        world_m=np.array([(mark.x, mark.y, mark.z) for mark in world]),
    )
