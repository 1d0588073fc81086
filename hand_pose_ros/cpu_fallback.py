"""A pipeline on a GPU that goes on with the CPU when the GPU runs out of memory or is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from hand_pose_ros.common.gpu_failure import why_gpu_failed
from hand_pose_ros.estimator.hand_size import HandSize
from hand_pose_ros.pipeline import FramePipeline, FrameResult
from hand_pose_ros.pose import Frame

_LOGGER = logging.getLogger(__name__)


class CpuFallback:
    """A :class:`~hand_pose_ros.pipeline.FramePipeline` that replaces its pipeline once, by one on the CPU.

    The frame in which the GPU fails is processed again on the CPU, so no frame is lost. Tracks start again, with
    new ids. It does not return to the GPU: a lost device stays lost for the process.
    """

    def __init__(self, create: Callable[[str], FramePipeline], device: str) -> None:
        """Make the pipeline on ``device``, 'cuda' or 'auto', by ``create``, which takes the device.

        Raises:
            RuntimeError: the GPU fails while the models load, and ``device`` is 'cuda'. Whatever else ``create``
                raises.
        """
        self._create = create
        self._degraded = ""
        self._measured_size: HandSize | None = None
        try:
            self._pipeline = create(device)
        except Exception as error:
            reason = why_gpu_failed(error)
            if not reason or device == "cuda":
                raise
            self._pipeline = self._on_cpu(reason)

    def process(self, frame: Frame) -> FrameResult:
        """See :class:`~hand_pose_ros.pipeline.FramePipeline`."""
        try:
            result = self._pipeline.process(frame)
        except Exception as error:  # the pipeline's parts raise anything
            reason = why_gpu_failed(error)
            if not reason or self._degraded:
                raise
            broken, self._pipeline = self._pipeline, self._on_cpu(reason)
            if self._measured_size is not None:
                self._pipeline.set_hand_size(self._measured_size)
            _close(broken)
            result = self._pipeline.process(frame)
        return replace(result, degraded=self._degraded)

    def reset(self) -> None:
        """Forget all tracks."""
        self._pipeline.reset()

    @property
    def hand_size(self) -> HandSize | None:
        """See :class:`~hand_pose_ros.pipeline.FramePipeline`."""
        return self._pipeline.hand_size

    def set_hand_size(self, size: HandSize) -> None:
        """See :class:`~hand_pose_ros.pipeline.FramePipeline`; the pipeline on the CPU takes it over."""
        self._measured_size = size
        self._pipeline.set_hand_size(size)

    def close(self) -> None:
        """Free the detector's resources."""
        self._pipeline.close()

    def _on_cpu(self, reason: str) -> FramePipeline:
        """Load the pipeline for the CPU."""
        self._degraded = f"{reason}: the hands are estimated on the CPU until the next start"
        _LOGGER.warning("%s", self._degraded)
        return self._create("cpu")


def _close(broken: FramePipeline) -> None:
    try:
        broken.close()
    except Exception as error:  # on a lost device, freeing may fail as well
        _LOGGER.warning("the pipeline on the GPU could not be closed: %s", error)
