"""How long the estimator takes that sees pictures, and how fast its encoder is trained on this machine.

    python -m benchmarks.image_encoder [--weights WEIGHTS] [--depth 18] [--no-training]

First one 128 px crop, from pixels to samples of valid hands, by part and backend. Then images per second of the
encoder, forward and backward, by threads, precision and layout. Weights do not matter for the time: without
``--weights`` they are random. Prints Markdown.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.timing import median_seconds
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.backends import load_denoiser
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.networks.diffusion.image_network import HandImageDiffusion, HandImageDiffusionConfig
from hand_pose_ros.networks.diffusion.sampling import HandImageDenoiser, antithetic_noise, sample_joints
from hand_pose_ros.networks.image.image_encoder import ImageEncoder, ImageEncoderConfig
from hand_pose_ros.networks.registry import IMAGE_HAND_DIFFUSION
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.training.parallel import ParallelEncoder

DEFAULT = DiffusionEstimatorConfig()
REPEATS = 30
BATCH = 64
TRAINING_SECONDS = 8.0


def parts(denoiser: HandImageDenoiser) -> dict[str, Callable[[], object]]:
    """What is measured for one crop."""
    size = denoiser.crops.size_px
    crop = np.random.default_rng(Seed.ARBITRARY).integers(0, 256, (1, size, size, 3), np.uint8)
    extent, generator = torch.tensor([0.2]), torch.Generator().manual_seed(Seed.ARBITRARY)
    noise = antithetic_noise(DEFAULT.samples, generator)
    condition = denoiser.encode_crops(crop, extent)[1]

    def diffusion(given: torch.Tensor = condition) -> object:
        encoded = denoiser.encode(None, given)
        x0 = sample_joints(denoiser, encoded, noise, DEFAULT.steps)
        return denoiser.fit(x0.flatten(0, 1), encoded.repeat(DEFAULT.samples))

    return {
        "image encoder": lambda: denoiser.encode_crops(crop, extent),
        f"diffusion, {DEFAULT.samples} samples of {DEFAULT.steps} steps": diffusion,
        "both": lambda: diffusion(denoiser.encode_crops(crop, extent)[1]),
    }


@torch.inference_mode()
def print_inference(weights: Path) -> None:
    """Medians in milliseconds, by part and backend."""
    backends = ("torch", "onnxruntime")
    measured = {}
    for backend in backends:
        denoiser, _ = load_denoiser(weights, backend, "cpu")
        measured[backend] = {n: median_seconds(f, REPEATS) for n, f in parts(denoiser).items()}
    print("| one crop |", " | ".join(backends), "|")
    print("|---" * (1 + len(backends)) + "|")
    for name in measured["torch"]:
        print(f"| {name} |", " | ".join(f"{1e3 * measured[b][name]:.1f} ms" for b in backends), "|")


def images_per_second(
    config: ImageEncoderConfig, threads: int, parted: bool, bf16: bool, last: bool
) -> float:
    """Of the encoder's training step without the optimiser, on random images."""
    torch.set_num_threads(1 if parted else threads)
    layout = torch.channels_last if last else torch.contiguous_format
    encoder: nn.Module = ImageEncoder(config).to(memory_format=layout).train()
    encode = ParallelEncoder(encoder, threads if parted else 1)
    images = torch.randn(BATCH, 3, config.size_px, config.size_px).contiguous(memory_format=layout)

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            seen = encode(images)
        torch.stack([value.float().square().mean() for value in seen]).sum().backward()

    step()
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < TRAINING_SECONDS:
        step()
        steps += 1
    return BATCH * steps / (time.perf_counter() - start)


def print_training(config: ImageEncoderConfig) -> None:
    """Images per second: precision and layout, by threads."""
    columns = {"1 thread": (1, False), "2 threads": (2, False), "2 parts": (2, True)}
    print(f"\n| training, batch {BATCH} |", " | ".join(columns), "|")
    print("|---" * (1 + len(columns)) + "|")
    for bf16, last in itertools.product((False, True), (False, True)):
        rates = [images_per_second(config, *column, bf16, last) for column in columns.values()]
        name = f"{'bf16' if bf16 else 'fp32'}, channels {'last' if last else 'first'}"
        print(f"| {name} |", " | ".join(f"{rate:.0f} images/s" for rate in rates), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="weight file; random weights if not given")
    parser.add_argument("--depth", type=int, default=18, help="of the ResNet with random weights")
    parser.add_argument("--no-training", action="store_true", help="only measure inference")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    config = HandImageDiffusionConfig(ImageEncoderConfig(arguments.depth))
    with tempfile.TemporaryDirectory() as folder:
        weights = arguments.weights
        if weights is None:
            torch.manual_seed(Seed.ARBITRARY)
            weights = Path(folder) / "random.safetensors"
            save_weights(weights, HandImageDiffusion(config), IMAGE_HAND_DIFFUSION, config.to_dict())
        print_inference(weights)
    if not arguments.no_training:
        print_training(config.image)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\nPeak memory of the process: {peak:.0f} MB.")


if __name__ == "__main__":
    main()
