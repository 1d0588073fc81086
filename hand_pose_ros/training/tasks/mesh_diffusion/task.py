"""The task trains the mesh diffusion network on stored features, or crops, of renders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common import named_tensors
from hand_pose_ros.common.dataclass_reading import read_dataclass
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.detection.mediapipe.network_files import read_stored
from hand_pose_ros.evaluation.mesh_scores import mesh_scores
from hand_pose_ros.mesh.mano import MANO, load_mano
from hand_pose_ros.mesh.template import HandTemplate
from hand_pose_ros.mesh.topology import check_meshes
from hand_pose_ros.networks.imported.network import import_network
from hand_pose_ros.networks.mesh_diffusion.conditions import (
    depth_condition,
    keypoint_condition,
    silhouette_condition,
)
from hand_pose_ros.networks.mesh_diffusion.config import LANDMARK_BLOCKS, MeshDiffusionConfig
from hand_pose_ros.networks.mesh_diffusion.encoders import ContinuedFeatures
from hand_pose_ros.networks.mesh_diffusion.network import Encoded, MeshDiffusion
from hand_pose_ros.networks.mesh_diffusion.sampling import average_views, choose, mesh_noise, sample_meshes
from hand_pose_ros.networks.orientation.network import WIDE, LandmarkBlocks, start_from_landmarks
from hand_pose_ros.networks.registry import HAND_ORIENTATION, MESH_DIFFUSION, load_network
from hand_pose_ros.networks.weights import load_weights, restore
from hand_pose_ros.training.precision import full_precision
from hand_pose_ros.training.tasks.mesh_diffusion.crop_bank import MeshCrops, mesh_targets, read_mesh_bank
from hand_pose_ros.training.tasks.mesh_diffusion.fresh_crops import FreshCrops
from hand_pose_ros.training.tasks.mesh_diffusion.losses import MeshLosses, mesh_terms
from hand_pose_ros.training.tasks.orientation.feature_bank import LANDMARK_FILE, BankOptions

_BATCH: Final = 64
_MOST_STATISTICS: Final = 2000


@dataclass(frozen=True)
class MeshOptions:
    """Options of the task ``mesh_diffusion``.

    bank: folder in which the encoder's inputs are stored; those that exist are read. Empty stores none: every step
        cuts new crops, of which ``copies`` says nothing then.
    rendered: hand images to train on. validation: those to validate on; none without folders.
    mano_file: a user's licensed MANO file, for a network with ``mesh: mano``: the labels then pose its mesh.
    warm_start: weight file to start from; empty for random weights. It may be of a network without the extra
        conditions of this one, which are then added (DiffHand, 3.3).
    blocks_start: weight file of an orientation network, with whose blocks an encoder 'landmark_blocks' starts;
        empty for the landmark network's own.
    frozen_blocks: these blocks are not trained. Their outputs are then computed once for each crop of the bank.
    rates: factor on the learning rate of the parameters whose names start with the key.
    frozen_base: only the extra conditions are trained.
    batch_size: crops per step.
    condition_share: probability that a step gives an extra condition.
    depth_noise: standard deviation, anchor lengths. depth_holes: share of unknown pixels.
    keypoint_noise: standard deviation, half extents.
    steps, samples: DDIM steps, and hypotheses whose mean is taken, in validation.
    views: crops of each hand whose estimates are averaged in validation (test-time augmentation), in place of the
        ``copies`` of the bank ``validation``.
    """

    bank: str
    rendered: BankOptions
    validation: BankOptions | None = None
    mano_file: str = ""
    warm_start: str = ""
    frozen_base: bool = False
    blocks_start: str = ""
    frozen_blocks: bool = False
    rates: Mapping[str, float] = field(default_factory=dict)
    batch_size: int = 64
    condition_share: float = 0.8
    depth_noise: float = 0.02
    depth_holes: float = 0.05
    keypoint_noise: float = 0.03
    steps: int = 10
    samples: int = 1
    views: int = 1
    losses: MeshLosses = field(default_factory=MeshLosses)
    network: MeshDiffusionConfig = field(default_factory=MeshDiffusionConfig)

    def __post_init__(self) -> None:
        if not self.rendered.given:
            raise ValueError("rendered must name folders of shards, or sets")
        if min(self.batch_size, self.steps, self.samples, self.views) < 1 or self.steps > self.network.steps:
            raise ValueError(
                "batch_size, steps, samples and views must be positive, and steps within those of the network"
            )
        if not 0 <= self.condition_share <= 1 or not 0 <= self.depth_holes <= 1:
            raise ValueError("condition_share and depth_holes must lie in [0, 1]")
        if min(self.depth_noise, self.keypoint_noise) < 0:
            raise ValueError("depth_noise and keypoint_noise must not be negative")
        if (self.frozen_blocks or self.blocks_start) and self.network.encoder.kind != LANDMARK_BLOCKS:
            raise ValueError(f"frozen_blocks and blocks_start need the encoder {LANDMARK_BLOCKS!r}")
        if (self.network.mesh == MANO) != bool(self.mano_file):
            raise ValueError("network.mesh 'mano' and mano_file belong together")
        if self.frozen_base and not self.network.conditions:
            raise ValueError("frozen_base leaves nothing to train without extra conditions")


class MeshTraining:
    """The task denoises the meshes of hands, or regresses them without diffusion."""

    def __init__(self, options: MeshOptions) -> None:
        self.options = options
        self._template = load_mano(options.mano_file).template if options.mano_file else None
        self.model = MeshDiffusion(options.network, self._template)
        if options.warm_start:
            loaded = load_weights(options.warm_start, MESH_DIFFUSION)
            own = self.model.state_dict()
            added = {name: own[name] for name in own if name.startswith("conditions.")}
            restore(self.model, replace(loaded, tensors={**added, **loaded.tensors}))
        elif isinstance(self.model.encoder, ContinuedFeatures):
            _start_blocks(self.model.encoder.landmark, options.blocks_start)
        if options.frozen_blocks and isinstance(self.model.encoder, ContinuedFeatures):
            self.model.encoder.landmark.requires_grad_(False)
        if options.frozen_base:
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(name.startswith("conditions."))
        self._crops: MeshCrops | None = None
        self._means: np.ndarray | None = None
        self._validation: MeshCrops | None = None
        self._fresh: FreshCrops | None = None

    @classmethod
    def from_options(cls, options: Mapping) -> MeshTraining:
        """Make the task from the ``options`` of a training file."""
        return cls(read_dataclass(MeshOptions, options, "options"))

    @property
    def learning_rates(self) -> Mapping[str, float]:
        """Factors on the learning rate."""
        return self.options.rates

    def metadata(self) -> dict:
        """Return the network's configuration."""
        return self.model.config.to_dict()

    def make_data(self) -> None:
        """Make the crops of the bank, and the shards of data sets, that are not stored yet."""
        if self.options.bank:
            self._training_crops()
        else:
            self._fresh_crops()

    def prepare(self, generator: torch.Generator) -> None:
        """Start to cut the crops of this generator's batch, where they are not stored."""
        if not self.options.bank:
            self._fresh_crops().prepare(self.options.batch_size, generator)

    def losses(self, generator: torch.Generator) -> dict[str, Tensor]:
        """Return the weighted loss terms of a batch."""
        crops = self._training_crops() if self.options.bank else None
        if self.options.frozen_base:
            self.model.encoder.eval()  # its running statistics stay, too
        chosen = np.empty(0, int)
        if crops is None:
            batch = self._fresh_crops().draw(self.options.batch_size, generator)
        else:
            chosen = torch.randint(crops.count, (self.options.batch_size,), generator=generator).numpy()
            batch = named_tensors.rows(crops, chosen)
        model, device = self.model, self.model.scale.device
        with full_precision():
            targets = mesh_targets(batch, self._template)
            check_meshes(targets.vertices, self._template)
            noise = torch.randn(self.options.batch_size, model.config.points, 3, generator=generator)
            t = torch.randint(model.config.steps, (self.options.batch_size,), generator=generator).to(device)
            conditions = {
                name: self._condition(name, batch, generator).to(device)
                for name in model.config.conditions
                if float(torch.rand((), generator=generator)) < self.options.condition_share
            }
            targets = named_tensors.to(targets, device)
            clean = model.standardise(model.points_of(targets.vertices))
            noisy = model.schedule.add_noise(clean, noise.to(device), t)
        means = None if self._means is None else self._means[chosen]
        encoded = self._encode(model, batch, conditions, means)
        predicted = model.denoise(noisy, t, encoded) if model.config.diffusion else model.regress(encoded)
        with full_precision():
            predicted = predicted.float()
            mesh = model.mesh(predicted)
            template = self._on(device)
            terms = mesh_terms(mesh, (predicted, clean), targets, self.options.losses, template, generator)
        if self.options.frozen_base and not conditions:
            # Without a condition nothing of this batch depends on what is trained.
            silent = sum(
                (0.0 * one.sum() for one in model.conditions.parameters()), torch.zeros((), device=device)
            )
            terms = {name: term.detach() + silent for name, term in terms.items()}
        return terms

    @torch.no_grad()
    def validate(self, model: MeshDiffusion) -> dict[str, float]:
        """Return the scores of held-out renders, for hands of mean size; empty without any."""
        options = self.options
        if options.validation is None or not options.validation.given:
            return {}
        if self._validation is None:
            folder = Path(options.bank) / "validation" if options.bank else None
            copies = replace(options.validation, copies=options.views)
            self._validation = read_mesh_bank(folder, copies, model.config, Seed.IMAGE_VALIDATION)
        crops = self._validation
        generator = torch.Generator().manual_seed(Seed.IMAGE_VALIDATION)
        noise = mesh_noise(options.samples, model.config.points, generator).to(model.scale.device)
        predicted, truth = [], []
        for start in range(0, crops.count, _BATCH):
            batch = named_tensors.rows(crops, slice(start, start + _BATCH))
            conditions = {
                name: self._condition(name, batch, generator).to(model.scale.device)
                for name in model.config.conditions
            }
            encoded = self._encode(model, batch, conditions)
            predicted.append(choose(sample_meshes(model, encoded, noise, options.steps)).cpu().double())
            truth.append(mesh_targets(batch, self._template).vertices.double())
        of_views = torch.cat(predicted).unflatten(0, (options.views, -1))
        # Rotations from the wrist's frame: all that differs between views of one hand is the known crop.
        rotations = torch.from_numpy(np.asarray(crops.rotation, np.float64))
        averaged = average_views(of_views, rotations.unflatten(0, (options.views, -1)))
        meshes = (
            hand.MEAN_ANCHOR_LENGTH_M * one.numpy() for one in (averaged, torch.cat(truth)[: len(averaged)])
        )
        return {_key(name): value for name, value in mesh_scores(*meshes).items()}

    def _on(self, device: torch.device) -> HandTemplate | None:
        """Return the user's template on a device, for the losses; None for the shipped one."""
        if self._template is None or self._template.vertices.device == device:
            return self._template
        parts = vars(self._template).items()
        return replace(
            self._template, **{name: one.to(device) for name, one in parts if isinstance(one, Tensor)}
        )

    def _fresh_crops(self) -> FreshCrops:
        """Open the hands once, and standardise by their meshes unless the network has started from weights."""
        if self._fresh is None:
            options = self.options
            self._fresh = FreshCrops(options.rendered, options.network)
            if not options.warm_start:
                poses = self._fresh.poses(_MOST_STATISTICS, np.random.default_rng(Seed.STATISTICS))
                self.model.set_statistics(mesh_targets(poses, self._template).vertices)
        return self._fresh

    def _training_crops(self) -> MeshCrops:
        """Read the bank once, and standardise by its meshes unless the network has started from weights."""
        if self._crops is None:
            options = self.options
            folder = Path(options.bank) / "rendered"
            self._crops = read_mesh_bank(folder, options.rendered, options.network, Seed.TRAINING)
            if not options.warm_start:
                self.model.set_statistics(
                    mesh_targets(evenly(self._crops, _MOST_STATISTICS), self._template).vertices
                )
            if options.frozen_blocks:
                self._crops, self._means = self._after_blocks(self._crops)
        return self._crops

    @torch.no_grad()
    def _after_blocks(self, crops: MeshCrops) -> tuple[MeshCrops, np.ndarray]:
        """Return the crops with the frozen blocks' maps for inputs, and the means (n, 1152) after them."""
        encoder, device = self.model.encoder, self.model.scale.device
        assert isinstance(encoder, ContinuedFeatures)
        inputs, means = np.empty_like(crops.inputs), np.empty((crops.count, WIDE), np.float32)
        for start in range(0, crops.count, _BATCH):
            part = slice(start, start + _BATCH)
            narrow, mean = encoder.blocks(torch.from_numpy(crops.inputs[part]).to(device).float())
            inputs[part], means[part] = narrow.half().cpu().numpy(), mean.cpu().numpy()
        return crops._replace(inputs=inputs), means

    def _condition(self, name: str, crops: MeshCrops, generator: torch.Generator) -> Tensor:
        """Make the image of an extra condition, with noise like a sensor's."""
        options = self.options
        if name == "keypoints":
            points = torch.from_numpy(np.asarray(crops.points, np.float32))
            points = points + options.keypoint_noise * torch.randn(points.shape, generator=generator)
            return keypoint_condition(points, self.model.config.condition_size_px)
        depth = torch.from_numpy(crops.depth.astype(np.float32))
        if name == "silhouette":
            return silhouette_condition(depth.isfinite())
        depth = depth + options.depth_noise * torch.randn(depth.shape, generator=generator)
        holes = torch.rand(depth.shape, generator=generator) < options.depth_holes
        return depth_condition(torch.where(holes, torch.full_like(depth, torch.nan), depth))

    @staticmethod
    def _encode(
        model: MeshDiffusion,
        crops: MeshCrops,
        conditions: Mapping[str, Tensor],
        means: np.ndarray | None = None,
    ) -> Encoded:
        """``means``: after the encoder's blocks, whose maps are then the crops' inputs."""
        device = model.scale.device
        inputs = torch.from_numpy(np.array(crops.inputs)).to(device)
        inputs = inputs.float() if inputs.is_floating_point() else inputs
        sign = torch.from_numpy(np.array(crops.sign, np.float32)).to(device)
        if means is not None:
            assert isinstance(model.encoder, ContinuedFeatures)
            image = model.encoder.after_blocks(inputs, torch.from_numpy(means).to(device), sign)
            return model.with_conditions(image, conditions)
        return model.encode(inputs, sign, conditions)


def _start_blocks(blocks: LandmarkBlocks, path: str) -> None:
    """Give the encoder's blocks the weights of an orientation network, or the landmark network's own."""
    if not path:
        start_from_landmarks(blocks, import_network(read_stored(LANDMARK_FILE)))
        return
    theirs = load_network(path, HAND_ORIENTATION).network.state_dict()
    blocks.load_state_dict({name: theirs[name] for name in blocks.state_dict()})


def evenly(crops: MeshCrops, most: int) -> MeshCrops:
    """Return at most ``most`` of the crops, evenly from all."""
    count = min(most, crops.count)
    return named_tensors.rows(crops, np.arange(count) * crops.count // count)


def _key(name: str) -> str:
    """Return the name of a score as the name of a figure of the curves."""
    return name.lower().replace("@", "_").replace("-", "_").replace(" ", "_")
