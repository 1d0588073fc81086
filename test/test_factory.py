"""The pipeline that a configuration builds."""

import numpy as np
import pytest

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.factory import PipelineConfig, create_pipeline

CAMERA = CameraModel.from_fov(160, 120, 1.0)


def test_the_default_pipeline_finds_nothing_in_an_empty_image():
    pytest.importorskip("mediapipe")
    pipeline = create_pipeline(PipelineConfig())
    try:
        result = pipeline.process(np.zeros((120, 160, 3), np.uint8), CAMERA)
        assert result.hands == []
        assert set(result.stage_seconds) == {"detect", "estimate", "smooth"}
        pipeline.reset()
    finally:
        pipeline.close()


def test_a_hand_that_is_in_the_picture_comes_out_of_it():
    pytest.importorskip("mediapipe")
    from hand_pose_ros.rendering.clip import CLIP_CAMERA, render_clip

    frame = next(iter(render_clip()))
    truth = frame.rendering.hands[0].joints_m
    pipeline = create_pipeline(PipelineConfig(hand_size_m=float(np.linalg.norm(truth[5] - truth[0]))))
    try:
        (pose,) = pipeline.process(frame.rendering.image, CLIP_CAMERA).hands
    finally:
        pipeline.close()
    assert pose.valid
    assert pose.side == "right"
    assert np.linalg.norm(pose.joints_m - truth, axis=1).mean() < 0.06


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"detector": "eyes"}, "detector must be one of"),
        ({"estimator": "guess"}, "estimator must be one of"),
        ({"device": "tpu"}, "device must be one of"),
    ],
)
def test_unknown_choices_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        PipelineConfig(**values)


def test_a_bad_value_is_refused_when_the_pipeline_is_built():
    with pytest.raises(ValueError, match="max_hands"):
        create_pipeline(PipelineConfig(max_hands=0))
    with pytest.raises(ValueError, match="hand_size_m"):
        create_pipeline(PipelineConfig(hand_size_m=-0.1))


def test_an_image_that_is_not_of_the_cameras_size_is_refused():
    pytest.importorskip("mediapipe")
    pipeline = create_pipeline(PipelineConfig())
    try:
        with pytest.raises(ValueError, match="as its camera says"):
            pipeline.process(np.zeros((100, 160, 3), np.uint8), CAMERA)
    finally:
        pipeline.close()
