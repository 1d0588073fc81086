"""How long the diffusion estimator takes for one hand: by steps, samples and backend.

    python -m benchmarks.diffusion_estimator [--weights models/diffusion.safetensors] [--compiled]

Measured are ``DiffusionEstimator.estimate`` and ``place``, from landmarks to the pose with its covariance, on two
threads. The weights do not matter for the time: without ``--weights`` they are random. Prints Markdown; the
ratio is to T = 50 steps of ancestral sampling in PyTorch with as many samples. What the steps cost in accuracy is
in docs/how/diffusion.md.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.timing import median_seconds
from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.backends import load_denoiser
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.placement import place
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.networks.diffusion.network import HandDiffusion
from hand_pose_ros.networks.diffusion.onnx import export_onnx
from hand_pose_ros.networks.registry import HAND_DIFFUSION, load_network
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.pose import Detection, Frame

CAMERA = CameraModel.from_fov(640, 480, 1.2)
FRAME = Frame(np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8), CAMERA)
DEFAULT = DiffusionEstimatorConfig()
FULL: int | None = None  # ancestral sampling over all T steps
STEPS = (1, 2, 3, 4, 5, 8, 10, 25, FULL)
SAMPLES = (1, 4, 8, 16, 32)
REPEATS = 9


def settings() -> Iterator[tuple[int | None, int]]:
    """(steps, samples): every number of steps with the default samples, and every number of samples with few."""
    for steps in STEPS:
        yield steps, DEFAULT.samples
    for samples in SAMPLES:
        if samples != DEFAULT.samples:
            yield DEFAULT.steps, samples
            yield FULL, samples


def one_detection() -> list[Detection]:
    """A neutral right hand half a metre away, palm to the camera and fingers up."""
    angles, proportions = angle_bounds(torch.float64), proportion_bounds(torch.float64)
    palm_up = angles.neutral.new_tensor(((0.0, 1.0, 0.0), (-1.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    position = angles.neutral.new_tensor((0.03, 0.05, 0.5))
    joints = forward_kinematics(
        angles.neutral, proportions.neutral, palm_up, position, hand.MEAN_ANCHOR_LENGTH_M
    ).joints
    landmarks_px = CAMERA.project(joints).numpy()
    box_px = np.concatenate((landmarks_px.min(0), landmarks_px.max(0)))
    return [Detection("right", 0.9, box_px, landmarks_px, joints.numpy())]


def measure(path: Path, backend: str) -> tuple[dict[tuple[int | None, int], float], float]:
    """Seconds per hand by (steps, samples), and seconds to load the model."""
    start = time.perf_counter()
    denoiser, spread_scale = load_denoiser(path, backend, "cpu")
    loaded = time.perf_counter() - start
    detections, seconds = one_detection(), {}
    for steps, samples in settings():
        estimator = DiffusionEstimator(
            denoiser, spread_scale, DiffusionEstimatorConfig(samples=samples, steps=steps)
        )
        if not place(estimator.estimate(FRAME, detections))[0].valid:
            raise RuntimeError("the hand of the benchmark was not estimated")
        seconds[steps, samples] = median_seconds(
            lambda e=estimator: place(e.estimate(FRAME, detections)), REPEATS if steps else 3, warm_up=1
        )
    return seconds, loaded


def print_table(seconds: dict[str, dict[tuple[int | None, int], float]], total: int) -> None:
    """Milliseconds, and how many times faster than all T steps in PyTorch."""
    print("| steps | samples |", " | ".join(seconds), "|")
    print("|---" * (2 + len(seconds)) + "|")
    for steps, samples in settings():
        full = seconds["torch"][FULL, samples]
        cells = [
            f"{1e3 * times[steps, samples]:.1f} ms ({full / times[steps, samples]:.1f}x)"
            for times in seconds.values()
        ]
        name = f"{total} (ancestral)" if steps is FULL else steps
        mark = " (default)" if (steps, samples) == (DEFAULT.steps, DEFAULT.samples) else ""
        print(f"| {name} | {samples}{mark} |", " | ".join(cells), "|")


def prepared(weights: Path | None, folder: Path) -> tuple[Path, Path, int]:
    """A weight file, its export in ``folder``, and T."""
    if weights is None:
        torch.manual_seed(Seed.ARBITRARY)
        model = HandDiffusion().eval()
        weights = folder / "random.safetensors"
        save_weights(weights, model, HAND_DIFFUSION, model.config.to_dict())
    model = load_network(weights, HAND_DIFFUSION).network
    export_onnx(model, folder / "onnx")
    return weights, folder / "onnx", model.schedule.steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="weight file; random weights if not given")
    parser.add_argument("--compiled", action="store_true", help="also torch.compile, which takes minutes")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as folder:
        weights, exported, total = prepared(arguments.weights, Path(folder))
        backends = ("torch", "compiled", "onnxruntime") if arguments.compiled else ("torch", "onnxruntime")
        seconds, loaded = {}, {}
        for backend in backends:
            path = exported if backend == "onnxruntime" else weights
            seconds[backend], loaded[backend] = measure(path, backend)
        print_table(seconds, total)
        times = ", ".join(f"{backend} {1e3 * value:.0f} ms" for backend, value in loaded.items())
        print(f"\nModel load: {times}. Peak memory of the process, with PyTorch and all backends: ", end="")
        print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB.")


if __name__ == "__main__":
    main()
