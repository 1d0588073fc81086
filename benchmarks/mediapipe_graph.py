"""MediaPipe's own tracking mode, to compare with, where ``mediapipe`` 0.10.21 is installed.

It wants numpy 1, protobuf 4 and Python up to 3.12: ``pip install --no-deps mediapipe==0.10.21 absl-py attrs`` into
an environment that has these.
"""

from __future__ import annotations

import os

import cv2
import numpy as np


class MediaPipeGraph:
    """``mediapipe.solutions.hands`` with the full models, in tracking mode."""

    def __init__(self, max_hands: int = 1) -> None:
        """``max_hands``: MediaPipe searches every frame while fewer are in view.

        Raises:
            SystemExit: MediaPipe is not installed.
        """
        os.environ.setdefault("GLOG_minloglevel", "2")
        try:
            from mediapipe.python.solutions.hands import Hands
        except ImportError as error:
            raise SystemExit(f"this benchmark compares with MediaPipe ({error}):\n{__doc__}") from error
        self._hands = Hands(model_complexity=1, max_num_hands=max_hands)

    def find(self, image_bgr: np.ndarray) -> int:
        """Track the hands in the next image; returns their number."""
        return len(self._hands.process(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)).multi_hand_landmarks or ())

    def close(self) -> None:
        """Free the graph."""
        self._hands.close()
