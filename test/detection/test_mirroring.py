"""Mirrored cameras: the pipeline flips image and camera back, so that hands are those of the scene."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.detection import CAMERA, detection
from helpers.frames import blank_frame

from hand_pose_ros.camera.mirroring import mirrored_camera, mirrored_image
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.estimate import EstimatedHands
from hand_pose_ros.pipeline import HandPipeline
from hand_pose_ros.pose import Frame


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [
        ("", ()),
        ("plumb_bob", (0.1, -0.2, 0.01, 0.02, 0.05)),
        ("rational_polynomial", (0.1, -0.2, 0.01, 0.02, 0.05, 0.02, 0.01, -0.01)),
        ("equidistant", (0.01, 0.02, -0.01, 0.003)),
    ],
)
def test_the_mirrored_camera_sees_the_mirrored_scene(model, coefficients):
    camera = CameraModel(640, 480, 500.0, 510.0, 300.0, 250.0, model, coefficients)
    points = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 0.2
    points[:, 2] = 1
    expected = camera.project(points) * torch.tensor((-1.0, 1.0)) + torch.tensor((639.0, 0.0))
    flipped = points * torch.tensor((-1.0, 1.0, 1.0))
    torch.testing.assert_close(mirrored_camera(camera).project(flipped), expected, rtol=0, atol=1e-9)
    assert mirrored_camera(mirrored_camera(camera)) == camera


def test_the_mirrored_image_has_its_columns_reversed():
    image = np.random.default_rng(0).integers(0, 255, (4, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(mirrored_image(image), image[:, ::-1])


class BrightestPixel:
    """A detector that puts a right hand where the image is brightest."""

    was_reset = False

    def detect(self, image_bgr):
        row, column = np.unravel_index(image_bgr[..., 0].argmax(), image_bgr.shape[:2])
        return [detection((float(column), float(row)))]

    def reset(self):
        self.was_reset = True

    def close(self):
        pass


class NoEstimate:
    """An estimator that notes what it was given."""

    def estimate(self, frame, detections):
        self.frame = frame
        return EstimatedHands(detections, reasons=dict.fromkeys(range(len(detections)), "not estimated"))

    def reset(self):
        pass


@pytest.mark.parametrize("mirrored", [False, True])
def test_the_pipeline_works_on_the_scene_as_it_is(mirrored):
    camera = CameraModel.pinhole(500.0, 500.0, 300.0, 240.0, 640, 480)
    scene = np.zeros((480, 640, 3), np.uint8)
    scene[200, 100] = 255
    pipeline = HandPipeline(BrightestPixel(), estimator := NoEstimate(), mirrored=mirrored)
    frame = Frame(scene, camera)
    result = pipeline.process(frame.mirrored() if mirrored else frame)
    np.testing.assert_allclose(result.detections[0].landmarks_px.mean(axis=0), (100, 200), atol=1e-9)
    assert result.frame is estimator.frame
    assert result.frame.camera == camera
    np.testing.assert_array_equal(result.frame.image_bgr, scene)


def test_the_pipeline_numbers_hands_until_it_is_reset():
    pipeline = HandPipeline(detector := BrightestPixel(), NoEstimate())
    for _ in range(2):
        result = pipeline.process(blank_frame(CAMERA))
        assert [one.track_id for one in result.detections] == [one.track_id for one in result.hands] == [0]
    pipeline.reset()
    assert detector.was_reset
    assert pipeline.process(blank_frame(CAMERA)).hands[0].track_id == 1
