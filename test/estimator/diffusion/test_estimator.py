"""The diffusion estimator: mirrored input, unusable input, and what each of its options does."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.diffusion import CAMERA, detections, random_network
from helpers.frames import blank_frame, poses

from hand_pose_ros import hand
from hand_pose_ros.camera.mirroring import mirrored_camera
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.estimator.diffusion.estimator import DiffusionEstimator, DiffusionEstimatorConfig
from hand_pose_ros.estimator.diffusion.fusion import FUSIONS
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.pose import Detection
from hand_pose_ros.rotations import rotation_from_vector

ARRAYS = ("joints_m", "rotations", "angles_rad", "proportions", "covariance_m2", "wrist_covariance")
OFF_CENTRE = CameraModel(640, 480, 500.0, 510.0, 290.0, 260.0, "plumb_bob", (0.05, -0.02, 0.001, 0.002, 0.0))


@pytest.fixture(scope="module")
def model():
    return random_network()


def estimator(model, **options):
    options = {"samples": 6, "steps": 3, **options}
    return DiffusionEstimator(model, 1.3, DiffusionEstimatorConfig(**options))


def estimate(model, found, camera=CAMERA, **options):
    return poses(estimator(model, **options), blank_frame(camera), found)


def changed(found: Detection, landmarks_px: np.ndarray) -> Detection:
    return replace(found, landmarks_px=landmarks_px)


def mirrored(found: Detection, camera: CameraModel) -> Detection:
    """As the image flipped left to right shows it."""
    flip = np.array([-1.0, 1.0])
    shift = np.array([camera.width - 1.0, 0.0])
    return Detection(
        "left" if found.side == "right" else "right",
        found.score,
        found.box_px,
        found.landmarks_px * flip + shift,
        found.landmarks_m * np.array([-1.0, 1.0, 1.0]),
    )


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_mirrored_input_gives_the_mirrored_output(model, fusion):
    found = detections(3)
    for hand_size_m in (None, 0.09):
        options = {"fusion": fusion, "hand_size_m": hand_size_m}
        rights = estimate(model, found, OFF_CENTRE, **options)
        lefts = estimate(
            model,
            [mirrored(one, OFF_CENTRE) for one in found],
            mirrored_camera(OFF_CENTRE),
            **options,
        )
        flip = np.array([-1.0, 1.0, 1.0])
        six = np.array([-1.0, 1.0, 1.0, 1.0, -1.0, -1.0])
        for right, left in zip(rights, lefts, strict=True):
            assert right.valid
            assert left.valid
            assert left.side == "left"
            near = {"rtol": 0, "atol": 1e-5}
            np.testing.assert_allclose(left.joints_m, right.joints_m * flip, **near)
            # C R M: the bone frame of a left hand is the right one's, mirrored in its y axis.
            frames = flip[:, None] * right.rotations * np.array([1.0, -1.0, 1.0])
            np.testing.assert_allclose(left.rotations, frames, **near)
            np.testing.assert_allclose(np.linalg.det(left.rotations), 1, **near)
            np.testing.assert_allclose(left.angles_rad, right.angles_rad, **near)
            np.testing.assert_allclose(left.proportions, right.proportions, **near)
            np.testing.assert_allclose(left.covariance_m2, right.covariance_m2 * flip[:, None] * flip, **near)
            np.testing.assert_allclose(
                left.wrist_covariance, right.wrist_covariance * six[:, None] * six, **near
            )


def test_the_rule_for_mirrored_rotation_vectors_against_finite_rotations():
    """A turn of the wrist by a vector v becomes, in the mirror, a turn by (v_x, -v_y, -v_z)."""
    mirror = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
    axes = torch.randn(20, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turned = mirror @ rotation_from_vector(axes) @ mirror
    expected = rotation_from_vector(axes * axes.new_tensor([1.0, -1.0, -1.0]))
    torch.testing.assert_close(turned, expected)


def few_known(landmarks, count):
    landmarks[count:] = np.nan
    return landmarks


UNUSABLE = {
    "all missing": (lambda points: points * np.nan, "only 0 of 21"),
    "five known": (lambda points: few_known(points, 5), "only 5 of 21"),
    "infinite": (lambda points: points * np.inf, "only 0 of 21"),
    "one point": (lambda points: points * 0 + 100, "span 0.0 px"),
    "far outside": (lambda points: points + 1e5, "far outside"),
    "huge": (lambda points: points * 1e4, "far outside"),
    "beyond numbers": (lambda points: points * 1e300, "far outside"),
}


@pytest.mark.parametrize(("change", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_landmarks_give_an_invalid_pose_with_the_reason(model, change, reason):
    good = detections(1)[0]
    poses = estimate(model, [good, changed(good, change(good.landmarks_px.copy())), good])
    assert [pose.valid for pose in poses] == [True, False, True]
    assert reason in poses[1].reason
    assert all(np.isnan(getattr(poses[1], name)).all() for name in ARRAYS)
    np.testing.assert_allclose(poses[0].joints_m, poses[2].joints_m, rtol=0, atol=1e-6)


def test_a_detection_without_landmarks_gives_the_reason(model):
    found = replace(detections(1)[0], landmarks_px=None)
    assert estimate(model, [found])[0].reason == "the detector gives no landmarks"


def test_no_detection_gives_no_pose(model):
    assert estimate(model, []) == []


def test_no_landmarks_whatever_make_it_raise(model):
    generator = np.random.default_rng(0)
    run = estimator(model, samples=3, steps=1)
    for scale in (1e-3, 1.0, 30.0, 300.0, 3e3, 3e5):
        for _ in range(6):
            points = 300 + scale * generator.standard_normal((hand.NUM_JOINTS, 2))
            points[generator.random(hand.NUM_JOINTS) < generator.random()] = np.nan
            depths = scale * generator.standard_normal((hand.NUM_JOINTS, 3))
            depths[generator.random(hand.NUM_JOINTS) < 0.3] = np.nan
            found = Detection("left", 0.5, np.array([0.0, 0.0, 1.0, 1.0]), points, depths)
            pose = poses(run, blank_frame(CAMERA), [found])[0]
            assert pose.valid or pose.reason
            if pose.valid:
                assert all(np.isfinite(getattr(pose, name)).all() for name in ARRAYS)


def test_six_landmarks_are_enough(model):
    found = detections(1)[0]
    points = found.landmarks_px.copy()
    points[[1, 2, 3, 4, 6, 7, 8, 10, 11, 12, 14, 15, 16, 19, 20]] = np.nan
    assert estimate(model, [changed(found, points)])[0].valid


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_pose_lies_within_the_limits(model, fusion):
    found = detections(4, seed=2)
    generator = np.random.default_rng(1)
    found += [changed(one, one.landmarks_px + 60 * generator.standard_normal((21, 2))) for one in found]
    valid = [pose for pose in estimate(model, found, fusion=fusion) if pose.valid]
    assert len(valid) > 4
    for pose in valid:
        assert angle_bounds(torch.float64).contains(torch.from_numpy(pose.angles_rad), 1e-6)
        assert proportion_bounds(torch.float64).contains(torch.from_numpy(pose.proportions), 1e-6)


def test_the_same_input_gives_the_same_pose_frame_after_frame(model):
    run, found = estimator(model), detections(1)
    first, second = (poses(run, blank_frame(CAMERA), found)[0] for _ in range(2))
    for name in ARRAYS:
        assert np.array_equal(getattr(first, name), getattr(second, name))


def test_two_hands_together_are_as_each_alone(model):
    found = detections(2)
    together = estimate(model, found)
    for one, pose in zip(found, together, strict=True):
        alone = estimate(model, [one])[0]
        for name in ARRAYS:
            np.testing.assert_allclose(getattr(alone, name), getattr(pose, name), rtol=0, atol=1e-5)


def test_a_known_size_scales_the_pose_and_narrows_its_covariance(model):
    found = detections(1)
    small, large = (estimate(model, found, hand_size_m=size)[0] for size in (0.07, 0.14))
    shapes = [pose.joints_m - pose.joints_m[0] for pose in (small, large)]
    np.testing.assert_allclose(2 * shapes[0], shapes[1], rtol=0, atol=1e-5)
    assert large.joints_m[0, 2] == pytest.approx(2 * small.joints_m[0, 2], rel=0.1)
    unknown = estimate(model, found)[0]
    at_known_size = estimate(model, found, hand_size_m=unknown.anchor_length_m)[0]
    assert (unknown.joint_sigma_m > at_known_size.joint_sigma_m).all()


def test_a_single_sample_has_no_covariance(model):
    pose = estimate(model, detections(1), samples=1, hand_size_m=0.09)[0]
    assert pose.valid
    assert np.isnan(pose.covariance_m2).all()
    assert np.isnan(pose.wrist_covariance).all()


def test_samples_that_reproject_badly_count_less(model):
    found = detections(1)
    alike, weighed = (estimate(model, found, reprojection_sigma=s)[0] for s in (math.inf, 0.002))
    assert np.abs(alike.joints_m - weighed.joints_m).max() > 1e-5


def test_ancestral_sampling_goes_through_all_steps(model):
    first, second = (estimate(model, detections(1), steps=None)[0] for _ in range(2))
    assert first.valid
    assert np.array_equal(first.joints_m, second.joints_m)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("samples", 0),
        ("steps", 0),
        ("fusion", "mean"),
        ("reprojection_sigma", 0.0),
        ("reprojection_sigma", math.nan),
        ("hand_size_m", -0.1),
        ("hand_size_m", math.inf),
    ],
)
def test_bad_options_are_refused(option, value):
    with pytest.raises(ValueError, match=option):
        DiffusionEstimatorConfig(**{option: value})


def test_more_steps_than_the_diffusion_has_are_refused(model):
    with pytest.raises(ValueError, match="at most 20"):
        estimator(model, steps=21)
