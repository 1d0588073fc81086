"""MediaPipe's networks by LiteRT, onnxruntime and PyTorch: differences of their answers, milliseconds on a core.

``python -m benchmarks.landmark_networks [folder of photos]``; without a folder, frames of the rendered clip. The
backends take turns on each image, so that other work on the machine slows all of them.
"""

from __future__ import annotations

import sys
import time
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch

from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.detection.mediapipe.landmarks import CropLandmarks, LandmarkNetwork
from hand_pose_ros.detection.mediapipe.network_files import read_networks
from hand_pose_ros.detection.mediapipe.palms import PalmDetector
from hand_pose_ros.networks.imported.backends import open_tflite
from hand_pose_ros.rendering.clip import render_clip

_BACKENDS = ("litert", "onnxruntime", "torch")
_IMAGES = 120
_ROW = "{:<14} {:>12} {:>12} {:>14} {:>14} {:>14} {:>10} {:>10}".format


def _images(arguments: list[str]) -> list[np.ndarray]:
    if not arguments:
        return [frame.rendering.image for frame in islice(render_clip(), 60)]
    paths = sorted(p for p in Path(arguments[0]).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    read = (cv2.imread(str(path)) for path in paths[:: max(1, len(paths) // _IMAGES)][:_IMAGES])
    return [image for image in read if image is not None]


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    images, networks = _images(sys.argv[1:]), read_networks()
    palms = {one: PalmDetector(open_tflite(networks.palm, one, "cpu", 1)) for one in _BACKENDS}
    finders = {one: LandmarkNetwork(open_tflite(networks.landmarks, one, "cpu", 1)) for one in _BACKENDS}
    milliseconds: dict[tuple[str, str], list[float]] = {}
    differences: dict[str, list[tuple[float, ...]]] = {one: [] for one in _BACKENDS}
    hands = 0
    for image in images:
        found = {}
        for backend in _BACKENDS:
            start = time.perf_counter()
            found[backend] = palms[backend].find(image)
            milliseconds.setdefault((backend, "palm"), []).append(1e3 * (time.perf_counter() - start))
        if not found["litert"] or any(len(one) != len(found["litert"]) for one in found.values()):
            continue
        palm = found["litert"][0]
        square = RotatedSquare.around_palm(palm.box_px, palm.keypoints_px)
        answers: dict[str, CropLandmarks] = {}
        for backend in _BACKENDS:
            start = time.perf_counter()
            answers[backend] = finders[backend].find(image, square)
            milliseconds.setdefault((backend, "landmarks"), []).append(1e3 * (time.perf_counter() - start))
        if answers["litert"].presence < 0.5:
            continue
        hands += 1
        for backend, answer in answers.items():
            reference = answers["litert"]
            differences[backend].append(
                (
                    float(np.abs(found[backend][0].keypoints_px - palm.keypoints_px).max()),
                    float(np.abs(answer.landmarks_px - reference.landmarks_px).max()),
                    1e6 * float(np.abs(answer.world_m - reference.world_m).max()),
                    abs(answer.presence - reference.presence),
                    abs(answer.right - reference.right),
                )
            )
    print(
        f"{hands} hands in {len(images)} images; largest differences from LiteRT, and median ms on one core"
    )
    print(_ROW("", "palm, px", "2D, px", "3D, micrometre", "presence", "side", "palm", "landmarks"))
    for backend, rows in differences.items():
        largest = [f"{value:.2g}" for value in np.max(rows, axis=0)]
        times = [f"{np.median(milliseconds[backend, part]):.1f}" for part in ("palm", "landmarks")]
        print(_ROW(backend, *largest, *times))


if __name__ == "__main__":
    main()
