"""The whole pipeline on a GPU, pretended or real: no stage mixes devices, and the poses are the CPU's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detections, random_network
from helpers.gpu import GPUS, ON_GPUS, needs_cuda
from helpers.heatmap import neutral_weights
from helpers.image_networks import small_network
from helpers.mesh_networks import small_mesh_network
from helpers.pretended_cuda import PretendedGraph, PretendedTensor, pretended_cuda
from helpers.temporal import TINY

from hand_pose_ros import hand
from hand_pose_ros.common.device import resolve_device
from hand_pose_ros.detection.finders import FoundHand
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.diffusion.image_follower import ImageFollower
from hand_pose_ros.estimator.heatmap.estimator import HeatmapEstimatorConfig
from hand_pose_ros.estimator.ik import IkEstimatorConfig
from hand_pose_ros.estimator.mesh_diffusion.estimator import MeshDiffusionEstimatorConfig
from hand_pose_ros.estimator.root_filter import RootFilter
from hand_pose_ros.estimator.temporal.smoother import TemporalConfig
from hand_pose_ros.mesh.skinning import hand_mesh
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.networks.orientation.features import NETWORK, SHAPE
from hand_pose_ros.networks.registry import (
    HAND_DIFFUSION,
    HAND_HEATMAP,
    IMAGE_HAND_DIFFUSION,
    MESH_DIFFUSION,
    TEMPORAL,
)
from hand_pose_ros.networks.temporal.transformer import TemporalTransformer
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.pipeline import HandPipeline
from hand_pose_ros.pose import CropFeatures, Frame

FRAMES = 2
DIFFUSION = DiffusionEstimatorConfig(landmarks="detector", samples=4, steps=2)
SETTINGS = {
    "keypoints": DIFFUSION,
    "keypoints that the 2.5D network reads": replace(DIFFUSION, landmarks="heatmap"),
    "image": replace(DIFFUSION, condition="image"),
    "both": replace(DIFFUSION, condition="both"),
    "fused by the IK head": replace(DIFFUSION, fusion="fit"),
    "fused to the medoid": replace(DIFFUSION, fusion="medoid"),
    "weighted": replace(DIFFUSION, reprojection_sigma=0.1),
    "ik": IkEstimatorConfig(),
    "heatmap": HeatmapEstimatorConfig(samples=4, backend="torch"),
    "mesh diffusion": MeshDiffusionEstimatorConfig(samples=4, steps=2, backend="torch"),
    "mesh diffusion, likeliest": MeshDiffusionEstimatorConfig(
        samples=3, backend="torch", choice="likelihood"
    ),
}


# No hand is in the image, of noise: what is read from it need not be one.
OF_NOISE = ("image", "keypoints that the 2.5D network reads")


class MovingHands:
    """A detector of two hands, which a tracker follows."""

    def __init__(self, with_landmarks=True):
        self._random = np.random.default_rng(3)
        self._with_landmarks = with_landmarks

    def detect(self, image_bgr):
        hands = [
            replace(one, side=side, landmarks_px=one.landmarks_px + self._random.normal(0, 2, (21, 2)))
            for one, side in zip(detections(2), ("right", "left"), strict=True)
        ]
        hands = [replace(one, crop=self._crop(one)) for one in hands]
        if not self._with_landmarks:
            hands = [replace(one, landmarks_px=None, landmarks_m=None) for one in hands]
        return hands

    def _crop(self, one):
        features = self._random.standard_normal(SHAPE).astype(np.float32)
        return CropFeatures(NETWORK, features, RotatedSquare.around_landmarks(one.landmarks_px).corners_px())

    def reset(self): ...

    def close(self): ...


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weight files of small networks, by kind."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(2)
    networks = {
        HAND_DIFFUSION: random_network(steps=5),
        IMAGE_HAND_DIFFUSION: small_network(),
        TEMPORAL: TemporalTransformer(TINY).eval(),
        MESH_DIFFUSION: near_hands(small_mesh_network()),
    }
    networks[IMAGE_HAND_DIFFUSION].image.heatmaps.log_beta.data += 3  # joints are apart, as in a hand
    for kind, network in networks.items():
        save_weights(folder / kind, network, kind, network.config.to_dict())
    neutral_weights(folder / HAND_HEATMAP)
    return folder


def near_hands(network):
    """The mesh network, with meshes that differ little from a hand with its back to the camera."""
    template = load_template()
    turn = template.vertices.new_tensor(((0, 1, 0), (-1, 0, 0), (0, 0, 1)))
    points = network.points_of(template.vertices @ turn.mT) / template.joints[hand.ANCHOR_JOINT].norm()
    network.mean.copy_(points)
    network.scale.fill_(0.02)
    return network


def with_weights(config, weights):
    if isinstance(config, IkEstimatorConfig):
        return config
    if isinstance(config, MeshDiffusionEstimatorConfig):
        return replace(config, weights=str(weights / MESH_DIFFUSION))
    if isinstance(config, HeatmapEstimatorConfig):
        return replace(config, weights=str(weights / HAND_HEATMAP))
    kind = IMAGE_HAND_DIFFUSION if config.condition in ("image", "both") else HAND_DIFFUSION
    return replace(config, model_file=str(weights / kind), backend="torch")


def image():
    return np.random.default_rng(1).integers(0, 256, (CAMERA.height, CAMERA.width, 3), dtype=np.uint8)


def poses(config, weights, device, detector=None):
    """Poses of some frames, and the meshes of the last."""
    temporal = TemporalConfig(model_file=str(weights / TEMPORAL), backend="torch")
    pipeline = HandPipeline(
        detector or MovingHands(),
        with_weights(config, weights).create(None, device),
        smoothers=[temporal.create(device)],
        pose_smoothers=[RootFilter()],
    )
    found = [pipeline.process(Frame(image(), CAMERA, 0.03 * number)).hands for number in range(FRAMES)]
    for pose in found[-1]:
        if pose.valid:
            hand_mesh(pose)
    return [pose for hands in found for pose in hands]


def assert_same(found, expected, valid=True):
    """``valid``: hands fit the landmarks; those of an image encoder with random weights fit nothing."""
    assert found
    for one, other in zip(found, expected, strict=True):
        assert one.valid or not valid, one.reason
        assert one.reason == other.reason
        for name in ("joints_m", "rotations", "angles_rad", "covariance_m2", "wrist_covariance"):
            np.testing.assert_allclose(
                getattr(one, name), getattr(other, name), rtol=1e-3, atol=1e-5, err_msg=name
            )


@ON_GPUS
@pytest.mark.parametrize("name", SETTINGS)
def test_no_stage_mixes_devices_and_the_poses_are_the_cpu_s(name, gpu, weights):
    expected = poses(SETTINGS[name], weights, "cpu")
    with GPUS[gpu]():
        found = poses(SETTINGS[name], weights, "cuda")
    # A network with random weights draws one mesh for both sides, which fits the landmarks of the right hand only.
    every = name not in OF_NOISE and not name.startswith("mesh")
    assert_same(found, expected, valid=every)
    assert all(one.valid for one in found if one.side == "right") or name in OF_NOISE


def test_ancestral_sampling_draws_on_the_gpu(weights):
    with pretended_cuda():
        found = poses(replace(DIFFUSION, steps=None), weights, "cuda")
    assert all(pose.valid for pose in found)


@needs_cuda
@pytest.mark.parametrize("steps", [2, None])
def test_a_graph_on_a_real_gpu_gives_what_step_by_step_sampling_gives(weights, steps):
    settings = replace(DIFFUSION, steps=steps)
    expected = poses(settings, weights, "cuda")
    assert_same(poses(replace(settings, cuda_graph_hands=2), weights, "cuda"), expected)


@pytest.mark.parametrize("steps", [2, None])
def test_the_sampling_loop_is_captured_once_and_replayed_for_every_frame(weights, steps, monkeypatch):
    graphs = []

    def new_graph():
        graphs.append(PretendedGraph())
        return graphs[-1]

    settings = replace(DIFFUSION, steps=steps)
    with pretended_cuda():
        monkeypatch.setattr(torch.cuda, "CUDAGraph", new_graph)
        expected = poses(settings, weights, "cuda")
        assert not graphs
        found = poses(replace(settings, cuda_graph_hands=2), weights, "cuda")
    (graph,) = graphs
    assert graph.replays == FRAMES
    assert len(graph.calls) > 50
    assert_same(found, expected)


def test_a_graph_that_has_no_effect_is_told(weights, caplog):
    config = with_weights(replace(SETTINGS["keypoints"], cuda_graph_hands=2), weights)
    config.create(None, "cpu")
    assert "cuda_graph_hands has no effect" in caplog.text


def test_hands_of_which_only_the_box_is_known(weights):
    expected = poses(SETTINGS["image"], weights, "cpu", MovingHands(with_landmarks=False))
    with pretended_cuda():
        found = poses(SETTINGS["image"], weights, "cuda", MovingHands(with_landmarks=False))
    assert_same(found, expected, valid=False)


def test_a_hand_without_a_track_is_left_as_it_is(weights):
    """A frame where one of two hands has no track: the smoothed rows go between the others."""

    def smoothed(device):
        config = with_weights(SETTINGS["keypoints"], weights)
        smoother = TemporalConfig(model_file=str(weights / TEMPORAL), backend="torch").create(device)
        first, second = detections(2)
        found = [replace(first, track_id=None), replace(second, track_id=4)]
        estimate = config.create(None, device).estimate(Frame(image(), CAMERA, 0.0), found)
        return smoother.smooth(estimate, 0.0).hands

    expected = smoothed("cpu")
    with pretended_cuda():
        found = smoothed("cuda")
        assert all(isinstance(value, PretendedTensor) for value in found)
        for value, other in zip(found, expected, strict=True):
            torch.testing.assert_close(value.cpu(), other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("partly", [False, True])
def test_hands_that_the_image_encoder_follows(weights, partly):
    """What the encoder saw while it tracked a hand is used again, also beside a hand that is new."""

    class Palms:
        def in_palm(self, frame, palm): ...

        def near(self, frame, expected_px, side, is_sure=True) -> FoundHand | None: ...

    def estimated(device):
        estimator = with_weights(SETTINGS["image"], weights).create(None, device)
        finder, frame = estimator.finder(Palms()), Frame(image(), CAMERA, 0.0)
        assert isinstance(finder, ImageFollower)
        found = [finder.near(frame, one.landmarks_px, "right").detection for one in detections(2)]
        if partly:
            found[0] = replace(found[0], seen=None)
        estimate = estimator.estimate(frame, found)
        assert len(estimate.rows) == 2, estimate.reasons
        return estimate.hands

    expected = estimated("cpu")
    with pretended_cuda():
        for value, other in zip(estimated("cuda"), expected, strict=True):
            torch.testing.assert_close(value.cpu(), other, rtol=1e-3, atol=1e-5)


def test_a_mix_of_devices_raises():
    """The pretence itself refuses what a GPU refuses, and nothing else."""
    with pretended_cuda():
        assert resolve_device("auto").type == "cuda"
        there, here = torch.zeros(2, 3, device="cuda"), torch.ones(2, 3)
        for mix in (
            lambda: there + here,
            lambda: here.mul_(there),
            lambda: torch.cat((there, here)),
            lambda: torch.stack((there[0, 0], here[0, 0])),
            lambda: here[torch.tensor([0], device="cuda")],
            lambda: there.index_copy(0, torch.tensor([0]), there[:1]),
            lambda: torch.rand(2, generator=torch.Generator(), device="cuda"),
            lambda: torch.nn.Linear(3, 1)(there),
        ):
            with pytest.raises(RuntimeError, match=r"same device|generator"):
                mix()
        with pytest.raises(TypeError, match="numpy"):
            there.numpy()
        assert (there + here.to("cuda") + 1 + torch.tensor(2.0)).cpu().eq(4).all()
        assert there[torch.tensor([1])].is_cuda
        assert there.new_tensor([1.0, 2]).tolist() == [1, 2]
        assert torch.arange(4, device="cuda")[None, [1, 3]].tolist() == [[1, 3]]
        assert torch.arange(4, device="cuda")[..., (3, 0)].tolist() == [3, 0]
        there[:, [0, 2]] = 5
        assert there.tolist() == [[5, 0, 5]] * 2
    assert not isinstance(torch.zeros(1), PretendedTensor)
