"""The evaluation of networks that take images: exact estimates score zero, batches are as hand by hand."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from helpers.diffusion import random_network
from helpers.frames import poses
from helpers.image_networks import drawn_hands, small_network

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.datasets.labelled_hand import Observation
from hand_pose_ros.datasets.photo_folder import LabelledPhoto
from hand_pose_ros.detection.relative_depth import relative_depth
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.evaluation import report
from hand_pose_ros.evaluation.images import command as evaluate_images
from hand_pose_ros.evaluation.images import degradation as image_degradation
from hand_pose_ros.evaluation.images.degradation import degradation_series, rise
from hand_pose_ros.evaluation.images.estimates import (
    CropEstimates,
    Estimates,
    cut,
    detector_estimates,
    in_stored_view,
    jittered_views,
)
from hand_pose_ros.evaluation.images.methods import (
    BOTH,
    DETECTOR,
    IMAGE,
    KEYPOINTS,
    METHODS,
    SECOND,
    SHIPPED,
    Networks,
    estimate_set,
    next_views,
)
from hand_pose_ros.evaluation.images.photos import jittered_observations, photo_tables
from hand_pose_ros.evaluation.images.scores import (
    CROP_PX,
    crop_distances,
    figure,
    joint_errors,
    photo_figures,
)
from hand_pose_ros.evaluation.images.sheet import contact_sheet, spread_choice
from hand_pose_ros.evaluation.methods import Prediction
from hand_pose_ros.hand_images.augmentation.view_jitter import change_labels, intrinsics
from hand_pose_ros.hand_images.detections import (
    ImageDetections,
    cached_detections,
    detect_in_images,
)
from hand_pose_ros.hand_images.shards import STORED_MARGIN, STORED_SIZE_PX, save_shard, view_to_pixels
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.networks.hand_head import HandParameters
from hand_pose_ros.networks.registry import IMAGE_HAND_DIFFUSION
from hand_pose_ros.networks.weights import save_weights
from hand_pose_ros.pose import Detection, Frame

HANDS = drawn_hands(6, seed=4)
CONFIG = DiffusionEstimatorConfig(samples=2, steps=2)
BOX = np.array((0.0, 0.0, 160.0, 160.0))


def exact_detections(hands=HANDS, missing=()) -> ImageDetections:
    points, joints = hands.points.astype(np.float64), hands.joints.astype(np.float64)
    points[list(missing)] = joints[list(missing)] = np.nan
    depth, known = relative_depth(torch.from_numpy(joints)).numpy(), np.ones(points.shape[:2], bool)
    return ImageDetections(points, depth, joints, known, known[:, 0])


def exact_estimates(change) -> CropEstimates:
    """The true hands, in the views of their crops."""
    moved = change_labels(HANDS, change)
    angles, proportions, rotation = (
        torch.from_numpy(np.array(value)) for value in (moved.angles, moved.proportions, moved.rotation)
    )
    parameters = HandParameters(
        angles, proportions, rotation, *forward_kinematics(angles, proportions, rotation)
    )
    size = hand.MEAN_ANCHOR_LENGTH_M
    placed = size * (moved.joints.astype(np.float64) + moved.wrist[:, None])
    return CropEstimates(change, parameters, placed, moved.points)


class Answers:
    """A detector that knows where the hands are, in the order in which it is asked."""

    def __init__(self, hands, zoom, sides=None):
        self.hands, self.zoom, self.sides, self.row, self.closed = hands, zoom, sides, -1, False

    def reset(self):
        self.row += 1

    def detect(self, image):
        assert image.shape[0] == self.zoom * STORED_SIZE_PX
        stored = view_to_pixels(self.hands.points[self.row].astype(np.float64))
        px = (stored + 0.5) * self.zoom - 0.5
        side = self.sides[self.row] if self.sides else "right"
        away = Detection("right", 0.9, BOX, px + 100.0 * self.zoom, None)
        if side is None:
            return [away]
        return [away, Detection(side, 0.9, BOX, px + 2.0, self.hands.joints[self.row].astype(np.float64))]

    def close(self):
        self.closed = True


def test_true_hands_seen_from_jittered_views_have_no_errors():
    change = jittered_views(HANDS, seed=3)
    assert np.abs(change.roll_rad).max() > 0.1
    errors = joint_errors(in_stored_view(HANDS, exact_estimates(change)), HANDS)
    assert np.nanmax(errors.aligned_mm) < 1e-3
    assert np.nanmax(errors.relative_mm) < 1e-3
    assert np.nanmax(errors.projected_px) < 1e-3
    assert np.nanmax(errors.points_px) < 1e-3


def test_errors_have_the_units_that_they_say():
    exact = in_stored_view(HANDS, exact_estimates(jittered_views(HANDS, seed=3)))
    joints, projected = exact.joints.copy(), exact.projected.copy()
    joints[:, 8, 0] += 0.5
    projected[:, 8, 1] += 0.3
    errors = joint_errors(Estimates(joints, projected, exact.points), HANDS)
    np.testing.assert_allclose(errors.relative_mm[:, 8], 0.5 * hand.MEAN_ANCHOR_LENGTH_MM, atol=1e-3)
    np.testing.assert_allclose(errors.projected_px[:, 8], 0.3 * CROP_PX, atol=1e-3)
    visible = np.ones((HANDS.count, 21), bool)
    visible[:, 8] = False
    of_parts = figure(errors.projected_px, visible)
    np.testing.assert_allclose(of_parts, (0.3 * CROP_PX / 21, 0, 0.3 * CROP_PX), atol=1e-3)
    assert np.isnan(errors.relative_mm[:, 0]).all()


def test_a_detector_s_own_landmarks_are_scored_in_its_own_size():
    detections = exact_detections()
    grown = detections._replace(landmarks_m=7 * detections.landmarks_m + 1)
    errors = joint_errors(detector_estimates(grown), HANDS)
    assert np.nanmax(errors.relative_mm) < 1e-3
    assert np.nanmax(errors.points_px) == 0


def test_the_detection_nearest_to_the_labels_counts_whatever_its_side():
    detector = Answers(HANDS, 2, ["right", "left", None, "right", "right", "right"])
    found = detect_in_images(HANDS, detector, zoom=2)
    np.testing.assert_array_equal(found.found, [True, True, False, True, True, True])
    np.testing.assert_array_equal(found.side, [True, False, False, True, True, True])
    known = found.found
    moved = view_to_pixels(found.points[known]) - view_to_pixels(HANDS.points[known].astype(np.float64))
    np.testing.assert_allclose(moved, 1.0, atol=1e-6)  # two pixels of the image as it is shown
    assert np.isnan(found.depth[2]).all()
    assert not found.inside[2].any()


def test_points_where_the_image_has_ended_are_not_inside():
    hands = HANDS._replace(image=HANDS.image.copy())
    hands.image[:, :, :80] = 0
    found = detect_in_images(hands, Answers(hands, 1), zoom=1)
    left = view_to_pixels(found.points)[..., 0]
    np.testing.assert_array_equal(found.inside[left > 82], True)
    np.testing.assert_array_equal(found.inside[left < 78], False)


def test_a_detector_is_asked_once(tmp_path):
    detector = Answers(HANDS, 2)
    first = cached_detections(HANDS, lambda: detector, tmp_path, "some")
    assert detector.closed
    again = cached_detections(HANDS, lambda: pytest.fail("asked again"), tmp_path, "some")
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    other = HANDS._replace(image=HANDS.image[::-1])
    assert cached_detections(other, lambda: Answers(HANDS, 2), tmp_path, "some").found.all()
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("condition", ["keypoints", "both"])
def test_batches_give_what_the_estimator_gives_hand_by_hand(condition):
    network, detections = small_network(), exact_detections()
    name = KEYPOINTS if condition == "keypoints" else BOTH
    estimates = estimate_set(Networks(network, None, CONFIG), HANDS, detections, (name,))[name]
    config = DiffusionEstimatorConfig(samples=2, steps=2, condition=condition)
    estimator = DiffusionEstimator(network, 1.0, config)
    cameras = intrinsics(HANDS.half_extent.astype(np.float64), STORED_SIZE_PX, STORED_MARGIN)
    compared = 0
    for row in range(HANDS.count):
        focal, middle = cameras[row, 0, 0], cameras[row, 0, 2]
        camera = CameraModel.pinhole(focal, focal, middle, middle, STORED_SIZE_PX, STORED_SIZE_PX)
        seen = Detection(
            "right",
            1.0,
            BOX,
            view_to_pixels(HANDS.points[row].astype(np.float64)),
            detections.landmarks_m[row],
        )
        (pose,) = poses(estimator, Frame(np.array(HANDS.image[row]), camera), [seen])
        if not pose.valid:  # an untrained network's hand that fits nowhere
            continue
        compared += 1
        joints = (pose.joints_m - pose.joints_m[0]) / pose.anchor_length_m
        # Crops of stored images are cut without an average over pixels.
        tolerance = 1e-3 if condition == "keypoints" else 5e-2
        np.testing.assert_allclose(joints, estimates.joints[row], atol=tolerance)
    assert compared >= 4


def test_without_keypoints_only_the_image_is_left():
    networks = Networks(small_network(), random_network(), CONFIG)
    estimates = estimate_set(networks, HANDS, exact_detections(missing=(1, 4)))
    assert tuple(estimates) == METHODS
    for name in (KEYPOINTS, SHIPPED, DETECTOR):
        missing = np.isnan(estimates[name].joints).all((1, 2))
        np.testing.assert_array_equal(missing, [False, True, False, False, True, False])
    for name in (IMAGE, SECOND, BOTH):
        assert np.isfinite(estimates[name].joints).all()
    np.testing.assert_array_equal(estimates[BOTH].joints[1], estimates[IMAGE].joints[1])
    assert np.abs(estimates[BOTH].joints[0] - estimates[IMAGE].joints[0]).max() > 1e-3
    nothing = estimate_set(networks, HANDS, exact_detections(missing=range(6)), (IMAGE, KEYPOINTS, BOTH))
    assert np.isnan(nothing[KEYPOINTS].joints).all()
    np.testing.assert_array_equal(nothing[BOTH].joints, nothing[IMAGE].joints)


def test_the_next_look_is_at_what_was_found():
    views = jittered_views(HANDS, 0)
    exact = in_stored_view(HANDS, exact_estimates(views))
    exact.projected[2] = np.nan
    change = next_views(HANDS, exact, views)
    others = np.arange(HANDS.count) != 2
    np.testing.assert_allclose(change.scale[others], 1, atol=1e-4)
    np.testing.assert_allclose(change.rotation[others], np.eye(3)[None].repeat(5, 0), atol=1e-4)
    np.testing.assert_array_equal(change.rotation[2], views.rotation[2])


def test_only_hands_found_at_both_strengths_tell_how_much_errors_rise():
    errors = np.array(((1.0, 2.0, 9.0), (3.0, 2.5, np.nan), (5.0, 50.0, 10.0)))
    found = np.array(((True, True, True), (True, True, False), (True, False, True)))
    np.testing.assert_allclose(rise(errors, found), (0, 1.25, 2.5))


def test_a_series_of_degraded_images_is_detected_again(monkeypatch):
    monkeypatch.setattr(image_degradation, "STRENGTHS", (0, 4))
    names = []

    def detect(images, name):
        names.append(name)
        return exact_detections(images, missing=(0,) if name == "occlusion-4" else ())

    hands = HANDS.rows(np.arange(3))
    series = degradation_series(Networks(small_network(), random_network(), CONFIG), hands, detect)
    assert names.count("undegraded") == 2
    assert len(set(names)) == 3
    np.testing.assert_array_equal(series["occlusion"].found[-1], [False, True, True])
    assert series["motion_blur"].found.all()
    of_keypoints, of_both = (series["occlusion"].errors[name].aligned for name in (KEYPOINTS, BOTH))
    assert of_keypoints.shape == (2, 3)
    assert np.isnan(of_keypoints[-1, 0])
    assert np.isfinite(of_both).all()


def observation(camera: CameraModel, row: int) -> Observation:
    """A stored hand in a camera's image, of the mean size."""
    joints = hand.MEAN_ANCHOR_LENGTH_M * (HANDS.joints[row] + HANDS.wrist[row]).astype(np.float64)
    points = camera.project(torch.from_numpy(joints)).numpy()
    return Observation(lambda: None, camera, Detection("right", 1.0, BOX, points, joints), joints, points)


def test_distances_in_photos_are_in_half_extents_of_the_hand():
    camera = CameraModel.from_fov(640, 480, 1.2)
    one = observation(camera, 0)
    np.testing.assert_allclose(crop_distances(one, one.points_px), 0, atol=1e-6)
    # A hand whose projection is 2 % too large, about the middle of the view.
    rays = torch.from_numpy(HANDS.points[0] * 1.02 * HANDS.half_extent[0]).double()
    larger = camera.project(torch.cat((rays, torch.ones_like(rays[:, :1])), -1)).numpy()
    np.testing.assert_allclose(
        crop_distances(one, larger), 0.02 * np.linalg.norm(HANDS.points[0], axis=-1), atol=1e-3
    )


def test_photos_are_scored_in_pixels_of_a_crop():
    camera = CameraModel.from_fov(640, 480, 1.2)
    observations = [observation(camera, row) for row in range(3)]
    exact = np.stack([one.joints_m for one in observations])
    of_hands = photo_figures(Prediction.of_joints(exact), observations)
    assert of_hands["PA-MPJPE mm"] < 1e-6
    assert of_hands["EPE px of 128"] < 1e-3
    of_detector = photo_figures(Prediction.of_joints(exact, is_placed=False), observations)
    assert np.isnan(of_detector["EPE px"])
    assert of_detector["EPE px of 128"] < 1e-3


def test_image_only_is_told_of_a_labelled_hand_where_it_is_and_no_more():
    camera = CameraModel.from_fov(640, 480, 1.2)
    photos = [
        LabelledPhoto(Path(), "left", camera, one.joints_m, one.points_px)
        for one in (observation(camera, row) for row in range(3))
    ]
    for photo in photos:
        photo.points_px[4] = np.nan
    observations = jittered_observations(photos, seed=1)
    for photo, one in zip(photos, observations, strict=True):
        assert one.detection.side == "left"
        known = ~np.isnan(photo.points_px).any(1)
        moved, labels = one.detection.landmarks_px[known], photo.points_px[known]
        assert np.isnan(one.detection.landmarks_px[4]).all()
        sizes = [np.linalg.norm(points - points.mean(0)) for points in (moved, labels)]
        assert 0.75 <= sizes[0] / sizes[1] <= 1.3
        assert 1 < np.abs(moved - labels).max() < np.ptp(labels, axis=0).max()


def test_labelled_photos_get_a_table_of_what_is_found_and_one_of_all(tmp_path):
    camera, samples = CameraModel.from_fov(640, 480, 1.2), []
    for row in range(3):
        one = observation(camera, row)
        cv2.imwrite(str(tmp_path / f"{row}.png"), np.full((480, 640, 3), 100 + row, np.uint8))
        samples.append(
            {"image": f"{row}.png", "width": 640, "height": 480, "hand": "right", "K": camera.K.tolist(),
             "xyz_m": one.joints_m.tolist(), "uv": one.points_px.tolist()}
        )  # fmt: skip
    (tmp_path / "samples.json").write_text(json.dumps({"samples": samples}))

    class Two:
        """Finds two of the three."""

        def reset(self):
            pass

        def detect(self, image):
            row = int(image[0, 0, 0]) - 100
            return [] if row == 1 else [observation(camera, row).detection]

    networks = Networks(small_network(), random_network(), CONFIG)
    found, every = photo_tables([tmp_path], networks, Two())
    assert "the 2 of 3 hands that MediaPipe finds" in found
    names = [line.split("|")[1].strip() for line in found.splitlines()[4:]]
    assert names == [IMAGE, KEYPOINTS, BOTH, SHIPPED, DETECTOR]
    assert "all 3, without the detector" in every
    assert every.count("\n| ") == 2


def test_sheets_show_all_sources_and_hands_where_they_are():
    sources = np.array((1, 1, 1, 1, 2, 3), np.int16)
    hands = HANDS._replace(source=sources)
    chosen = spread_choice(hands, 4, seed=0)
    assert sorted(sources[chosen]) == [1, 1, 2, 3]
    change = jittered_views(hands, 2)
    crops = cut(hands, change, small_network().crops)
    sheet = contact_sheet(crops, exact_estimates(change), 1.5, columns=4, tile_px=64, captions=["a"] * 6)
    assert sheet.shape == (2 * 64, 4 * 128, 3)
    plain, drawn = sheet[:64, :64].astype(int), sheet[:64, 64:128].astype(int)
    places = view_to_pixels(change_labels(hands, change).points[0], 64, 1.5).round().astype(int)
    x, y = places[9].clip(0, 63)
    differs = np.abs(plain - drawn).max(-1) > 0
    assert differs[y, x]
    assert 0.02 < differs.mean() < 0.6


@pytest.fixture
def files(tmp_path):
    for name, seed, source in (("rendered", 0, 0), ("held_back", 1, 11)):
        hands = drawn_hands(5, seed)
        hands.source[:] = source
        save_shard(tmp_path / name / "one", hands, seed, {})
    network, keypoints = small_network(), random_network()
    save_weights(tmp_path / "image.safetensors", network, IMAGE_HAND_DIFFUSION, network.config.to_dict())
    save_weights(tmp_path / "keypoint.safetensors", keypoints, "hand_diffusion", keypoints.config.to_dict())
    begin, end = report.markers(evaluate_images.COMMAND)
    (tmp_path / "page.md").write_text(f"# Page\n\n{begin}\n{end}\n")
    return tmp_path


@pytest.mark.slow
def test_the_command_writes_tables_plot_and_sheets(files, monkeypatch):
    class Blind:
        """Finds nothing."""

        def reset(self):
            pass

        def detect(self, image):
            return []

    arguments = [
        "--weights", f"{files}/image.safetensors", "--keypoint-weights", f"{files}/keypoint.safetensors",
        "--rendered", f"{files}/rendered", "--held-back", f"{files}/held_back", "--degraded", "2",
        "--samples", "2", "--steps", "2", "--output", f"{files}/out", "--sheet", f"{files}/sheet.jpg",
        "--docs", f"{files}/page.md",
    ]  # fmt: skip
    rendered = drawn_hands(5, 0)
    detectors = iter([Answers(rendered, 2), *[Answers(rendered, 2) for _ in range(9)], Blind()])
    monkeypatch.setattr(evaluate_images, "open_mediapipe", lambda: next(detectors))
    assert evaluate_images.main(arguments) == 0
    page = (files / "page.md").read_text()
    assert "the 5 of 5 hands that MediaPipe finds (0 with the wrong side)" in page
    assert "all 5**" in page
    assert "Real photos of unseen sources: 5" in page
    assert "| motion blur, two hands, a grasp; five people | 5 |" in page
    assert page.count("hands that the detector finds, % | 100 | 100 | 100 | 100 | 100 |") >= 1
    for name in ("out/degradation.png", "out/image_features.jpg", "sheet.jpg"):
        assert (files / name).stat().st_size > 3000
    (files / "page.md").write_text("no markers")
    monkeypatch.setattr(evaluate_images, "open_mediapipe", Blind)
    small = [
        *arguments[:6],
        "--docs",
        f"{files}/page.md",
        "--degraded",
        "0",
        "--samples",
        "2",
        "--every",
        "3",
    ]
    assert evaluate_images.main(small) == 2
