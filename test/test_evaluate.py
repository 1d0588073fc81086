"""Reading labelled photos and comparing methods on them, with a detector that knows the labels."""

import json

import cv2
import numpy as np
import pytest
import torch
from kinematics_helpers import random_hands

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.ik_estimator import IkEstimator, IkEstimatorConfig
from hand_pose_ros.evaluation.evaluate import compare, format_table
from hand_pose_ros.evaluation.methods import detector_3d, detector_with_pnp, estimator_method
from hand_pose_ros.evaluation.photos import read_samples
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.pose import Detection

CAMERA = CameraModel.pinhole(500.0, 500.0, 320.0, 240.0, 640, 480)
SIZE_M = 0.09


class LabelReader:
    """Finds each photo's hand by reading its number from the first pixel."""

    def __init__(self, photos):
        self._photos = photos

    def detect(self, image_bgr):
        photo = self._photos[int(image_bgr[0, 0, 0])]
        box = np.array([0.0, 0.0, 640.0, 480.0])
        centred = photo.joints_m - np.nanmean(photo.joints_m, axis=0)
        return [Detection(photo.side, 0.9, box, photo.points_px, centred)]

    def reset(self):
        pass


@pytest.fixture
def folder(tmp_path):
    hands = random_hands(4, seed=3)
    position = hands.root_position * torch.tensor([0.3, 0.3, 1.0], dtype=torch.float64)
    joints = forward_kinematics(hands.angles, hands.proportions, hands.root_rotation, position, SIZE_M).joints
    samples = []
    for i, one in enumerate(joints):
        cv2.imwrite(str(tmp_path / f"{i}.png"), np.full((480, 640, 3), i, np.uint8))
        samples.append(
            {
                "image": f"{i}.png", "width": 640, "height": 480, "hand": "right", "K": CAMERA.K.tolist(),
                "xyz_m": one.tolist(), "uv": CAMERA.project(one).tolist(),
            }
        )  # fmt: skip
    samples[1]["xyz_m"][4] = None
    samples[2]["xyz_m"][0] = [None, None, None]
    samples[3]["K"] = None
    (tmp_path / "samples.json").write_text(json.dumps({"samples": samples}))
    return tmp_path


def test_photos_are_read_with_nan_for_what_is_unknown(folder):
    photos = read_samples(folder)
    assert len(photos) == 4
    assert photos[0].camera == CAMERA
    assert photos[3].camera is None
    assert np.isnan(photos[1].joints_m[4]).all()
    assert np.isfinite(photos[1].joints_m[5]).all()
    assert photos[1].image()[0, 0, 0] == 1


def test_exact_detections_score_exactly_where_they_should(folder):
    photos = read_samples(folder)
    for photo in photos:
        photo.joints_m.setflags(write=False)
    methods = {
        "3d": detector_3d,
        "pnp": detector_with_pnp,
        "ik": estimator_method(
            IkEstimator(IkEstimatorConfig(SIZE_M, landmark_noise_m=1e-3, landmark_noise=1e-3))
        ),
    }
    comparison = compare(photos[:1], LabelReader(photos), methods)
    assert (comparison.photos, comparison.found) == (1, 1)
    assert comparison.rows["3d"]["PA-MPJPE mm"] == pytest.approx(0, abs=1e-6)
    assert comparison.rows["3d"]["absolute mm"] > 100
    assert comparison.rows["pnp"]["absolute mm"] == pytest.approx(0, abs=0.01)
    assert comparison.rows["pnp"]["AUC 20-50 mm"] == pytest.approx(1)
    assert comparison.rows["ik"]["PA-MPJPE mm"] < 5
    table = format_table("photos", comparison)
    assert table.startswith("photos: 1 of 1 hands found")
    assert "| pnp | 0.0 |" in table


def test_only_labelled_photos_with_a_camera_are_scored(folder):
    photos = read_samples(folder)
    comparison = compare(photos, LabelReader(photos), {"pnp": detector_with_pnp})
    # The third has no labelled wrist and the fourth no camera; the second lacks one joint only.
    assert comparison.photos == 2


def test_a_method_that_fails_is_counted_and_in_no_mean(folder):
    photos = read_samples(folder)
    failing = {"never": lambda *_: np.full((21, 3), np.nan)}
    row = compare(photos[:1], LabelReader(photos), failing).rows["never"]
    assert row["failed"] == 1
    assert np.isnan(row["PA-MPJPE mm"])
    assert row["AUC 20-50 mm"] == 0


def test_a_detection_of_the_other_side_or_elsewhere_is_not_found(folder):
    photos = read_samples(folder)

    class Elsewhere(LabelReader):
        def detect(self, image_bgr):
            one = super().detect(image_bgr)[0]
            far = Detection("right", 0.9, one.box_px, one.landmarks_px + 1000, one.landmarks_m)
            other = Detection("left", 0.9, one.box_px, one.landmarks_px, one.landmarks_m)
            return [far, other]

    comparison = compare(photos[:1], Elsewhere(photos), {"3d": detector_3d})
    assert comparison.found == 0
    assert format_table("photos", comparison).startswith("photos: 0 of 1")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no samples.json"),
        ("{}", "not the expected form"),
        ('{"samples": [{}]}', "not the expected form"),
    ],
)
def test_a_folder_without_proper_samples_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "samples.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_samples(tmp_path)
