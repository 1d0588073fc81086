"""The module defines the interface of a tracker, and a tracker that runs any detector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hand_pose_ros.common.options import Options, option
from hand_pose_ros.detection.detector import HandDetector
from hand_pose_ros.pose import Detection, Frame
from hand_pose_ros.tracking.identities import HandIdentities, IdentityConfig
from hand_pose_ros.tracking.observation import Observation


@dataclass(frozen=True)
class TrackerConfig(Options):
    """Options of the tracker, whichever method it uses."""

    method: str = option(
        "auto",
        "`landmarks` looks for each hand where it is expected, with the landmark network, and searches the "
        "image only for new hands; `detector` searches every image; "
        "`auto` is `landmarks` for the detectors mediapipe and own, else `detector`.",
        choices=("auto", "landmarks", "detector"),
    )
    max_hands: int = option(
        2, "Maximum number of hands. Fewer are faster.", minimum=1, maximum=10, essential=True
    )
    min_detection_confidence: float = option(
        0.5,
        "Minimum detection score. A higher one gives fewer false hands and more missed ones.",
        minimum=0.0,
        maximum=1.0,
    )
    min_tracking_confidence: float = option(
        0.5, "Search for a tracked hand again if its score falls below this.", minimum=0.0, maximum=1.0
    )


@runtime_checkable
class HandTracker(Protocol):
    """Finds the hands of a video's frames; each keeps its track id."""

    def track(self, frame: Frame) -> list[Detection]:
        """The hands of the next frame, with ``track_id``.

        Args:
            frame: with a time that does not fall from call to call (see
                :class:`~hand_pose_ros.tracking.frame_clock.FrameClock`).
        """
        ...

    def reset(self) -> None:
        """Forget all hands."""
        ...

    def close(self) -> None:
        """Free the resources."""
        ...


_DETECTOR_DECIDES = IdentityConfig(max_hands=16, certain_score=0.5)


class TrackingDetector:
    """A :class:`HandTracker` that runs a detector on every frame."""

    def __init__(self, detector: HandDetector, config: IdentityConfig = _DETECTOR_DECIDES) -> None:
        """``config``: by default the detector limits the number of hands."""
        self._detector = detector
        self._identities = HandIdentities(config)

    def track(self, frame: Frame) -> list[Detection]:
        """See :class:`HandTracker`."""
        assert frame.time_s is not None
        found = self._detector.detect(frame.image_bgr)
        return self._identities.update([Observation.of(one) for one in found], frame.stamped_s)

    def reset(self) -> None:
        """Forget all hands."""
        self._detector.reset()
        self._identities.reset()

    def close(self) -> None:
        """Free the detector's resources."""
        self._detector.close()
