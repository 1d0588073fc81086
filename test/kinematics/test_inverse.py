"""The inverse kinematics solver: round trips, noise, missing joints, image points, and input it must refuse."""

import numpy as np
import pytest
import torch
from helpers.hands import random_hands

from hand_pose_ros import hand
from hand_pose_ros.camera.model import CameraModel
from hand_pose_ros.kinematics.fit_problem import FitProblem
from hand_pose_ros.kinematics.initial_guess import initial_guess
from hand_pose_ros.kinematics.inverse import MIN_JOINTS, fit_hand
from hand_pose_ros.kinematics.levenberg_marquardt import minimise
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds

CAMERA = CameraModel.pinhole(600.0, 610.0, 320.0, 240.0, 640, 480)


def distances_mm(fit, joints):
    return 1e3 * (fit.frames.joints - joints).norm(dim=-1)


@pytest.mark.parametrize("side", hand.SIDES)
def test_joints_survive_the_round_trip(side):
    joints = random_hands(500, seed=0).pose(side).joints
    fit = fit_hand(joints, side=side)
    errors = distances_mm(fit, joints)
    assert errors.mean() < 0.1
    assert errors.max() < 1
    assert fit.converged.all()
    assert angle_bounds(torch.float64).contains(fit.angles).all()
    assert proportion_bounds(torch.float64).contains(fit.proportions, tolerance=1e-12).all()
    torch.testing.assert_close(1e3 * fit.residual_m, errors)


def test_single_precision_is_enough():
    joints = random_hands(200, seed=3, dtype=torch.float32).pose().joints
    fit = fit_hand(joints)
    assert fit.angles.dtype == torch.float32
    assert distances_mm(fit, joints).mean() < 0.1
    assert distances_mm(fit, joints).max() < 1


def test_converged_is_false_when_the_iterations_do_not_suffice():
    joints = random_hands(200, seed=0).pose().joints
    fit = fit_hand(joints, max_iterations=2)
    off = distances_mm(fit, joints).amax(-1) > 5
    assert off.any()
    assert not fit.converged[off].any()


def test_converged_means_that_one_more_step_gains_nothing():
    """On joints that no hand can have, where bounds bend most steps: the flag must not be an accident."""
    generator = torch.Generator().manual_seed(0)
    truth = random_hands(200, seed=0).pose().joints
    joints = truth + 0.01 * torch.randn(truth.shape, generator=generator, dtype=truth.dtype)
    precision = torch.full(joints.shape[:2], 1 / 3e-4, dtype=joints.dtype)
    problem = FitProblem(joints, precision, None, None, relative=False, fixed_scale=False)
    solution = minimise(initial_guess(joints, precision), problem)
    assert solution.converged.double().mean() > 0.9
    further = minimise(solution.state, problem, max_iterations=1)
    gain = (solution.cost - further.cost)[solution.converged]
    assert (gain <= 0.1 + 1e-3 * solution.cost[solution.converged]).all()


def test_a_cost_beyond_the_range_of_numbers_has_not_converged():
    assert not fit_hand(1e20 * random_hands(3, seed=0, dtype=torch.float32).pose().joints).converged.any()


def test_any_leading_shape_and_a_mirror_image_give_the_same_fit():
    joints = random_hands(6, seed=1).pose().joints
    flat = fit_hand(joints)
    shaped = fit_hand(joints.reshape(2, 3, 21, 3))
    torch.testing.assert_close(shaped.angles.reshape(6, -1), flat.angles)
    one = fit_hand(joints[2])
    torch.testing.assert_close(one.angles, flat.angles[2], rtol=0, atol=1e-6)
    mirrored = fit_hand(joints * torch.tensor([-1.0, 1.0, 1.0], dtype=joints.dtype), side="left")
    torch.testing.assert_close(mirrored.angles, flat.angles)


def test_noise_is_averaged_and_missing_joints_take_plausible_places():
    truth = random_hands(300, seed=5).pose().joints
    generator = torch.Generator().manual_seed(0)
    noisy = truth + 0.01 * torch.randn(truth.shape, generator=generator, dtype=truth.dtype)
    fit = fit_hand(noisy, noise_m=0.01)
    input_error = 1e3 * (noisy - truth).norm(dim=-1).mean()
    assert distances_mm(fit, truth).mean() < 0.8 * input_error

    for row in noisy:
        row[torch.randperm(21, generator=generator)[:5]] = torch.nan
    fit = fit_hand(noisy, noise_m=0.01)
    missing = noisy.isnan().any(-1)
    errors = distances_mm(fit, truth)
    assert errors[~missing].mean() < 0.85 * input_error
    assert errors[missing].mean() < 25
    assert torch.equal(fit.residual_m.isnan(), missing)


def test_weights_decide_between_contradicting_joints():
    joints = random_hands(1, seed=2).pose().joints
    moved = joints.clone()
    moved[:, hand.FINGERTIPS[1]] += 0.03
    weights = torch.ones(1, 21, dtype=joints.dtype)
    weights[:, hand.FINGERTIPS[1]] = 1e-6
    fit = fit_hand(moved, weights, noise_m=1e-3)
    others = [j for j in range(21) if j != hand.FINGERTIPS[1]]
    assert distances_mm(fit, joints)[:, others].max() < 1


def test_known_size_is_kept():
    hands = random_hands(20, seed=4)
    fit = fit_hand(hands.pose().joints, anchor_length_m=hands.anchor_length)
    torch.testing.assert_close(fit.anchor_length_m, hands.anchor_length)
    assert distances_mm(fit, hands.pose().joints).mean() < 0.1


def test_image_points_place_joints_that_are_known_only_relatively():
    joints = random_hands(50, seed=6).pose().joints
    pixels = CAMERA.project(joints)
    fit = fit_hand(joints - joints[:, :1], image_points_px=pixels, camera=CAMERA, relative=True, noise_px=0.1)
    errors = distances_mm(fit, joints)
    assert fit.converged.float().mean() > 0.95
    assert errors[fit.converged].mean() < 1.5
    assert fit.residual_px[fit.converged].mean() < 0.1


def test_image_points_of_a_left_hand_through_a_distorting_lens():
    camera = CameraModel(640, 480, 600.0, 610.0, 330.0, 230.0, "plumb_bob", (-0.2, 0.05, 1e-3, -1e-3, 0.0))
    joints = random_hands(20, seed=7).pose("left").joints
    fit = fit_hand(joints, side="left", image_points_px=camera.project(joints), camera=camera)
    assert distances_mm(fit, joints).mean() < 0.1
    assert fit.residual_px.mean() < 0.5


def test_image_points_pull_noisy_joints_onto_their_rays():
    truth = random_hands(50, seed=8).pose().joints
    generator = torch.Generator().manual_seed(1)
    noisy = truth + 0.005 * torch.randn(truth.shape, generator=generator, dtype=truth.dtype)
    alone = fit_hand(noisy, noise_m=0.005)
    helped = fit_hand(
        noisy, noise_m=0.005, image_points_px=CAMERA.project(truth), camera=CAMERA, noise_px=1.0
    )
    assert distances_mm(helped, truth).mean() < 0.75 * distances_mm(alone, truth).mean()


def test_too_few_joints_give_nan_and_not_converged():
    joints = random_hands(2, seed=9).pose().joints
    joints[0, MIN_JOINTS - 1 :] = torch.nan
    fit = fit_hand(joints)
    assert fit.converged.tolist() == [False, True]
    assert fit.angles[0].isnan().all()
    assert fit.frames.joints[0].isnan().all()
    assert fit.angles[1].isfinite().all()


def test_absurd_joints_do_not_raise():
    for joints in (torch.zeros(1, 21, 3), torch.full((1, 21, 3), 1e6), torch.full((1, 21, 3), torch.inf)):
        fit = fit_hand(joints)
        assert angle_bounds().contains(fit.angles).all() or fit.angles.isnan().all()


def test_an_empty_batch_gives_an_empty_fit():
    fit = fit_hand(torch.zeros(0, 21, 3))
    assert fit.angles.shape == (0, hand.NUM_ANGLES)
    assert fit.frames.rotations.shape == (0, 21, 3, 3)
    assert fit.converged.shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"joints_m": torch.zeros(20, 3)}, "joints_m must have shape"),
        ({"joints_m": torch.zeros(21, 3, dtype=torch.int64)}, "floating point"),
        ({"side": "up"}, "side must be one of"),
        ({"weights": torch.ones(20)}, "weights of joints_m must have shape"),
        ({"weights": -torch.ones(21)}, "finite and not negative"),
        ({"noise_m": 0.0}, "noise of joints_m must be positive"),
        ({"anchor_length_m": -0.09}, "anchor_length_m must be positive"),
        ({"relative": True}, "relative joints need image_points_px"),
        ({"image_points_px": torch.zeros(21, 2)}, "give both or neither"),
        ({"image_points_px": torch.zeros(20, 2), "camera": CAMERA}, "image_points_px must have shape"),
        ({"image_points_px": torch.zeros(2, 21, 2), "camera": CAMERA}, "same leading shape"),
    ],
)
def test_bad_input_is_refused_with_a_reason(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit_hand(**{"joints_m": torch.zeros(21, 3), **arguments})


def test_real_poses_are_within_the_model(shared_data):
    poses = np.load(shared_data / "pose_prior" / "dexycb_left_joints_eval_only.npz")["xyz_mm"]
    chosen = np.random.default_rng(0).choice(len(poses), 1000, replace=False)
    joints = torch.from_numpy(poses[chosen] / 1000.0)
    mirrored = joints * torch.tensor([-1.0, 1.0, 1.0], dtype=joints.dtype)
    fit = fit_hand(mirrored, noise_m=1e-3)
    assert fit.converged.float().mean() > 0.99
    assert 1e3 * fit.residual_m.mean() < 1


@pytest.mark.parametrize("side", hand.SIDES)
def test_a_warm_start_ends_where_a_cold_one_does_in_fewer_iterations(side):
    joints = random_hands(40, seed=12).pose(side).joints
    before = fit_hand(joints, side=side)
    moved = joints + torch.tensor([0.01, -0.005, 0.02], dtype=joints.dtype)
    warm = fit_hand(moved, side=side, start=before, max_iterations=6)
    cold = fit_hand(moved, side=side, max_iterations=6)
    assert distances_mm(warm, moved).mean() < 0.05
    assert distances_mm(warm, moved).mean() < distances_mm(cold, moved).mean()
    assert warm.converged.sum() >= cold.converged.sum()


def test_a_start_may_be_unknown_or_far_off():
    joints = random_hands(4, seed=13).pose().joints
    joints_before = joints.clone()
    joints_before[0] = torch.nan
    joints_before[1] = joints[2]
    before = fit_hand(joints_before)
    assert before.angles[0].isnan().all()
    fit = fit_hand(joints, start=before)
    assert distances_mm(fit, joints).max() < 1


def test_a_start_of_another_shape_is_refused():
    joints = random_hands(4, seed=13).pose().joints
    with pytest.raises(ValueError, match="start must have the leading shape"):
        fit_hand(joints, start=fit_hand(joints[:2]))
