"""Reading labelled photos and comparing methods on them, with a detector that knows the labels."""

import json

import cv2
import numpy as np
import pytest
import torch
from helpers.hands import random_hands

from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.camera.virtual import VirtualCamera
from hand_pose_ros.datasets.photo_folder import read_samples
from hand_pose_ros.detection.mediapipe.crop import RotatedSquare
from hand_pose_ros.estimator.ik import IkEstimator, IkEstimatorConfig
from hand_pose_ros.evaluation import report
from hand_pose_ros.evaluation.accuracy.command import main
from hand_pose_ros.evaluation.accuracy.comparison import HandSet, compare, photo_set
from hand_pose_ros.evaluation.accuracy.keypoint_sets import generated_hands, observations_of
from hand_pose_ros.evaluation.accuracy.photo_detections import detect_hands, scorable
from hand_pose_ros.evaluation.methods import (
    Prediction,
    detector_3d,
    detector_with_pnp,
    estimator_method,
    in_camera_axes,
)
from hand_pose_ros.evaluation.scores import (
    DECIMALS,
    middle_finger_ratio,
    outside_limits,
    person_lengths,
    score,
)
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.networks.registry import HAND_DIFFUSION, shipped_weights
from hand_pose_ros.pose import Detection

CAMERA = CameraModel.pinhole(500.0, 500.0, 320.0, 240.0, 640, 480)
SIZE_M = 0.09


def crop_axes(points_px):
    """(3, 3) from the camera's axes to those of a camera that looks at the middle of MediaPipe's crop."""
    x, y = RotatedSquare.around_landmarks(points_px).centre_px
    return VirtualCamera.around_box(
        CAMERA, (x - 0.01, y - 0.01, x + 0.01, y + 0.01), 64
    ).R_virtual_camera.numpy()


class LabelReader:
    """Finds each photo's hand by reading its number from the first pixel, and describes it as MediaPipe does."""

    def __init__(self, photos):
        self._photos = photos

    def detect(self, image_bgr):
        photo = self._photos[int(image_bgr[0, 0, 0])]
        box = np.array([0.0, 0.0, 640.0, 480.0])
        centred = photo.joints_m - np.nanmean(photo.joints_m, axis=0)
        return [Detection(photo.side, 0.9, box, photo.points_px, centred @ crop_axes(photo.points_px).T)]

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


def compared(photos, detector, methods):
    """The comparison on all of these photos."""
    return compare(photo_set("photos", photos, detector), methods)[0][0]


def test_exact_detections_score_exactly_where_they_should(folder):
    photos = read_samples(folder)
    for photo in photos:
        photo.joints_m.setflags(write=False)
    methods = {
        "3d": detector_3d,
        "pnp": detector_with_pnp,
        "ik": estimator_method(
            IkEstimator(IkEstimatorConfig(hand_size_m=SIZE_M, landmark_noise_m=1e-3, landmark_noise=1e-3))
        ),
    }
    comparison = compared(photos[:1], LabelReader(photos), methods)
    assert (comparison.total, comparison.found) == (1, 1)
    assert list(comparison.rows["pnp"]) == list(DECIMALS)
    assert comparison.rows["3d"]["PA-MPJPE mm"] == pytest.approx(0, abs=1e-6)
    assert comparison.rows["3d"]["root-relative mm"] == pytest.approx(0, abs=1e-3)
    assert np.isnan(comparison.rows["3d"]["absolute mm"])
    assert np.isnan(comparison.rows["3d"]["EPE px"])
    assert comparison.rows["pnp"]["absolute mm"] == pytest.approx(0, abs=0.01)
    assert comparison.rows["pnp"]["EPE px"] == pytest.approx(0, abs=0.01)
    assert comparison.rows["pnp"]["AUC 20-50 mm"] == pytest.approx(1)
    assert comparison.rows["ik"]["PA-MPJPE mm"] < 5
    assert [comparison.rows[name]["outside limits %"] for name in methods] == [0, 0, 0]
    assert comparison.pck["pnp"][-1] == 1
    table = report.accuracy_table(comparison.title, comparison.rows)
    assert table.startswith("**photos: 1 of 1 hands found**")
    assert "| pnp | 0.0 |" in table


def test_the_detectors_3d_is_turned_from_its_crop_to_the_camera():
    """The crop's z axis is the ray through its middle; for a hand at the side, its y axis is the camera's."""
    points = np.tile((CAMERA.cx, CAMERA.cy), (21, 1))
    points[9] += (0.0, -1e-6)  # upright, with a middle
    landmarks = np.zeros((21, 3))
    landmarks[:3] = np.eye(3)
    for tangent in (-0.5, 0.0, 0.5):
        moved = points + (CAMERA.fx * tangent, 0.0)
        detection = Detection("right", 1.0, np.array([0.0, 0.0, 1.0, 1.0]), moved, landmarks)
        x, y, z = in_camera_axes(CAMERA, detection)[:3]
        length = np.hypot(1.0, tangent)
        np.testing.assert_allclose(z, (tangent / length, 0.0, 1 / length), atol=1e-4)
        np.testing.assert_allclose(y, (0.0, 1.0, 0.0), atol=1e-4)
        np.testing.assert_allclose(x, (1 / length, 0.0, -tangent / length), atol=1e-4)


def test_only_labelled_photos_with_a_camera_are_scored(folder):
    photos = read_samples(folder)
    # The third has no labelled wrist and the fourth no camera; the second lacks one joint only.
    assert len(scorable(photos)) == 2
    hands = photo_set("photos", photos, LabelReader(photos))
    comparisons, predictions = compare(hands, {"pnp": detector_with_pnp})
    assert [one.total for one in comparisons] == [2, 1]
    assert comparisons[1].name == "photos, all joints labelled and inside"
    assert len(predictions["pnp"].joints_m) == 2


def test_a_method_that_fails_is_counted_and_in_no_mean(folder):
    photos = read_samples(folder)
    failing = {"never": lambda hands: Prediction.of_joints(np.full((len(hands), 21, 3), np.nan))}
    row = compared(photos[:1], LabelReader(photos), failing).rows["never"]
    assert row["failed"] == 1
    assert np.isnan(row["PA-MPJPE mm"])
    assert row["AUC 20-50 mm"] == 0


def test_the_size_is_given_to_what_a_method_took_it_to_be(folder):
    photos = read_samples(folder)

    def larger(hands):
        return Prediction.of_joints(1.2 * np.stack([one.joints_m for one in hands]), np.array([1.2 * SIZE_M]))

    row = compared(photos[:1], LabelReader(photos), {"larger": larger}).rows["larger"]
    assert row["root-relative mm"] > 10
    assert row["size given mm"] == pytest.approx(0, abs=1e-6)
    assert row["absolute mm"] > 50
    assert row["absolute, size given mm"] == pytest.approx(0, abs=1e-6)
    assert row["root depth %"] == pytest.approx(20)
    assert row["EPE px"] == pytest.approx(0, abs=1e-6)


def test_a_detection_of_the_other_side_or_elsewhere_is_not_found(folder):
    photos = read_samples(folder)

    class Elsewhere(LabelReader):
        def detect(self, image_bgr):
            one = super().detect(image_bgr)[0]
            far = Detection("right", 0.9, one.box_px, one.landmarks_px + 1000, one.landmarks_m)
            other = Detection("left", 0.9, one.box_px, one.landmarks_px, one.landmarks_m)
            return [far, other]

    assert detect_hands(photos[:1], Elsewhere(photos)) == []
    comparison = compared(photos[:1], Elsewhere(photos), {"3d": detector_3d})
    assert comparison.title == "photos: 0 of 1 hands found"


@pytest.mark.parametrize("side", ["left", "right"])
def test_hands_outside_their_limits_are_found_by_their_joints(side):
    hands = random_hands(3, seed=4)
    joints = forward_kinematics(
        hands.angles, hands.proportions, anchor_length=SIZE_M, side=side
    ).joints.numpy()
    joints[1, 8] = joints[1, 7] + 3 * (joints[1, 8] - joints[1, 7])  # the tip of the index finger, far out
    joints[2] = np.nan
    outside = outside_limits(Prediction.of_joints(joints), [side] * 3)
    np.testing.assert_array_equal(outside, [0, 1, np.nan])


def test_told_angles_must_be_inside_and_make_the_joints():
    hands = random_hands(3, seed=4)
    joints = forward_kinematics(hands.angles, hands.proportions, anchor_length=SIZE_M).joints.numpy()
    angles = hands.angles.numpy().copy()
    angles[1, 2] += 4.0
    joints[2, 4, 0] += 1e-3
    of_joints = Prediction.of_joints(joints)
    known = Prediction(
        joints, np.full(3, SIZE_M), angles, hands.proportions.numpy(), covariance_m2=of_joints.covariance_m2
    )
    np.testing.assert_array_equal(outside_limits(known, ["right"] * 3), [0, 1, 1])


def test_the_tables_of_a_document_are_replaced(tmp_path):
    document = tmp_path / "accuracy.md"
    begin, end = report.markers("hand_pose evaluate")
    document.write_text(f"# Before\n\n{begin}\nold\n{end}\n\nAfter\n")
    report.replace_between_markers(document, "new")
    report.replace_between_markers(document, "newer\n")
    assert document.read_text() == f"# Before\n\n{begin}\n\nnewer\n\n{end}\n\nAfter\n"
    document.write_text("none")
    with pytest.raises(ValueError, match="once each"):
        report.replace_between_markers(document, "new")


def test_the_command_measures_generated_hands(tmp_path, capsys):
    assert main(["--generated", "3", "--output", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "accuracy.json").read_text())
    assert [one["name"] for one in results["sets"]] == ["generated"]
    assert results["sets"][0]["rows"]["inverse kinematics"]["outside limits %"] == 0
    assert (tmp_path / "accuracy.png").stat().st_size > 5_000
    assert "generated: 3 of 3" in capsys.readouterr().out


def test_every_method_sees_the_same_hands():
    observations = observations_of(generated_hands(3, seed=1))
    seen = []

    def method(hands):
        seen.append([id(one.detection) for one in hands])
        return Prediction.of_joints(np.stack([one.joints_m for one in hands]))

    compare(HandSet("some", observations, 3), {"a": method, "b": method})
    assert seen[0] == seen[1] == [id(one.detection) for one in observations]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no samples.json"),
        ("{}", "not have the expected form"),
        ('{"samples": [{}]}', "not have the expected form"),
    ],
)
def test_a_folder_without_proper_samples_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / "samples.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_samples(tmp_path)


def test_a_given_length_is_that_of_the_labelled_bones_of_the_middle_finger():
    true, predicted = np.ones((3, 20)), np.full((3, 20), 1.1)
    predicted[1, 8] = 1.5  # the palm's bone is longer than its share
    true[1, 9:11] = np.nan
    true[2] = np.nan
    ratio = middle_finger_ratio(predicted, true)
    np.testing.assert_allclose(ratio, (1 / 1.1, 2 / 2.6, np.nan))


def test_a_person_s_lengths_are_medians_of_all_hands_of_the_person():
    lengths = np.full((5, 20), 0.02)
    lengths[:4, 3] = 0.01, 0.02, 0.06, np.nan
    lengths[:4, 4] = np.nan
    lengths[3:, 5] = 0.03, 0.05
    found = person_lengths(lengths, ["a", "a", "a", "b", ""])
    np.testing.assert_allclose(found[:3, 3], 0.02)
    assert np.isnan(found[:4, 4]).all()
    assert np.isnan(found[3, 3])
    np.testing.assert_allclose(found[3:, 5], (0.03, 0.05))


def test_mean_and_median_are_both_of_hands(folder):
    photos = read_samples(folder)

    def shifted(hands):
        return Prediction.of_joints(np.stack([one.joints_m for one in hands]) + (0.01, 0.0, 0.0))

    observations = [*detect_hands(photos[:1], LabelReader(photos))] * 3
    row = score(shifted(observations).select(np.arange(3)), observations)
    assert row["absolute, median mm"] == pytest.approx(row["absolute mm"]) == pytest.approx(10)
    joints = shifted(observations).joints_m + np.array([0.0, 0.0, 0.4])[:, None, None]
    row = score(Prediction.of_joints(joints), observations)
    assert row["absolute, median mm"] == pytest.approx(10)
    assert row["absolute mm"] > 100


@pytest.mark.slow
def test_the_command_measures_uncertainty_and_error_sources_on_photos(folder, tmp_path, monkeypatch):
    photos = read_samples(folder)
    detector = LabelReader(photos)
    detector.close = lambda: None
    monkeypatch.setattr("hand_pose_ros.evaluation.accuracy.command.open_mediapipe", lambda: detector)
    arguments = [
        str(folder),
        "--weights",
        str(shipped_weights(HAND_DIFFUSION)),
        "--output",
        str(tmp_path / "out"),
    ]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "out" / "accuracy.json").read_text())
    assert set(results["uncertainty"]) == {f"{folder.name}, shape", f"{folder.name}, absolute"}
    assert 0 < results["uncertainty"][f"{folder.name}, absolute"]["within 2 sigma"] <= 1
    sources = results["error sources"][folder.name]
    assert sources["rotation, size and shape"]["absolute mm"] < sources["nothing"]["absolute mm"]
