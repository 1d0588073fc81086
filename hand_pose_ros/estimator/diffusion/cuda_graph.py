"""The module runs the whole sampling loop as one CUDA graph, which launches all T steps at once without Python.

On a GPU the many small kernels of the U-Net take less time than their launches. A graph is captured for one shape:
a number of hands, samples and steps. Fewer hands are padded; other shapes are sampled step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hand_pose_ros.common.named_tensors import each
from hand_pose_ros.networks.condition import Encoded
from hand_pose_ros.networks.denoising.samplers import SamplingStep, sample
from hand_pose_ros.networks.diffusion.sampling import HandDenoiser, hand_steps, sample_joints

Replay = Callable[[], None]
Capture = Callable[[Callable[[], None]], Replay]
"""Captures work on tensors whose addresses stay the same; returns a function that repeats it."""

_WARM_UP_RUNS = 3


def capture_cuda_graph(work: Callable[[], None]) -> Replay:
    """``work`` as a CUDA graph of the current device.

    Raises:
        RuntimeError: CUDA is not available, or ``work`` does what a graph cannot hold.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(
        stream
    ):  # libraries make their workspaces in the first runs, which no graph may hold
        for _ in range(_WARM_UP_RUNS):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class GraphSampler:
    """Called like :func:`~hand_pose_ros.networks.diffusion.sampling.sample_joints`, and gives the same samples.

    The graph is captured in the first call that fits, on the denoiser's device, and belongs to that denoiser.
    Not thread-safe.
    """

    def __init__(
        self,
        denoiser: HandDenoiser,
        hands: int = 2,
        samples: int = 16,
        steps: int | None = None,
        capture: Capture = capture_cuda_graph,
    ) -> None:
        """Set the shape of the graph.

        Args:
            hands: maximum number. samples: of each hand. steps: None for ancestral sampling over all.
            capture: makes the graph.

        Raises:
            ValueError: a number is below 1, or there are more steps than the diffusion has.
        """
        if hands < 1 or samples < 1:
            raise ValueError(f"hands and samples must be at least 1, got {hands} and {samples}")
        self._walk = hand_steps(denoiser, steps)
        self._denoiser, self._hands, self._samples, self._steps = denoiser, hands, samples, steps
        self._capture = capture
        self._graph: _SamplingGraph | None = None

    def __call__(
        self,
        denoiser: HandDenoiser,
        encoded: Encoded,
        noise: Tensor,
        steps: int | None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Samples (n, S, 21, 3); see ``sample_joints`` for the arguments and what is raised."""
        hands = len(encoded.features)
        fits = (
            denoiser is self._denoiser
            and 0 < hands <= self._hands
            and noise.shape[-3] == self._samples
            and steps == self._steps
            and noise.device == denoiser.mean.device
            and (steps is not None or generator is not None)
        )
        if not fits:
            return sample_joints(denoiser, encoded, noise, steps, generator)
        with torch.no_grad():
            if self._graph is None:
                rows = self._hands * self._samples
                self._graph = _SamplingGraph(denoiser, self._walk, (encoded, noise), rows, self._capture)
            start = noise.expand(hands, *noise.shape[-3:]).flatten(0, 1)
            result = self._graph.run(encoded.repeat(self._samples), start, generator)
        return result.unflatten(0, (hands, self._samples))


class _SamplingGraph:
    """The graph, and the tensors that it reads and writes: hands * samples rows, hand by hand."""

    def __init__(
        self,
        denoiser: HandDenoiser,
        walk: Sequence[SamplingStep],
        like: tuple[Encoded, Tensor],
        rows: int,
        capture: Capture,
    ) -> None:
        """``like``: a condition and noise, of any number of hands, whose types and devices the buffers get."""
        self._denoiser, self._walk = denoiser, walk
        encoded, noise = like
        self._encoded = each(lambda value: value.new_zeros(rows, *value.shape[1:]), encoded)
        self._start = noise.new_zeros(rows, *noise.shape[-2:])
        # Drawn before the graph runs, so that the graph needs no generator.
        self._added = [torch.zeros_like(self._start) for step in walk if step.of_noise]
        self._result = torch.zeros_like(self._start)
        self._replay = capture(self._work)

    def run(self, encoded: Encoded, start: Tensor, generator: torch.Generator | None) -> Tensor:
        """Samples (m, ...) from ``start`` (m, ...), m at most the rows; the others stay as they were."""
        used = len(start)
        for buffer, value in zip((*self._encoded, self._start), (*encoded, start), strict=True):
            buffer[:used].copy_(value)
        for added in self._added:
            added[:used].normal_(generator=generator)
        self._replay()
        return self._result[:used].clone()

    def _work(self) -> None:
        drawn = sample(
            lambda x, t: self._denoiser.denoise(x, t, self._encoded),
            self._start,
            self._walk,
            added=self._added,
        )
        self._result.copy_(drawn)
