"""The metrics, on cases whose value is known."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.hand_poses import random_pose
from helpers.meshes import tetrahedron
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from hand_pose_ros.evaluation import metrics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.mesh.skinning import hand_mesh

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.normal(0, 0.05, (4, 21, 3)) + [0, 0, 0.5]


def test_mpjpe_of_a_shift_is_its_length():
    np.testing.assert_allclose(metrics.mpjpe(TRUTH + [0.003, 0.004, 0], TRUTH), 0.005)


def test_unlabelled_joints_do_not_count_but_missing_predictions_do():
    truth = TRUTH.copy()
    truth[0, 5] = np.nan
    predicted = TRUTH + [0, 0, 0.01]
    predicted[1, 7] = np.nan
    errors = metrics.mpjpe(predicted, truth)
    np.testing.assert_allclose(errors[[0, 2, 3]], 0.01)
    assert np.isnan(errors[1])
    assert np.isnan(metrics.pa_mpjpe(predicted, truth)[1])
    assert np.isnan(metrics.mpjpe(predicted, np.full_like(truth, np.nan))).all()


def test_root_relative_error_ignores_the_position_and_leaves_out_the_root():
    predicted = TRUTH + [1, 2, 3]
    np.testing.assert_allclose(metrics.root_relative_mpjpe(predicted, TRUTH), 0, atol=1e-12)
    predicted = TRUTH.copy()
    predicted[:, 1:] += [0, 0.01, 0]
    np.testing.assert_allclose(metrics.root_relative_mpjpe(predicted, TRUTH), 0.01)


def test_scaled_error_ignores_the_scale_too():
    predicted = 1.3 * TRUTH
    assert (metrics.root_relative_mpjpe(predicted, TRUTH) > 0.005).all()
    np.testing.assert_allclose(metrics.scaled_root_relative_mpjpe(predicted, TRUTH), 0, atol=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.2, 5))
def test_procrustes_undoes_any_similarity_but_no_reflection(seed, scale):
    random = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=seed % 2**31).as_matrix()
    moved = scale * TRUTH @ rotation.T + random.normal(size=3)
    np.testing.assert_allclose(metrics.pa_mpjpe(moved, TRUTH), 0, atol=1e-9)
    assert (metrics.pa_mpjpe(moved * [-1, 1, 1], TRUTH) > 0.005).all()


def test_procrustes_is_optimal():
    predicted = TRUTH + RANDOM.normal(0, 0.01, TRUTH.shape)
    best = metrics.pa_mpjpe(predicted, TRUTH)
    # It minimises squares, so other similarities can be slightly better in the mean distance, but not by much.
    for seed in range(20):
        turned = (
            predicted @ Rotation.from_rotvec(0.3 * np.random.default_rng(seed).normal(size=3)).as_matrix()
        )
        turned = turned - turned.mean(1, keepdims=True) + TRUTH.mean(1, keepdims=True)
        assert (best <= 1.05 * metrics.mpjpe(turned, TRUTH)).all()


def test_errors_of_joints_after_procrustes_average_to_its_mean():
    predicted, truth = TRUTH + RANDOM.normal(0, 0.01, TRUTH.shape), TRUTH.copy()
    truth[0, 4] = np.nan
    errors = metrics.pa_joint_errors(predicted, truth)
    assert np.isnan(errors[0, 4])
    np.testing.assert_allclose(np.nanmean(errors, -1), metrics.pa_mpjpe(predicted, truth))
    predicted[1, 2] = np.nan
    assert np.isnan(metrics.pa_joint_errors(predicted, truth)[1]).all()


def test_root_errors():
    predicted = TRUTH * 1.1
    np.testing.assert_allclose(metrics.relative_root_depth_error(predicted, TRUTH), 0.1)
    np.testing.assert_allclose(
        metrics.root_error(predicted, TRUTH), 0.1 * np.linalg.norm(TRUTH[:, 0], axis=-1)
    )
    np.testing.assert_allclose(metrics.mrrpe(TRUTH + [0, 0, 0.02], TRUTH, TRUTH, TRUTH), 0.02)


def test_mesh_error_is_the_mean_over_corresponding_vertices():
    truth = tetrahedron(np.array((0.0, 0.0, 0.5)))
    shift = np.zeros((4, 3))
    shift[0] = (0.003, 0.004, 0)
    predicted = replace(truth, vertices_m=truth.vertices_m + shift)
    assert metrics.mpvpe(predicted, truth) == pytest.approx(0.005 / 4)
    assert metrics.mpvpe(truth, truth) == 0
    shorter = replace(truth, vertices_m=truth.vertices_m[:3], faces=truth.faces[:1])
    for other in (replace(truth, template="other"), shorter, hand_mesh(random_pose())):
        with pytest.raises(ValueError, match="one template"):
            metrics.mpvpe(predicted, other)
    pose = random_pose("left")
    moved = pose.moved(np.array((0.0, 0.0, 0.01), np.float32))
    assert metrics.mpvpe(hand_mesh(moved), hand_mesh(pose)) == pytest.approx(0.01, abs=1e-6)


def test_area_under_the_curve_of_correct_keypoints():
    assert metrics.pck_auc(np.zeros(10), 0.02, 0.05) == pytest.approx(1)
    assert metrics.pck_auc(np.full(10, np.inf), 0.02, 0.05) == 0
    uniform = np.linspace(0, 30, 100_001)
    assert metrics.pck_auc(uniform, 0, 30) == pytest.approx(0.5, abs=1e-3)
    assert metrics.pck_auc(np.array([0.0, np.nan]), 0, 1) == pytest.approx(1)
    assert np.isnan(metrics.pck_auc(np.array([np.nan]), 0, 1))
    with pytest.raises(ValueError, match="highest must exceed"):
        metrics.pck_auc(uniform, 1, 1)


def test_violations_are_found_in_angles_and_in_proportions():
    angles = np.stack([angle_bounds().neutral.numpy()] * 4)
    proportions = np.stack([proportion_bounds().neutral.numpy()] * 4)
    angles[1, 4] += 10
    proportions[2, 3] = 0
    angles[3] = np.nan  # a hand that is not known must not pass for one within its limits
    assert metrics.limit_violations(angles, proportions).tolist() == [False, True, True, True]
    for bounds, values in ((angle_bounds().minimum, "angles"), (proportion_bounds().maximum, "proportions")):
        at_the_limit = {"angles": angles[:1], "proportions": proportions[:1], values: bounds.numpy()[None]}
        assert not metrics.limit_violations(at_the_limit["angles"], at_the_limit["proportions"]).any()


def test_jitter_of_a_parabola_is_its_acceleration():
    times = np.arange(20) / 30
    joints = np.zeros((20, 21, 3))
    joints[..., 2] = 0.5 * 3.0 * times[:, None] ** 2
    assert metrics.jitter(joints, 1 / 30) == pytest.approx(3.0)
    assert metrics.jitter(joints, 1 / 30, joints) == pytest.approx(0)
    with pytest.raises(ValueError, match="at least 3 frames"):
        metrics.jitter(joints[:2], 1 / 30)


def test_coverage_of_a_calibrated_gaussian():
    truth = np.zeros((2000, 21, 3))
    predicted = RANDOM.normal(0, 0.01, truth.shape)
    sigma = np.full((2000, 21, 1), 0.01)
    assert metrics.coverage(predicted, sigma, truth, 1) == pytest.approx(0.683, abs=0.005)
    assert metrics.coverage(predicted, sigma, truth, 2) == pytest.approx(0.954, abs=0.005)
