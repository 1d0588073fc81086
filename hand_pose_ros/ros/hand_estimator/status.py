"""The module measures the health of the hand_estimator and reports it in three statuses."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from diagnostic_msgs.msg import DiagnosticStatus

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.pipeline import FrameResult
from hand_pose_ros.ros.hand_estimator.input import CAMERA_FAULTS
from hand_pose_ros.ros.hand_estimator.topics import CameraTopics
from hand_pose_ros.ros.messages.hand_sizes import sizes_text
from hand_pose_ros.ros.shared.diagnostics import RollingStatistics, status
from hand_pose_ros.ros.shared.faults import Fault, FaultLog, worst

_RATE_WINDOW: Final = 60
"""Number of arrivals in the measured image rate."""
_MANY_DROPPED: Final = 0.5
"""Share of dropped images above which the node counts as too slow for the camera."""


_DISPLAY: Final = "display"
"""The stage that runs beside the others, in its own thread."""
_WHOLE: Final = ("total", "stamp to publication")


@dataclass(frozen=True)
class CameraState:
    """Topics and calibration of the camera; camera is None before a valid calibration."""

    topics: CameraTopics
    camera: CameraModel | None


class EstimatorStatus:
    """Counters and times of the node; written by its threads, read by the diagnostics timer."""

    def __init__(self, faults: FaultLog) -> None:
        self._faults = faults
        self._stages_ms = RollingStatistics()
        self._last_error = ""
        self.start()

    def start(self) -> None:
        """Start again, for an activation."""
        self._started_s = time.monotonic()
        self._arrivals_s: deque[float] = deque(maxlen=_RATE_WINDOW)
        self._received = self._dropped = self._processed = 0
        self._at_last_report = (0, 0)
        self._result: FrameResult | None = None
        self._tracks = 0
        self._frame_text = ""
        self._stages_ms.clear()

    def image_arrived(self, dropped: bool) -> None:
        """An image came; ``dropped``: another was given up for it."""
        self._arrivals_s.append(time.monotonic())
        self._received += 1
        self._dropped += dropped
        self._faults.clear("no_images")

    def frame_done(self, result: FrameResult, stage_seconds: Mapping[str, float], text: str) -> None:
        """Count a published frame.

        Args:
            stage_seconds: duration of each stage.
            text: size and encoding of the image.
        """
        self._stages_ms.add({name: 1e3 * seconds for name, seconds in stage_seconds.items()})
        self._processed += 1
        self._result = result
        self._frame_text = text
        track_ids = [pose.track_id for pose in result.hands if pose.track_id is not None]
        self._tracks = max([self._tracks, *(track_id + 1 for track_id in track_ids)])

    def drawn(self, seconds: float | None) -> None:
        """Count a frame that the display has drawn in this time, or had nobody to draw for."""
        if seconds is not None:
            self._stages_ms.add({_DISPLAY: 1e3 * seconds})
        self._faults.clear("display")

    def failed(self, kind: str, message: str) -> None:
        """Report a frame that was lost to an error."""
        self._last_error = message
        self._faults.report(kind, message)

    @property
    def image_age_s(self) -> float:
        """Time since the last image came, or since activation if none has."""
        return time.monotonic() - (self._arrivals_s[-1] if self._arrivals_s else self._started_s)

    def statuses(self, name: str, lifecycle: str, camera: CameraState | None) -> list[DiagnosticStatus]:
        """The statuses of camera, estimator and latency.

        Args:
            name: prefix of the statuses' names.
            lifecycle: label of the node's lifecycle state.
            camera: None while the node is not active.
        """
        faults = self._faults.take()
        return [
            self._camera_status(f"{name}: camera", lifecycle, camera, faults),
            self._estimator_status(f"{name}: estimator", lifecycle, faults),
            self._latency_status(f"{name}: latency"),
        ]

    def _camera_status(
        self, name: str, lifecycle: str, camera: CameraState | None, faults: Mapping[str, Fault]
    ) -> DiagnosticStatus:
        if camera is None:
            return status(name, DiagnosticStatus.OK, f"not monitored: the node is {lifecycle}", {})
        rate_hz = self._rate_hz()
        level, message = worst({kind: fault for kind, fault in faults.items() if kind in CAMERA_FAULTS})
        if not message and self._processed:
            message = f"{rate_hz:.1f} Hz, {self._frame_text}"
        elif not message:
            message = f"waiting for the first image on {camera.topics.image}"
            level = DiagnosticStatus.WARN
        values: dict[str, object] = {
            "image topic": camera.topics.image,
            "camera_info topic": camera.topics.camera_info,
            "calibration": _calibration_text(camera.camera),
            "image rate (Hz)": rate_hz,
            "time since the last image (s)": self.image_age_s if self._arrivals_s else float("nan"),
            "images received": self._received,
        }
        values.update(
            {f"count of {kind}": n for kind, n in self._faults.counts.items() if kind in CAMERA_FAULTS}
        )
        return status(name, level, message, values)

    def _estimator_status(self, name: str, lifecycle: str, faults: Mapping[str, Fault]) -> DiagnosticStatus:
        level, message = worst({kind: fault for kind, fault in faults.items() if kind not in CAMERA_FAULTS})
        poses = [] if self._result is None or lifecycle != "active" else self._result.hands
        valid = [pose for pose in poses if pose.valid]
        reasons = sorted({pose.reason for pose in poses if not pose.valid})
        if not message:
            message = f"{len(valid)} hands" if lifecycle == "active" else lifecycle
        return status(
            name,
            level,
            message,
            {
                "lifecycle state": lifecycle,
                "hands": ", ".join(f"{pose.side} {pose.score:.2f}, track {pose.track_id}" for pose in valid),
                "hand sizes": "" if self._result is None else sizes_text(self._result.sizes),
                "tracks so far": self._tracks,
                "hands not estimated": len(poses) - len(valid),
                "why not": "; ".join(reasons),
                "frames processed": self._processed,
                "last error": self._last_error,
                **({} if self._result is None else self._result.counts),
            },
        )

    def _latency_status(self, name: str) -> DiagnosticStatus:
        received, dropped = self._received, self._dropped
        new_received, new_dropped = (
            now - before for now, before in zip((received, dropped), self._at_last_report, strict=True)
        )
        self._at_last_report = (received, dropped)
        share = new_dropped / new_received if new_received else 0.0
        stages = self._stages_ms.percentiles(50, 95, 99)
        values: dict[str, object] = {}
        for stage, (median_ms, p95_ms, p99_ms) in stages.items():
            values[f"{stage} median (ms)"] = median_ms
            values[f"{stage} p95 (ms)"] = p95_ms
            values[f"{stage} p99 (ms)"] = p99_ms
        values.update({"frames processed": self._processed, "images dropped": dropped})
        level = DiagnosticStatus.WARN if share > _MANY_DROPPED else DiagnosticStatus.OK
        message = _slowest_text({stage: ranks[0] for stage, ranks in stages.items()}) or "no frames yet"
        if share > _MANY_DROPPED:
            message = f"{share:.0%} of the images dropped, newer ones were there; {message}"
        return status(name, level, message, values)

    def _rate_hz(self) -> float:
        arrivals = list(self._arrivals_s)
        if len(arrivals) < 2:
            return 0.0
        return (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])


def _slowest_text(median_ms: Mapping[str, float]) -> str:
    """One sentence: the time of a frame, and the stage that takes most of it; empty before the first frame."""
    parts = {stage: ms for stage, ms in median_ms.items() if stage not in (*_WHOLE, _DISPLAY)}
    if not parts or "total" not in median_ms:
        return ""
    slowest = max(parts, key=lambda stage: parts[stage])
    return f"{median_ms['total']:.1f} ms per frame, of which the stage '{slowest}' takes {parts[slowest]:.1f}"


def _calibration_text(camera: CameraModel | None) -> str:
    if camera is None:
        return "none"
    model = camera.distortion_model or "no distortion"
    return f"{camera.width}x{camera.height}, fx {camera.fx:.1f}, fy {camera.fy:.1f} px, {model}"
