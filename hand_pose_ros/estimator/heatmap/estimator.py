"""The heatmap estimator reads a 2.5D pose from the image and solves it for the hand (heatmap_25d, section 3).

The image is cropped as the network's training crops are; the crop is undistorted. The wrist is at the depth where
all bones best have their mean proportions, or at that of the closed form (eq. 5-7). An IK fit gives the hand
inside its limits. Placement scales it by the given size, or by the mean bone lengths (eq. 8).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.camera.keypoint_view import KeypointView
from hand_pose_ros.camera.root_depth import joints_from_depths
from hand_pose_ros.camera.solved_root import Reason, RootSolution
from hand_pose_ros.common.device import UNCOMPILED_BACKENDS
from hand_pose_ros.common.named_tensors import cat, rows, to
from hand_pose_ros.common.options import Options, option
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.finders import LandmarkFinder
from hand_pose_ros.estimator.estimate import EstimatedHands, SolvedWrists
from hand_pose_ros.estimator.fit_memory import FitMemory
from hand_pose_ros.estimator.heatmap.hand_fit import fit_hands
from hand_pose_ros.estimator.heatmap.reading import HandReader, ViewedPoses
from hand_pose_ros.estimator.heatmap.roots import ROOT_FORMS
from hand_pose_ros.estimator.heatmap.spread import spread_hands
from hand_pose_ros.kinematics.inverse import HandFit
from hand_pose_ros.networks.diffusion.sampling import antithetic_noise
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.runtime.heatmap import RunnableHeatmap, load_heatmap_network
from hand_pose_ros.pose import Detection, Frame

CLOSED_FORM: Final = "root depths in closed form"
LEAST_SQUARES: Final = "root depths by least squares"
UNSOLVED: Final = "root depths not solved"
"""The counters of an estimate, of all hands since the start."""


@dataclass(frozen=True)
class HeatmapEstimatorConfig(Options):
    """Options of :class:`HeatmapEstimator`.

    hand_size_m: see :class:`~hand_pose_ros.estimator.estimate.EstimatedHands`.
    seed: of the noise, which is drawn once: identical input gives identical output.
    """

    weights: str = option(
        "",
        "Weights (.safetensors) of a 2.5D heatmap network; empty for the shipped ones.",
    )
    backend: str = option(
        "auto",
        "Runs the network: `onnxruntime`, `torch`, or `auto`: torch on CUDA, onnxruntime on a CPU.",
        choices=UNCOMPILED_BACKENDS,
    )
    root: str = option(
        "all_bones",
        "Solves the depth of the wrist first: `all_bones`, least squares with mean proportions, each bone as "
        "certain as the maps state it, or `closed_form`, the paper's, over the bone wrist -> index MCP. Where it "
        "is not valid the other one takes over.",
        choices=tuple(ROOT_FORMS),
    )
    limits: bool = option(
        True,
        "Publish the joints of the hand inside its limits that fits the 2.5D pose. Off: the joints where the "
        "network and the root depth place them, with the angles and frames of that hand. It needs "
        "`temporal.enabled` off, whose hands are always inside the limits.",
    )
    samples: int = option(
        16, "Noisy copies of each 2.5D pose that give the covariance.", minimum=2, maximum=1024
    )
    hand_size_m: float | None = None
    seed: int = Seed.ARBITRARY.value

    def create(self, hand_size_m: float | None, device: str) -> HeatmapEstimator:
        """The estimator with its weights.

        Raises:
            ValueError: as :func:`~hand_pose_ros.networks.runtime.heatmap.load_heatmap_network`.
        """
        network = load_heatmap_network(self.weights, self.backend, device)
        return HeatmapEstimator(network, self, hand_size_m)


class _SolvedHands(NamedTuple):
    """n hands whose root depth is solved: their 2.5D poses, joints (n, 21, 3) in their views, and solutions."""

    poses: ViewedPoses
    joints: Tensor
    root: RootSolution


class HeatmapEstimator:
    """A :class:`~hand_pose_ros.estimator.estimate.PoseEstimator` that reads 2.5D heatmaps.

    The fit of a hand with a track id starts from its last frame.
    """

    def __init__(
        self,
        network: RunnableHeatmap,
        config: HeatmapEstimatorConfig | None = None,
        hand_size_m: float | None = None,
    ) -> None:
        """``hand_size_m``: length of the bone wrist -> index MCP; None for the mean bone lengths of adults."""
        self._config = config or HeatmapEstimatorConfig()
        self._hand_size_m = hand_size_m
        self._reader = HandReader(network)
        self._root_of = ROOT_FORMS[self._config.root]
        generator = torch.Generator().manual_seed(self._config.seed)
        self._noise = antithetic_noise(self._config.samples, generator).double()
        self._counts: Counter[str] = Counter({CLOSED_FORM: 0, LEAST_SQUARES: 0, UNSOLVED: 0})
        self._fits = FitMemory()

    @property
    def counts(self) -> dict[str, int]:
        """Number of hands since the start whose root depth each form gave, or none; :meth:`reset` keeps it."""
        return dict(self._counts)

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
        views: dict[int, KeypointView] = {}
        reasons: dict[int, str] = {}
        for row, detection in enumerate(detections):
            try:
                views[row] = self._reader.view(frame, detection)
            except ValueError as error:
                reasons[row] = str(error)
        solved = None
        if views:
            view = cat(list(views.values()))
            poses = self._reader.read(frame, [detections[row].side for row in views], view)
            solved, kept, why = self._solved(poses)
            taken = list(views)
            reasons |= {taken[index]: text for index, text in why.items()}
            view, numbers = rows(view, kept), [taken[index] for index in kept.tolist()]
        if solved is None or not numbers:
            return EstimatedHands(detections, reasons=reasons, counts=self.counts)
        found = [detections[row] for row in numbers]
        fit = fit_hands(solved.poses, solved.joints, solved.root.depth, last.start(found))
        self._fits.keep(found, fit)
        hands, wrist = self._hands(fit, solved.joints)
        spread = spread_hands(solved.poses, solved.joints, hands, wrist, self._noise, self._root_of)
        assert fit.residual_px is not None
        misfit = fit.residual_px.square().mean(-1).sqrt()
        return EstimatedHands(
            detections,
            tuple(numbers),
            reasons,
            view._replace(points=solved.poses.points / view.half_extent[:, None, None]),
            hands,
            to(spread.samples, torch.float32),
            spread.weights.float(),
            hand_size_m=self._hand_size_m,
            wrist=SolvedWrists(wrist, solved.root.condition, misfit, spread.wrists),
            counts=self.counts,
        )

    def _solved(self, poses: ViewedPoses) -> tuple[_SolvedHands, Tensor, dict[int, str]]:
        """Solve root depths; return the m solved hands, their indices (m,), and the reasons of the others."""
        points = torch.where(poses.known[:, None, None], poses.points, torch.nan)
        root, closed_form = chosen = self._root_of(points, poses.depths, poses.sigma, poses.depth_sigma)
        self._counts[CLOSED_FORM] += int(closed_form.sum())
        self._counts[LEAST_SQUARES] += int(chosen.least_squares.sum())
        self._counts[UNSOLVED] += int((~root.valid).sum())
        reasons = {index: _why_not_solved(poses, root, index) for index in _places(~root.valid)}
        kept = root.valid.nonzero()[:, 0]
        poses, root = rows(poses, kept), rows(root, kept)
        return (
            _SolvedHands(poses, joints_from_depths(poses.points, poses.depths, root.depth), root),
            kept,
            reasons,
        )

    def _hands(self, fit: HandFit, joints: Tensor) -> tuple[HandParameters, Tensor]:
        """Hands relative to their wrists (n, ...), and these wrists (n, 3), anchor lengths.

        The wrist is NaN, which placement reports, where the fitted hand is not wholly in front of the camera.
        """
        frames = fit.frames
        placed = frames.joints if self._config.limits else joints
        in_front = (frames.joints[..., 2] > 0).all(-1)
        wrist = placed[:, hand.WRIST].where(in_front[:, None], torch.nan)
        return (
            HandParameters(
                fit.angles,
                fit.proportions,
                frames.rotations[:, hand.WRIST],
                placed - placed[:, hand.WRIST, None],
                frames.rotations,
            ),
            wrist,
        )


def _places(chosen: Tensor) -> list[int]:
    return chosen.nonzero()[:, 0].tolist()


def _why_not_solved(poses: ViewedPoses, root: RootSolution, index: int) -> str:
    if not bool(poses.known[index]):
        return "the network's maps are not finite"
    reason = Reason(int(root.reason[index])).name.lower().replace("_", " ")
    return f"the depth of the wrist cannot be solved: {reason}"
