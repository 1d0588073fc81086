"""The whole pipeline, image to HandPose, on one tracked hand at 640x480, beside MediaPipe's own tracking mode.

``python -m benchmarks.pipeline [video] [max_hands]``; without a video, the rendered clip. Both see each frame, one
after the other, so that other work on the machine slows both.
"""

from __future__ import annotations

import math
import sys
import time

import cv2
import numpy as np
import torch

from benchmarks.mediapipe_graph import MediaPipeGraph
from benchmarks.timing import median_seconds
from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.temporal.network import load_temporal_network
from hand_pose_ros.factory import PipelineConfig, create_pipeline
from hand_pose_ros.networks.registry import TEMPORAL, shipped_weights
from hand_pose_ros.networks.temporal.window import HandWindow
from hand_pose_ros.pose import Frame
from hand_pose_ros.tracking.tracker import TrackerConfig
from hand_pose_ros.video.open import open_source

_SIZE = (640, 480)
_FRAMES, _WARM_UP = 200, 20
_CAMERA = CameraModel.from_fov(*_SIZE, math.radians(60.0))
_ROW = "{:<44} {:>9} {:>9} {:>9} {:>12}".format


def images(spec: str) -> list[np.ndarray]:
    """Frames of a source, fitted into 640x480 with black beside them."""
    source, found = open_source(spec), []
    while len(found) < _FRAMES + _WARM_UP and (frame := source.read()) is not None:
        height, width = frame.image.shape[:2]
        scale = min(_SIZE[0] / width, _SIZE[1] / height)
        small = cv2.resize(frame.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        canvas = np.zeros((_SIZE[1], _SIZE[0], 3), np.uint8)
        canvas[: small.shape[0], : small.shape[1]] = small
        found.append(canvas)
    source.close()
    return found


def transformer_seconds() -> float:
    """One step of the temporal transformer for one hand, with a full window."""
    network = load_temporal_network(shipped_weights(TEMPORAL), "auto", "cpu")
    shape = (1, network.window)
    window = HandWindow(
        stamps_s=torch.linspace(-0.5, 0, network.window)[None],
        valid=torch.ones(shape, dtype=torch.bool),
        joints=torch.randn(*shape, hand.NUM_JOINTS, 3),
        sigma=torch.full((*shape, hand.NUM_JOINTS), 0.05),
        angles=torch.zeros(*shape, hand.NUM_ANGLES),
        rotation=torch.eye(3).expand(*shape, 3, 3),
    )
    proportions = torch.ones(1, hand.NUM_BONES)
    return median_seconds(lambda: network.newest(window, proportions), 200)


def main() -> None:
    torch.set_num_threads(1)
    frames = images(sys.argv[1] if len(sys.argv) > 1 else "clip")
    max_hands = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    pipeline = create_pipeline(PipelineConfig(tracker=TrackerConfig(max_hands=max_hands)))
    mediapipe = MediaPipeGraph(max_hands)
    rows: dict[str, list[float]] = {}
    found = 0
    for number, image in enumerate(frames):
        start = time.perf_counter()
        result = pipeline.process(Frame(image, _CAMERA, number / 30))
        between = time.perf_counter()
        mediapipe.find(image)
        seconds = {
            **result.stage_seconds,
            "image to HandPose": between - start,
            "MediaPipe, its own tracking": time.perf_counter() - between,
        }
        if number >= _WARM_UP:
            found += any(one.valid for one in result.hands)
            for name, value in seconds.items():
                rows.setdefault(name, []).append(1e3 * value)
    reference = float(np.median(rows["MediaPipe, its own tracking"]))
    print(_ROW("milliseconds, 640x480", "median", "p95", "p99", "of MediaPipe"))
    for name, values in rows.items():
        middle, *rest = np.percentile(values, (50, 95, 99))
        print(_ROW(name, f"{middle:.1f}", *(f"{value:.1f}" for value in rest), f"{middle / reference:.2f}x"))
    print(_ROW("temporal transformer, one hand", f"{1e3 * transformer_seconds():.2f}", "", "", ""))
    total = float(np.median(rows["image to HandPose"]))
    print(f"{1e3 / total:.0f} frames per second; a hand in {found} of {len(frames) - _WARM_UP} frames")
    pipeline.close()
    mediapipe.close()


if __name__ == "__main__":
    main()
