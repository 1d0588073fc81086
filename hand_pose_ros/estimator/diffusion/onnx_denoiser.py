"""onnxruntime runs the diffusion network from a folder that ``hand_pose export-onnx`` wrote."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hand_pose_ros import hand
from hand_pose_ros.common.onnx_session import OnnxGraph
from hand_pose_ros.files.bounded_text import shown
from hand_pose_ros.files.regular_file import checksum
from hand_pose_ros.files.safe_json import read_json
from hand_pose_ros.networks.condition import Encoded, KeypointCondition, unknown_keypoints
from hand_pose_ros.networks.denoising.schedule import PARAMETRISATIONS, NoiseSchedule
from hand_pose_ros.networks.diffusion.onnx import (
    CONDITION_INPUTS,
    CROP_INPUTS,
    FORMAT_VERSION,
    GRAPHS,
    IMAGE_GRAPH,
    IMAGE_INPUT,
    METADATA_FILE,
    graphs_of,
)
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.image.image_encoder import ImageEncoderConfig, ImageFeatures
from hand_pose_ros.networks.registry import DENOISERS, HAND_DIFFUSION, IMAGE_HAND_DIFFUSION


class OnnxDenoiser:
    """A :class:`~hand_pose_ros.networks.diffusion.sampling.HandDenoiser`.

    Its tensors are on CUDA if onnxruntime and PyTorch both use it, and otherwise on the CPU.

    schedule, parametrisation, mean, scale: see ``HandDenoiser``. spread_scale: see ``HandDiffusion``.
    crops: crop settings of a network that takes images, a ``HandImageDenoiser``; None for others.
    """

    def __init__(
        self, folder: str | Path, device: str = "cpu", threads: int = 1, image_threads: int = 2
    ) -> None:
        """Load the graphs.

        Args:
            device: 'cpu', 'cuda', or 'auto' for CUDA where onnxruntime has it.
            threads: of each graph on the CPU; 0 for one per core. The products are small: with more threads,
                each product waits for the slowest thread, which is slow on shared cores.
            image_threads: of the image encoder, whose products are large.

        Raises:
            ValueError: the folder holds no export, is damaged or of another version; onnxruntime is not
                installed, or has no CUDA although it was asked for.
        """
        folder = Path(folder)
        metadata = _read_metadata(folder)
        try:
            self.schedule = NoiseSchedule(torch.tensor(metadata["betas"], dtype=torch.float64))
            self.parametrisation: str = metadata["parametrisation"]
            self.mean = torch.tensor(metadata["mean"], dtype=torch.float32).reshape(hand.NUM_JOINTS, 3)
            self.scale = torch.tensor(metadata["scale"], dtype=torch.float32).reshape(hand.NUM_JOINTS, 3)
            self.spread_scale = float(metadata["spread_scale"])
            self._image_features = int(metadata["config"]["condition"]["image_features"])
            takes_images = metadata["kind"] == IMAGE_HAND_DIFFUSION
            self.crops = ImageEncoderConfig.from_dict(metadata["crops"]) if takes_images else None
            checksums = {name: metadata["sha256"][name] for name in graphs_of(metadata["kind"])}
        except (KeyError, TypeError, ValueError, RuntimeError, OverflowError, AttributeError) as error:
            raise ValueError(
                f"{folder / METADATA_FILE} is not the description of an export: {shown(error, 300)}"
            ) from error
        if not (
            bool(self.mean.isfinite().all() & self.scale.isfinite().all()) and isfinite(self.spread_scale)
        ):
            raise ValueError(f"{folder / METADATA_FILE} holds values that are not finite")
        if self.parametrisation not in PARAMETRISATIONS:
            raise ValueError(
                f"{folder / METADATA_FILE} has the parametrisation {shown(self.parametrisation)}"
            )
        for name, expected in checksums.items():
            path = folder / f"{name}.onnx"
            if not path.is_file():
                raise ValueError(f"there is no {path}: export the weights again with hand_pose export-onnx")
            if checksum(path) != expected:
                raise ValueError(
                    f"{path} is damaged, or of another export: export again with hand_pose export-onnx"
                )
        graphs = {
            name: OnnxGraph(
                folder / f"{name}.onnx", device, image_threads if name == IMAGE_GRAPH else threads
            )
            for name in checksums
        }
        self._encoder, self._denoiser, self._head = (graphs[name] for name in GRAPHS)
        self._image = graphs.get(IMAGE_GRAPH)
        self.mean, self.scale = self.mean.to(self._denoiser.device), self.scale.to(self._denoiser.device)

    def encode_crops(self, crops: np.ndarray | Tensor, half_extent: Tensor) -> tuple[ImageFeatures, Tensor]:
        """See :class:`~hand_pose_ros.networks.diffusion.sampling.HandImageDenoiser`.

        Raises:
            ValueError: the network was built without image features.
        """
        if self._image is None:
            raise ValueError("this network was built without image features")
        values = (torch.as_tensor(crops), half_extent.float())
        inputs: dict[str, Tensor] = dict(zip(CROP_INPUTS, values, strict=True))
        *seen, condition = self._image.run(inputs)
        return ImageFeatures(*seen), condition

    def encode(self, keypoints: KeypointCondition | None, image_features: Tensor | None = None) -> Encoded:
        """See :meth:`ConditionEncoder.forward <hand_pose_ros.networks.condition.ConditionEncoder.forward>`.

        Raises:
            ValueError: neither condition is given, or image features that the network was not built for.
        """
        if image_features is not None and not self._image_features:
            raise ValueError("this encoder was built without image features")
        if keypoints is None:
            if image_features is None:
                raise ValueError("give keypoints, image_features, or both")
            keypoints = unknown_keypoints(torch.ones(len(image_features)))
        inputs = dict(zip(CONDITION_INPUTS, keypoints, strict=True))
        if self._image_features:
            if image_features is None:
                image_features = torch.full((len(keypoints.points), self._image_features), torch.nan)
            inputs[IMAGE_INPUT] = image_features
        return Encoded(*self._encoder.run(inputs))

    def denoise(self, noisy: Tensor, t: Tensor, encoded: Encoded) -> Tensor:
        """See ``HandDenoiser``."""
        on_cpu = t.device.type == "cpu"  # on a GPU the comparison would cost more than it saves
        if on_cpu and len(t) and bool((t == t[0]).all()):
            t = t[:1]
        inputs = {"noisy": noisy, "t": t, "features": encoded.features, "joints": encoded.joints}
        return self._denoiser.run(inputs)[0]

    def fit(self, samples: Tensor, encoded: Encoded) -> HandParameters:
        """See ``HandDenoiser``."""
        inputs = {
            "samples": samples,
            "features": encoded.features,
            "mean": encoded.mean,
            "scale": encoded.scale,
        }
        return HandParameters(*self._head.run(inputs))


def _read_metadata(folder: Path) -> dict:
    path = folder / METADATA_FILE
    if not path.is_file():
        raise ValueError(
            f"{folder} holds no {METADATA_FILE}: the backend 'onnxruntime' needs a folder made by "
            "`hand_pose export-onnx --weights FILE --output FOLDER`"
        )
    try:
        metadata = read_json(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} is truncated or something else: {error}") from error
    if not isinstance(metadata, dict) or str(metadata.get("kind")) not in DENOISERS:
        raise ValueError(f"{path} does not describe an export of a {HAND_DIFFUSION!r} network")
    if (version := metadata.get("format_version")) != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {shown(version)}, this package reads {FORMAT_VERSION}: "
            "export the weights again with hand_pose export-onnx"
        )
    return metadata
