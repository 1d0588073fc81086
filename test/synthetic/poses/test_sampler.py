"""The pose sampler and what it is made of: limits, coupling, contact, clearance, and the shipped statistics."""

import numpy as np
import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.gestures import gesture_angles
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.synthetic.poses.clearance import collides, overlap, segment_distance
from hand_pose_ros.synthetic.poses.contact import TOUCHING, bone_points, settle
from hand_pose_ros.synthetic.poses.fit_prior import fit_to_sets, make_bank, read_sets
from hand_pose_ros.synthetic.poses.mixture import Mixture, choose, fit_mixture, log_density_of_parts
from hand_pose_ros.synthetic.poses.prior import SHIPPED, VARIED, PosePrior, load_prior, save_prior
from hand_pose_ros.synthetic.poses.proportions import random_proportions
from hand_pose_ros.synthetic.poses.rules import RULES, rule_poses
from hand_pose_ros.synthetic.poses.sampler import SHARES, PoseSampler
from hand_pose_ros.synthetic.poses.sources import PoseSet, photo_labels

COUNT = 3000


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def sampler():
    return PoseSampler()


@pytest.fixture(scope="module")
def hands(sampler):
    return sampler.sample(COUNT, seeded())


def column(angles, name):
    return angles[:, hand.ANGLE_INDEX[name]]


def correlation(first, second):
    return torch.corrcoef(torch.stack((first, second)))[0, 1].item()


def mean_joints(angles):
    return forward_kinematics(angles, proportion_bounds(angles.dtype).neutral.expand(len(angles), -1)).joints


# --- what comes out of the sampler -----------------------------------------------------------------------------


def test_hands_are_within_the_limits(hands):
    angles, proportions = hands
    assert angles.shape == (COUNT, hand.NUM_ANGLES)
    assert proportions.shape == (COUNT, hand.NUM_BONES)
    assert angles.dtype == proportions.dtype == torch.float32
    assert angle_bounds().contains(angles).all()
    assert proportion_bounds().contains(proportions).all()


@pytest.mark.parametrize("count", [0, 1, 2, 7])
def test_any_number_of_hands(sampler, count):
    angles, proportions = sampler.sample(count, seeded())
    assert angles.shape == (count, hand.NUM_ANGLES)
    assert proportions.shape == (count, hand.NUM_BONES)


def test_a_negative_number_is_refused(sampler):
    with pytest.raises(ValueError, match="negative"):
        sampler.sample(-1, seeded())


def test_the_generator_decides(sampler):
    first, again, other = (sampler.sample(20, seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_the_order_is_random(hands):
    """The first half must not be another kind of hand than the second."""
    flexion = column(hands[0], "middle_pip_flexion")
    assert (flexion[: COUNT // 2].mean() - flexion[COUNT // 2 :].mean()).abs() < 0.08


def test_fingers_move_together(hands):
    """Neighbours and the joints of a finger bend together, as real ones do, but not as one."""
    angles, _ = hands
    for first, second in (("index", "middle"), ("middle", "ring"), ("ring", "little")):
        assert 0.3 < correlation(*(column(angles, f"{f}_pip_flexion") for f in (first, second))) < 0.95
    far = correlation(column(angles, "index_pip_flexion"), column(angles, "little_pip_flexion"))
    near = correlation(column(angles, "ring_pip_flexion"), column(angles, "little_pip_flexion"))
    assert far < near
    for finger in hand.FINGERS[1:]:
        pair = (column(angles, f"{finger}_{joint}_flexion") for joint in ("pip", "dip"))
        assert 0.1 < correlation(*pair) < 0.9


def test_the_whole_range_of_flexion_is_used(hands):
    angles, _ = hands
    for finger in hand.FINGERS[1:]:
        low, high = torch.rad2deg(
            column(angles, f"{finger}_pip_flexion").quantile(torch.tensor((0.05, 0.95)))
        )
        assert low < 15
        assert high > 80


def test_no_angle_gathers_at_its_limits(hands):
    bounds = angle_bounds()
    at_limit = (hands[0] <= bounds.minimum) | (hands[0] >= bounds.maximum)
    assert at_limit[:, VARIED].float().mean(0).max() < 0.03


def test_few_hands_pass_through_themselves(sampler, hands):
    assert collides(forward_kinematics(*hands).joints).float().mean() < 0.05
    assert sum(SHARES.values()) == pytest.approx(1)


def test_thumb_meets_every_fingertip(sampler):
    joints = forward_kinematics(*sampler.by_rule(COUNT, seeded())).joints
    for tip in hand.FINGERTIPS[1:]:
        met = (joints[:, 4] - joints[:, tip]).norm(dim=-1) < 0.2  # 18 mm between the tips' middles
        assert met.float().mean() > 0.01


# --- proportions ------------------------------------------------------------------------------------------------


def test_proportions_are_centred_and_correlated():
    drawn = random_proportions(20000, seeded())
    mean = proportion_bounds().neutral
    torch.testing.assert_close(drawn.median(0).values, mean, rtol=0.01, atol=0)
    log = drawn.log()
    middle, ring, thumb = (hand.BONE_NAMES.index(name) for name in ("middle_pip", "ring_pip", "thumb_ip"))
    assert correlation(log[:, middle], log[:, ring]) > 0.7
    assert 0.2 < correlation(log[:, middle], log[:, thumb]) < 0.7
    assert (drawn[:, hand.ANCHOR_BONE] == 1).all()


# --- clearance --------------------------------------------------------------------------------------------------


def test_clearance_of_known_hands():
    names = ("relaxed", "open", "fist", "point", "ok")
    assert not collides(mean_joints(torch.stack([gesture_angles(name) for name in names]))).any()


def test_a_finger_through_another_and_through_the_palm_collides():
    crossed = gesture_angles("open")
    crossed[hand.ANGLE_INDEX["index_mcp_abduction"]] = -0.45
    crossed[hand.ANGLE_INDEX["index_mcp_flexion"]] = -0.1
    crossed[hand.ANGLE_INDEX["middle_mcp_abduction"]] = 0.2
    through_palm = gesture_angles("open")
    for name in ("mcp", "pip"):
        through_palm[hand.ANGLE_INDEX[f"middle_{name}_flexion"]] = 2.1
    joints = mean_joints(torch.stack((crossed, through_palm)))
    assert collides(joints).tolist() == [True, True]
    assert (overlap(joints).amax(-1) > 0.01).all()


def test_segment_distance_is_that_of_many_points():
    ends = torch.randn(4, 3, 40, generator=seeded(), dtype=torch.float64)
    share = torch.linspace(0, 1, 201, dtype=torch.float64)[:, None, None]
    first, second = (a + share * (b - a) for a, b in ((ends[0], ends[1]), (ends[2], ends[3])))
    sampled = (first[:, None] - second[None]).norm(dim=2).amin((0, 1))
    torch.testing.assert_close(segment_distance(*ends), sampled, atol=0.02, rtol=0)


# --- rules and contact -------------------------------------------------------------------------------------------


def test_rules_make_the_poses_they_should():
    poses = rule_poses(1000, seeded())
    assert len(poses.degrees) == pytest.approx(1000, abs=len(RULES))
    assert poses.degrees.shape[1] == hand.NUM_ARTICULATION
    assert poses.degrees.isfinite().all()
    assert sum(RULES.values()) == pytest.approx(1)
    assert poses.contacts.max() < 2 * hand.NUM_BONES
    assert (poses.contacts >= 0).all(-1).any(-1).float().mean() > 0.3


def test_settling_brings_contacts_together_and_keeps_the_build():
    offsets = angle_bounds().neutral.expand(2, -1)
    angles, proportions, contacts = [], [], []
    poses = rule_poses(150, seeded(5))
    touching = (poses.contacts[:, 0] >= 0).all(-1)
    degrees, contacts = poses.degrees[touching], poses.contacts[touching]
    angles = torch.cat(
        (torch.deg2rad(degrees), offsets[:1, hand.NUM_ARTICULATION :].expand(len(degrees), -1)), -1
    )
    proportions = random_proportions(len(angles), seeded())
    settled = settle(angles, proportions, contacts, rounds=120)
    points = bone_points(forward_kinematics(settled, proportions).joints)
    row = torch.arange(len(points))
    distance = (points[row, contacts[:, 0, 0]] - points[row, contacts[:, 0, 1]]).norm(dim=-1)
    assert (distance - TOUCHING).abs().median() < 0.01
    assert (distance < TOUCHING + 0.05).float().mean() > 0.9
    assert angle_bounds().contains(settled).all()
    torch.testing.assert_close(settled[:, hand.NUM_ARTICULATION :], angles[:, hand.NUM_ARTICULATION :])


def test_the_bank_is_clear_and_within_the_limits():
    angles, lengths = angle_bounds(torch.float64), proportion_bounds(torch.float64)
    offsets = PoseSet(angles.neutral.expand(5, -1), lengths.neutral.expand(5, -1), torch.ones(5).double())
    angles, proportions = make_bank(60, offsets, seeded(), rounds=20)
    assert len(angles) == len(proportions) > 30
    assert not collides(forward_kinematics(angles, proportions).joints).any()
    assert angle_bounds().contains(angles).all()


# --- the mixture -------------------------------------------------------------------------------------------------


def known_mixture():
    factor = torch.tensor([[[1.0, 0.0], [0.8, 0.3]], [[0.5, 0.0], [0.0, 0.5]]], dtype=torch.float64)
    return Mixture(
        torch.tensor([0.3, 0.7]).double(), torch.tensor([[0.0, 0.0], [6.0, -2.0]]).double(), factor
    )


def test_draws_have_the_moments_of_the_mixture():
    mixture = known_mixture()
    drawn = mixture.sample(40000, seeded())
    torch.testing.assert_close(drawn.mean(0), mixture.share @ mixture.mean, atol=0.05, rtol=0)
    of_first = drawn[drawn[:, 0] < 3.5]
    torch.testing.assert_close(of_first.T.cov(), mixture.factor[0] @ mixture.factor[0].T, atol=0.05, rtol=0)


def test_log_density_is_that_of_torch():
    mixture = known_mixture()
    values = torch.randn(7, 2, dtype=torch.float64, generator=seeded())
    theirs = torch.distributions.MultivariateNormal(mixture.mean, scale_tril=mixture.factor)
    expected = theirs.log_prob(values[:, None]) + mixture.share.log()
    torch.testing.assert_close(log_density_of_parts(mixture, values), expected)


def test_fitting_finds_the_mixture_again():
    mixture = known_mixture()
    values = mixture.sample(6000, seeded())
    fitted = fit_mixture(values, torch.ones(6000), 2, 1e-3, seeded(1))
    order = fitted.mean[:, 0].argsort()
    torch.testing.assert_close(fitted.share[order], mixture.share, atol=0.03, rtol=0)
    torch.testing.assert_close(fitted.mean[order], mixture.mean, atol=0.1, rtol=0)
    covariance = fitted.factor @ fitted.factor.transpose(1, 2)
    expected = mixture.factor @ mixture.factor.transpose(1, 2)
    torch.testing.assert_close(covariance[order], expected, atol=0.1, rtol=0)


def test_weights_count_as_repetitions():
    values = torch.randn(50, 3, dtype=torch.float64, generator=seeded())
    weights = torch.randint(0, 3, (50,), generator=seeded())
    weighted = fit_mixture(values, weights, 1, 0.1, seeded())
    repeated = fit_mixture(
        values.repeat_interleave(weights, 0), torch.ones(int(weights.sum())), 1, 0.1, seeded()
    )
    torch.testing.assert_close(weighted.mean, repeated.mean)
    torch.testing.assert_close(weighted.factor, repeated.factor)


def test_too_few_vectors_are_refused():
    with pytest.raises(ValueError, match="at least as many"):
        fit_mixture(torch.zeros(3, 2), torch.tensor([1.0, 0.0, 1.0]), 3, 0.1, seeded())


def test_choices_have_their_shares():
    drawn = choose(torch.tensor([1.0, 0.0, 3.0]), 20000, seeded())
    assert torch.bincount(drawn, minlength=3).tolist() == pytest.approx([5000, 0, 15000], abs=300)
    assert len(choose(torch.ones(2), 0, seeded())) == 0


# --- the shipped statistics --------------------------------------------------------------------------------------


def test_shipped_statistics():
    assert SHIPPED.stat().st_size < 300_000
    prior = load_prior()
    assert len(prior.bank_angles) == len(prior.bank_proportions) > 1000
    assert angle_bounds().contains(prior.bank_angles).all()
    assert prior.mixture.share.sum().item() == pytest.approx(1)


def test_statistics_survive_their_file(tmp_path):
    prior = load_prior()
    few = PosePrior(prior.mixture, prior.bank_angles[:9], prior.bank_proportions[:9])
    save_prior(few, tmp_path / "prior.npz")
    again = load_prior(tmp_path / "prior.npz")
    for ours, theirs in zip((*few.mixture, *few[1:]), (*again.mixture, *again[1:]), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("damage", ["text", "missing", "shape"])
def test_a_damaged_file_is_refused(tmp_path, damage):
    path = tmp_path / "prior.npz"
    if damage == "text":
        path.write_text("no statistics")
    else:
        with np.load(SHIPPED) as file:
            arrays = dict(file)
        if damage == "missing":
            del arrays["factor"]
        else:
            arrays["mean"] = arrays["mean"][:, :-1]
        np.savez(path, **arrays)
    with pytest.raises(ValueError, match=r"prior\.npz"):
        load_prior(path)


# --- the free sets -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_free_sets_are_read_and_fitted(shared_data):
    sets = read_sets(shared_data)
    assert {name: len(one.angles) > 20 for name, one in sets.items()} == dict.fromkeys(sets, True)
    for one in sets.values():
        assert angle_bounds(one.angles.dtype).contains(one.angles, 1e-6).all()
        assert (one.weights >= 0).all()
    mixture = fit_to_sets(sets, 2, seeded())
    assert mixture.mean.shape == (2, len(VARIED))


def test_photos_kept_for_measurement_are_not_fitted(tmp_path):
    """One right hand, its mirror image labelled left, and one of a source that is measured with."""
    joints = mean_joints(gesture_angles("grasp", torch.float64)[None])[0].numpy() * 0.09
    mirrored = joints * (-1, 1, 1)
    np.savez(
        tmp_path / "labels.npz",
        repo=np.array(["one/one", "one/one", "TemugeB/handpose3d"]),
        handedness=np.array(["Right", "Left", "Right"]),
        weight=np.ones(3, np.float32),
        world=np.stack((joints, mirrored, joints)).astype(np.float32),
    )
    photos = photo_labels(tmp_path / "labels.npz")
    assert len(photos.angles) == 2
    torch.testing.assert_close(photos.angles[0], photos.angles[1], atol=1e-3, rtol=0)
    expected = gesture_angles("grasp", torch.float64)[: hand.NUM_ARTICULATION]
    moved = hand.ANGLE_INDEX["middle_pip_flexion"]
    assert photos.angles[0, moved].item() == pytest.approx(expected[moved].item(), abs=0.1)
