"""Pipelines as configurations ask for them: which parts they get, and that the default one follows a hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detections
from helpers.mano_files import write_npz

from hand_pose_ros import factory, hand
from hand_pose_ros.detection.mediapipe.detector import MediaPipeConfig, MediaPipeDetector
from hand_pose_ros.detection.own.detector import OwnDetectorConfig
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimatorConfig
from hand_pose_ros.estimator.diffusion.onnx_denoiser import OnnxDenoiser
from hand_pose_ros.estimator.ik import IkEstimator
from hand_pose_ros.estimator.last_fit.smoother import LastFitConfig
from hand_pose_ros.estimator.size.calibration import ScaleCalibration
from hand_pose_ros.estimator.temporal.smoother import TemporalConfig
from hand_pose_ros.factory import PipelineConfig, create_pipeline
from hand_pose_ros.networks.registry import HAND_DIFFUSION, shipped_weights
from hand_pose_ros.pose import Frame
from hand_pose_ros.rendering.clip import CLIP_CAMERA, render_clip
from hand_pose_ros.tracking.landmark_tracker import LandmarkTracker
from hand_pose_ros.tracking.tracker import TrackerConfig

ONE_HAND = TrackerConfig(max_hands=1)


@pytest.mark.parametrize(
    ("options", "follows"),
    [
        ({}, True),
        ({"tracker.method": "detector"}, False),
        ({"detector": "onnx"}, False),
        ({"tracker.method": "landmarks"}, True),
        ({"detector": "own"}, True),
        ({"detector": "own", "tracker.method": "detector"}, False),
    ],
)
def test_detectors_with_a_landmark_finder_follow_hands_unless_told_otherwise(options, follows):
    assert PipelineConfig.from_flat(options).follows_landmarks == follows


def test_a_length_and_a_bone_both_give_the_size():
    assert PipelineConfig().hand_size is None
    by_length = PipelineConfig.from_flat({"hand_length_m": 0.189}).hand_size
    by_bone = PipelineConfig.from_flat({"hand_size_m": 0.09}).hand_size
    assert by_length is not None
    assert by_bone is not None
    assert by_length.size_m == pytest.approx(by_bone.size_m, rel=1e-6)
    assert 0.03 < by_length.spread < 0.06
    assert 0.03 < by_bone.spread < 0.06


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tracker.method": "landmarks", "detector": "onnx"}, "needs the detector 'mediapipe'"),
        ({"hand_size_m": 0.09, "hand_length_m": 0.19}, "not both"),
        ({"tracker.method": "eyes"}, "tracker.method must be one of"),
        ({"diffusion.condition": "sound"}, "diffusion.condition must be one of"),
        ({"diffusion.backend": "tpu"}, "diffusion.backend must be one of"),
        ({"estimator": "guess"}, "estimator must be one of diffusion, heatmap, ik, mesh_diffusion"),
        ({"diffusion.sample": 8}, "unknown option: diffusion.sample"),
    ],
)
def test_impossible_configurations_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        PipelineConfig.from_flat(options)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"estimator": DiffusionEstimatorConfig(hand_size_m=0.1)}, "give hand_size_m of the pipeline"),
        ({"detector": MediaPipeConfig(max_hands=1)}, "give tracker.max_hands of the pipeline"),
        ({"detector": OwnDetectorConfig(device="cpu")}, "give device of the pipeline"),
    ],
)
def test_what_the_pipeline_gives_its_parts_is_refused_from_them(parts, message):
    with pytest.raises(ValueError, match=message):
        PipelineConfig(**parts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"temporal.model_file": "/nowhere/temporal.safetensors"},
            "there is no weight file /nowhere/temporal",
        ),
        ({"temporal.window": 64}, "window must lie in"),
        ({"estimator": "heatmap", "heatmap.weights": "/nowhere/heatmap"}, "/nowhere/heatmap"),
        ({"estimator": "mesh_diffusion", "mesh_diffusion.weights": "/nowhere/mesh"}, "/nowhere/mesh"),
        (
            {"diffusion.condition": "image", "diffusion.model_file": str(shipped_weights(HAND_DIFFUSION))},
            "image encoder",
        ),
    ],
)
def test_what_does_not_fit_the_weights_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        create_pipeline(PipelineConfig.from_flat(options))


@pytest.mark.parametrize(("tracker", "kind"), [("auto", LandmarkTracker), ("detector", MediaPipeDetector)])
def test_the_tracker_is_the_one_asked_for(tracker, kind):
    part = factory._create_tracker(PipelineConfig(tracker=TrackerConfig(tracker)), IkEstimator())
    assert isinstance(part, kind)
    part.close()


def test_the_users_mano_gives_every_hand_its_mesh(tmp_path, monkeypatch):
    class Hands:
        def detect(self, image_bgr):
            return [replace(one, side=side) for one, side in zip(detections(2), hand.SIDES, strict=True)]

        def reset(self): ...

        def close(self): ...

    monkeypatch.setattr(factory, "_create_tracker", lambda *_: Hands())
    options = {"estimator": "ik", "temporal.enabled": False, "last_fit.enabled": False, "device": "cpu"}
    options["mano_file"] = str(write_npz(tmp_path / "MANO_RIGHT.npz"))
    pipeline = create_pipeline(PipelineConfig.from_flat(options))
    image = np.zeros((CAMERA.height, CAMERA.width, 3), np.uint8)
    found = pipeline.process(Frame(image, CAMERA, 0.0)).hands
    assert len(found) == 2
    for pose in found:
        assert pose.valid, pose.reason
        assert pose.mesh.template == "mano"
        far = np.linalg.norm(pose.mesh.vertices_m[:, None] - pose.joints_m, axis=-1).min(0)
        assert far.max() < 0.025, "its surface is around the joints"
    with pytest.raises(ValueError, match="mano_file cannot be read"):
        create_pipeline(PipelineConfig.from_flat({**options, "mano_file": str(tmp_path / "none.npz")}))


@pytest.mark.parametrize("condition", ["image", "both"])
def test_the_shipped_weights_that_see_pictures_follow_the_clip_s_hand(condition, monkeypatch):
    encoded, encode_crops = [], OnnxDenoiser.encode_crops

    def counted(network, crops, half_extent):
        encoded.extend(crops)
        return encode_crops(network, crops, half_extent)

    monkeypatch.setattr(OnnxDenoiser, "encode_crops", counted)
    options = {"tracker.max_hands": 1, "diffusion.condition": condition, "device": "cpu"}
    pipeline = create_pipeline(PipelineConfig.from_flat(options))
    errors = []
    for number, frame in zip(range(12), render_clip(), strict=False):
        (pose,) = pipeline.process(Frame(frame.rendering.image, CLIP_CAMERA, number / 30)).hands
        assert pose.valid
        truth = frame.rendering.hands[0]
        found_px = CLIP_CAMERA.project(torch.from_numpy(pose.joints_m)).numpy()
        size_px = np.ptp(truth.joints_px, axis=0).max()
        errors.append(np.linalg.norm(found_px - truth.joints_px, axis=-1).mean() / size_px)
    pipeline.close()
    assert np.mean(errors) < 0.15
    assert len(encoded) == len(errors), "the encoder is to look once at each hand of each frame"


def test_the_default_pipeline_follows_the_clip_s_hand_steadily():
    plain = PipelineConfig(
        tracker=ONE_HAND,
        temporal=TemporalConfig(enabled=False),
        last_fit=LastFitConfig(enabled=False),
        root_filter=False,
    )
    steady = PipelineConfig(tracker=ONE_HAND)
    frames = [frame for frame, _ in zip(render_clip(), range(25), strict=False)]
    trembling = {}
    for name, config in (("plain", plain), ("steady", steady)):
        pipeline = create_pipeline(config)
        errors, numbers = [], set()
        for number, frame in enumerate(frames):
            (pose,) = pipeline.process(Frame(frame.rendering.image, CLIP_CAMERA, number / 30)).hands
            assert pose.valid
            errors.append(pose.joints_m - frame.rendering.hands[0].joints_m)
            numbers.add(pose.track_id)
        pipeline.close()
        assert len(numbers) == 1
        trembling[name] = np.linalg.norm(np.diff(errors, n=2, axis=0), axis=-1).mean()
    assert trembling["steady"] < 0.7 * trembling["plain"]


@pytest.mark.slow
def test_a_size_measured_with_depth_images_puts_the_hand_at_its_distance():
    pipeline = create_pipeline(PipelineConfig(tracker=ONE_HAND, hand_size_m=0.08))  # it has 89 mm
    calibration = ScaleCalibration()
    ratios, measured = {"before": [], "after": []}, None
    for number, frame in zip(range(75), render_clip(), strict=False):
        rendering = frame.rendering
        result = pipeline.process(Frame(rendering.image, CLIP_CAMERA, number / 30))
        (pose,) = result.hands
        ratio = pose.joints_m[0, 2] / rendering.hands[0].joints_m[0, 2]
        ratios["after" if measured else "before"].append(ratio)
        if measured is None:
            calibration.add(replace(result.frame, depth_m=rendering.depth_m), result.hands)
        if number == 59:
            measured = calibration.measured()
            pipeline.set_hand_size(measured.size)
    pipeline.close()
    assert measured is not None
    assert pose.anchor_length_m == pytest.approx(measured.size.size_m)
    assert abs(measured.size.size_m - 0.089) < 3 * measured.size.sigma_m
    before, after = (abs(np.mean(ratios[name]) - 1) for name in ("before", "after"))
    assert after < 0.03 < before
