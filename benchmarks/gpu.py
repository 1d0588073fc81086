"""How much faster the GPU is than the CPU: the sampling loop, and image to HandPose.

``python -m benchmarks.gpu [video]``; without a video, the rendered clip. Sampled are two hands with 16 samples
over T = 50 steps of ancestral sampling: step by step, as one CUDA graph, and by onnxruntime. The pipeline is the
default one with two hands. All ratios are to the same work on the CPU in the same run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.pipeline import images
from benchmarks.timing import median_seconds, print_header, print_row
from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.common.device import why_no_torch_cuda
from hand_pose_ros.common.onnx_session import why_no_onnx_cuda
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.diffusion.backends import load_denoiser
from hand_pose_ros.estimator.diffusion.cuda_graph import GraphSampler
from hand_pose_ros.factory import PipelineConfig, create_pipeline
from hand_pose_ros.networks.condition import KeypointCondition
from hand_pose_ros.networks.diffusion.sampling import HandDenoiser, antithetic_noise, sample_joints
from hand_pose_ros.networks.registry import HAND_DIFFUSION, shipped_weights
from hand_pose_ros.pose import Frame

_HANDS, _SAMPLES = 2, 16
_CAMERA = CameraModel.from_fov(640, 480, 1.047)
_FRAMES, _WARM_UP = 100, 20
Sampler = Callable[..., Tensor]


def sampling(backend: str, device: str, graph: bool = False) -> Callable[[], object]:
    """One call draws all samples of all hands, and waits for them."""
    denoiser, _ = load_denoiser(shipped_weights(HAND_DIFFUSION), backend, device)
    place = denoiser.mean.device
    sampler: Sampler = GraphSampler(denoiser, _HANDS, _SAMPLES) if graph else sample_joints
    encoded = denoiser.encode(condition(place))
    noise = antithetic_noise(_SAMPLES, torch.Generator().manual_seed(Seed.ARBITRARY)).to(place)
    generator = torch.Generator(place).manual_seed(Seed.ARBITRARY)
    return partial(_drawn, sampler, denoiser, encoded, noise, generator)


@torch.inference_mode()
def _drawn(
    sampler: Sampler, denoiser: HandDenoiser, encoded: object, noise: Tensor, generator: torch.Generator
) -> Tensor:
    return sampler(denoiser, encoded, noise, None, generator).cpu()


def condition(place: torch.device) -> KeypointCondition:
    """Keypoints of hands on ``place``; their values do not matter for the time."""
    points = torch.rand(_HANDS, hand.NUM_JOINTS, 2, generator=torch.Generator().manual_seed(Seed.ARBITRARY))
    unknown = torch.full(points.shape[:2], torch.nan)
    inside = torch.ones(points.shape[:2], dtype=torch.bool)
    extent = torch.full((_HANDS,), 0.3)
    return KeypointCondition(*(one.to(place) for one in (2 * points - 1, unknown, unknown, inside, extent)))


def frames_seconds(spec: str, **options: object) -> float:
    """Median time from an image to its hands, with the pipeline of ``options``."""
    pipeline = create_pipeline(PipelineConfig.from_flat(options))
    frames = images(spec)[:_FRAMES]
    remaining = iter(enumerate(frames))

    def one() -> None:
        number, image = next(remaining)
        pipeline.process(Frame(image, _CAMERA, number / 30))

    seconds = median_seconds(one, repeats=len(frames) - _WARM_UP, warm_up=_WARM_UP)
    pipeline.close()
    return seconds


def main() -> None:
    torch.set_num_threads(1)
    reasons = {"PyTorch": why_no_torch_cuda(), "onnxruntime": why_no_onnx_cuda()}
    for name, reason in reasons.items():
        print(f"{name}: no CUDA: {reason}" if reason else f"{name}: CUDA")
    if not reasons["PyTorch"]:
        print(torch.cuda.get_device_name())
    print_header()
    on_cpu = median_seconds(sampling("onnxruntime", "cpu"), repeats=9, warm_up=1)
    print_row(f"T = 50, {_SAMPLES} samples, {_HANDS} hands: onnxruntime, CPU", on_cpu)
    rows = []
    if not reasons["PyTorch"]:
        rows += [("torch", False, "step by step"), ("torch", True, "CUDA graph")]
    if not any(reasons.values()):
        rows.append(("onnxruntime", False, "bound in place"))
    for backend, graph, how in rows:
        seconds = median_seconds(sampling(backend, "cuda", graph), repeats=50)
        print_row(f"  {backend}, CUDA, {how}", seconds, on_cpu)
    spec = sys.argv[1] if len(sys.argv) > 1 else "clip"
    frame_on_cpu = frames_seconds(spec, device="cpu")
    print_row("image to HandPose, CPU", frame_on_cpu)
    if all(reasons.values()):
        print("no CUDA: nothing was measured on a GPU")
        return
    print_row("  CUDA", frames_seconds(spec, device="cuda"), frame_on_cpu)
    if not reasons["PyTorch"]:
        graph = {"device": "cuda", "diffusion.cuda_graph_hands": _HANDS}
        print_row("  CUDA, with a CUDA graph", frames_seconds(spec, **graph), frame_on_cpu)


if __name__ == "__main__":
    main()
