"""Endurance of the hand_estimator under a camera at its worst: changing calibrations and bad frames.

``tools/run python -m benchmarks.camera_endurance [minutes]``: ten minutes at 30 Hz if not told otherwise, with all
topics subscribed. Every tenth image is malformed, and every tenth calibration is none. Fails if, after the first
minute, memory grows by more than 20 MB, a thread or a file descriptor is left behind, or no hands come.
"""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
from sensor_msgs.msg import Image, JointState, PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from benchmarks.live_graph import (
    CAMERA,
    NAMESPACE,
    Camera,
    Estimator,
    Listener,
    NodeProcess,
    raw_image,
    use_own_graph,
)
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.rendering.clip import render_clip
from hand_pose_ros.ros.messages.camera import camera_info_message, image_message

_GROWTH_MB = 20.0
_SETTLING_S = 60.0
_TOPICS = {
    "hands": PointCloud2,
    "right/joints": PoseArray,
    "right/joint_states": JointState,
    "right/wrist": PoseWithCovarianceStamped,
    "markers": MarkerArray,
    "image_overlay": Image,
    "/tf": TFMessage,
}
_BAD_IMAGES = (
    raw_image(640, 480, "bgr8", 1920, 100),
    raw_image(0, 0, "bgr8", 0, 0),
    raw_image(640, 480, "rgb99", 1920, 921600),
    raw_image(320, 240, "bgr8", 960, 230400),
)


def main() -> int:
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    images = [image_message(frame.rendering.image, Header()) for frame in itertools.islice(render_clip(), 60)]
    generator = np.random.default_rng(Seed.ARBITRARY)
    log = Path(tempfile.gettempdir()) / f"camera_endurance_{os.getpid()}.log"
    use_own_graph()
    with Listener() as listener:
        process = NodeProcess("hand_pose_ros.ros.hand_estimator.process", log_path=log, namespace=NAMESPACE)
        Estimator(process, listener).activate()
        recorders = {
            topic: listener.subscribe(kind, topic if topic.startswith("/") else f"/{NAMESPACE}/{topic}")
            for topic, kind in _TOPICS.items()
        }
        camera = Camera(listener)
        start_s, settled, hands = time.monotonic(), None, 0
        for number in itertools.count():
            elapsed_s = time.monotonic() - start_s
            if elapsed_s > 60 * minutes:
                break
            camera.image = _BAD_IMAGES[number // 10 % 4] if number % 10 == 9 else images[number % len(images)]
            camera.info = _calibration(generator, number)
            if number % 30 == 0:
                hands += len(recorders["hands"])
                for recorder in recorders.values():
                    del recorder.messages[:]
                state = _state(process)
                sys.stdout.write(f"\r{elapsed_s:6.0f} s  {hands:6d} clouds  {state} ")
                sys.stdout.flush()
                if settled is None and elapsed_s >= min(_SETTLING_S, 30 * minutes):
                    settled = state
            time.sleep(1 / 30)
        camera.close()
        time.sleep(2)
        final = _state(process)
        process.end()
    assert settled is not None
    growth = [after - before for before, after in zip(settled, final, strict=True)]
    print(f"\n{hands} clouds in {elapsed_s:.0f} s, {hands / elapsed_s:.1f} Hz")
    print(f"memory {growth[0]:+.1f} MB, threads {growth[1]:+.0f}, file descriptors {growth[2]:+.0f}")
    print(f"log: {log}")
    return 0 if growth[0] < _GROWTH_MB and growth[1] <= 0 and growth[2] <= 0 and hands else 1


def _calibration(generator: np.random.Generator, number: int) -> object:
    if number % 10 == 4:
        return camera_info_message(None, CAMERA.width, CAMERA.height, Header())
    focal = float(generator.uniform(500, 600))
    lens = (float(generator.uniform(-0.2, 0.1)), 0.01, 0.0, 0.0, 0.0)
    camera = CameraModel(CAMERA.width, CAMERA.height, focal, focal, 319.5, 239.5, "plumb_bob", lens)
    return camera_info_message(camera, CAMERA.width, CAMERA.height, Header())


def _state(process: NodeProcess) -> tuple[float, float, float]:
    """Memory in MB, threads, and file descriptors of the node."""
    pid = process.pid
    return process.memory_mb, len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))


if __name__ == "__main__":
    raise SystemExit(main())
