"""The mesh diffusion estimator denoises meshes of each hand under its image (DiffHand), and fits the hand to them.

The network reads features of the crop in which the detector found the landmarks, so the image is not encoded
again. Several hypotheses give the mesh and its uncertainty. The mesh's joints, by the template's regressor, give
the hand inside its limits, and the landmarks place it by the 2.5D root solve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.device import UNCOMPILED_BACKENDS
from hand_pose_ros.common.named_tensors import cat, rows, to
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.finders import LandmarkFinder
from hand_pose_ros.estimator.estimate import EstimatedHands
from hand_pose_ros.estimator.fit_memory import FitMemory
from hand_pose_ros.estimator.mesh_diffusion.backends import RunnableMesh, load_mesh_network
from hand_pose_ros.estimator.mesh_diffusion.depth_reading import read_depth
from hand_pose_ros.estimator.mesh_diffusion.fitted import (
    CHOICES,
    MEAN,
    FittedHands,
    chosen_meshes,
    fit_meshes,
    vertex_sigma,
)
from hand_pose_ros.estimator.mesh_diffusion.reading import ReadHand, read_hand
from hand_pose_ros.networks.mesh_diffusion.config import DEPTH
from hand_pose_ros.networks.mesh_diffusion.sampling import mesh_noise
from hand_pose_ros.networks.registry import MESH_DIFFUSION, shipped_weights
from hand_pose_ros.pose import Detection, Frame


@dataclass(frozen=True)
class MeshDiffusionEstimatorConfig(Options):
    """Options of :class:`MeshDiffusionEstimator`.

    hand_size_m: see :class:`~hand_pose_ros.estimator.estimate.EstimatedHands`.
    seed: of the noise, which is drawn once: identical input gives identical output.
    """

    weights: str = option(
        "", "Weights (.safetensors) of a mesh diffusion network; empty for the shipped ones."
    )
    backend: str = option(
        "auto",
        "Runs the network: `onnxruntime`, `torch`, or `auto`: torch on CUDA, onnxruntime on a CPU.",
        choices=UNCOMPILED_BACKENDS,
    )
    samples: int = option(
        4,
        "Meshes drawn for each hand. Their spread gives the covariance, so one alone leaves it unknown.",
        minimum=1,
        maximum=1024,
    )
    steps: int = option(2, "DDIM sampling steps.", minimum=1, maximum=1000)
    choice: str = option(
        MEAN,
        "The mesh of several: their `mean`, or the one whose joints lie best on the landmarks (`likelihood`).",
        choices=CHOICES,
    )
    hand_size_m: float | None = None
    seed: int = Seed.ARBITRARY.value

    def create(self, hand_size_m: float | None, device: str) -> MeshDiffusionEstimator:
        """The estimator with its weights.

        Raises:
            ValueError: as :func:`~hand_pose_ros.estimator.mesh_diffusion.backends.load_mesh_network`, or the
                network's diffusion has fewer steps.
        """
        weights = self.weights or shipped_weights(MESH_DIFFUSION)
        return MeshDiffusionEstimator(load_mesh_network(weights, self.backend, device), self, hand_size_m)


class _MeshedHands(NamedTuple):
    """n hands with finite meshes: those in their views, (n, S, V, 3), and their indices (n,) among those read."""

    meshes: Tensor
    kept: Tensor


class MeshDiffusionEstimator:
    """A :class:`~hand_pose_ros.estimator.estimate.PoseEstimator` that draws meshes.

    The fit of a hand with a track id starts from its last frame.
    """

    def __init__(
        self,
        network: RunnableMesh,
        config: MeshDiffusionEstimatorConfig | None = None,
        hand_size_m: float | None = None,
    ) -> None:
        """``hand_size_m``: length of the bone wrist -> index MCP; None for the mean bone lengths of adults.

        Raises:
            ValueError: more steps than the network's diffusion has.
        """
        self._config = config or MeshDiffusionEstimatorConfig()
        if self._config.steps > network.config.steps:
            raise ValueError(
                f"steps must be at most {network.config.steps}, those of the diffusion, got {self._config.steps}"
            )
        self._hand_size_m = hand_size_m
        self._network = network
        generator = torch.Generator().manual_seed(self._config.seed)
        self._noise = mesh_noise(self._config.samples, network.config.points, generator)
        self._fits = FitMemory()

    def finder(self, landmarks: LandmarkFinder) -> LandmarkFinder:
        """See :class:`~hand_pose_ros.estimator.estimate.PoseEstimator`."""
        return landmarks

    def reset(self) -> None:
        """Forget the last frame."""
        self._fits = FitMemory()

    @torch.inference_mode()
    def estimate(self, frame: Frame, detections: list[Detection]) -> EstimatedHands:
        """See :class:`~hand_pose_ros.estimator.estimate.PoseEstimator`."""
        last = self._fits.take()
        read: dict[int, ReadHand] = {}
        reasons: dict[int, str] = {}
        for row, detection in enumerate(detections):
            try:
                read[row] = read_hand(frame, detection, self._network.config.encoder)
            except ValueError as error:
                reasons[row] = str(error)
        if not read:
            return EstimatedHands(detections, reasons=reasons)
        found = cat(list(read.values()))
        taken = list(read)
        meshed = self._meshes(found, [self._depth(frame, detections[row], read[row]) for row in taken])
        numbers = [taken[index] for index in meshed.kept.tolist()]
        reasons |= {row: "the network's mesh is not finite" for row in taken if row not in numbers}
        if not numbers:
            return EstimatedHands(detections, reasons=reasons)
        view = rows(found.view, meshed.kept)
        chosen, joints = chosen_meshes(meshed.meshes, view, self._config.choice, self._hand_size_m)
        hands = [detections[row] for row in numbers]
        fitted = fit_meshes(chosen, joints, last.start(hands))
        self._fits.keep(hands, fitted.fit)
        return self._estimated(detections, numbers, reasons, fitted, meshed, found)

    def _depth(self, frame: Frame, detection: Detection, read: ReadHand) -> Tensor | None:
        """Return the depth condition of one hand, if the frame and the network have it."""
        if frame.depth_m is None or DEPTH not in self._network.config.conditions:
            return None
        size_m = self._hand_size_m or hand.MEAN_ANCHOR_LENGTH_M
        return read_depth(frame, detection, read, self._network.config.condition_size_px, size_m)

    def _meshes(self, found: ReadHand, depths: Sequence[Tensor | None]) -> _MeshedHands:
        """Draw the hypotheses of n read hands, and turn them to the axes of their views."""
        parts, rows_of = [], []
        for known in (True, False):
            chosen = [row for row, one in enumerate(depths) if (one is not None) == known]
            if not chosen:
                continue
            some = rows(found, torch.tensor(chosen))
            images = [one for one in depths if one is not None]
            given = {DEPTH: torch.cat(images)} if known else None
            parts.append(
                self._network.hypotheses(some.inputs, some.sign, self._noise, self._config.steps, given)
            )
            rows_of += chosen
        drawn = torch.cat(parts)[torch.tensor(rows_of).argsort()]
        kept = drawn.isfinite().flatten(1).all(1).nonzero()[:, 0]
        turn = found.turn[kept].float()[:, None]
        return _MeshedHands(drawn[kept] @ turn.mT, kept)

    def _estimated(
        self,
        detections: list[Detection],
        numbers: list[int],
        reasons: dict[int, str],
        fitted: FittedHands,
        meshed: _MeshedHands,
        found: ReadHand,
    ) -> EstimatedHands:
        count = self._config.samples
        surfaces = fitted.surfaces._replace(sigma=vertex_sigma(meshed.meshes))
        return EstimatedHands(
            detections,
            tuple(numbers),
            reasons,
            rows(found.view, meshed.kept),
            fitted.hands,
            to(fitted.samples, torch.float32),
            torch.full((len(numbers), count), 1 / count),
            self._network.config.spread_scale,
            self._hand_size_m,
            surfaces=surfaces,
        )
