"""The noise model: what it draws, what it leaves alone, and that its fit finds what was put in."""

import pytest
import torch
from helpers.keypoints import random_keypoints

from hand_pose_ros import hand
from hand_pose_ros.detection.relative_depth import relative_depth
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.synthetic.detector.finger_confusion import confuse, find_confusion, random_sources
from hand_pose_ros.synthetic.detector.noise import NO_VARIETY, DetectorNoise, DetectorVariety, MixedNoise
from hand_pose_ros.synthetic.detector.statistics import STATISTICS, anchor_in_half_extents, load_statistics
from hand_pose_ros.synthetic.poses.sampler import PoseSampler
from hand_pose_ros.synthetic.views import random_views


def rms(values: torch.Tensor) -> float:
    return float(values.nan_to_num().square().mean().sqrt())


def test_errors_are_of_a_detectors_size_and_the_wrist_is_the_origin_of_depth():
    truth = random_keypoints(2000)
    noisy = DetectorNoise(variety=NO_VARIETY)(**truth, generator=torch.Generator().manual_seed(0))
    distance = (noisy.points - truth["points"]).norm(dim=-1)
    assert 0.04 < distance.median() < 0.15
    assert 0.1 < rms(noisy.depth - truth["depth"]) < 0.6
    correlation = torch.corrcoef(torch.stack((noisy.depth.flatten(), truth["depth"].flatten())))[0, 1]
    assert 0.7 < correlation < 0.95
    assert torch.equal(noisy.depth[:, hand.WRIST], torch.zeros(2000))
    assert noisy.confidence.isnan().all()
    assert noisy.points.isfinite().all()
    assert noisy.depth.isfinite().all()


def test_the_generator_decides():
    truth, noise = random_keypoints(50), DetectorNoise()
    first, again, other = (
        noise(**truth, generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    for one, same in zip(first, again, strict=True):
        assert torch.equal(one.nan_to_num(-9.0), same.nan_to_num(-9.0))
    assert not torch.equal(first.points.nan_to_num(), other.points.nan_to_num())


def test_scale_zero_leaves_the_truth_but_for_gross_mistakes():
    truth = random_keypoints(2000)
    noisy = DetectorNoise(scale=0.0, variety=NO_VARIETY)(**truth, generator=torch.Generator().manual_seed(0))
    same = torch.isclose(noisy.points, truth["points"], atol=1e-6).all(-1).all(-1)
    assert 0.85 < same.float().mean() < 1.0


def test_hidden_and_outside_joints_are_noisier():
    truth = random_keypoints(2000)
    half = torch.arange(hand.NUM_JOINTS) % 2 == 0
    noise = DetectorNoise(variety=NO_VARIETY)
    for name in ("visible", "inside"):
        changed = truth | {name: truth[name] & half}
        noisy = noise(**changed, generator=torch.Generator().manual_seed(0))
        plain = noise(**truth, generator=torch.Generator().manual_seed(0))
        error, usual = (
            (value.points - truth["points"])[:, ~half].norm(dim=-1).median() for value in (noisy, plain)
        )
        assert error > 1.15 * usual


def test_errors_of_one_finger_go_together():
    truth = {name: value[:1].repeat_interleave(4000, 0) for name, value in random_keypoints(1).items()}
    noisy = DetectorNoise(variety=NO_VARIETY)(**truth, generator=torch.Generator().manual_seed(0))
    error = (noisy.points - truth["points"])[..., 0]
    error = error.clamp(*error.quantile(torch.tensor((0.02, 0.98))))
    pip, dip, other = (error[:, hand.JOINT_INDEX[name]] for name in ("middle_pip", "middle_dip", "thumb_ip"))
    within, between = (torch.corrcoef(torch.stack((dip, one)))[0, 1] for one in (pip, other))
    assert within > 0.3
    assert between < within - 0.2


def test_the_variety_of_detectors_has_the_stated_shares():
    truth = random_keypoints(2000)
    variety = DetectorVariety(without_depth=0.2, incomplete=0.1, with_confidence=0.3, near_perfect=0.5)
    noisy = DetectorNoise(variety=variety)(**truth, generator=torch.Generator().manual_seed(0))
    incomplete = noisy.points.isnan().any(-1).any(-1)
    assert 0.06 < incomplete.float().mean() < 0.12
    assert 0.16 < noisy.depth.isnan().all(-1).float().mean() < 0.24
    told = noisy.confidence.isfinite().any(-1)
    assert 0.26 < told.float().mean() < 0.34
    known = noisy.confidence[noisy.confidence.isfinite()]
    assert known.min() >= 0
    assert known.max() <= 1
    missing = noisy.points.isnan().any(-1)
    assert noisy.depth[missing].isnan().all()
    assert noisy.confidence[missing].isnan().all()


def test_confidence_tells_of_the_errors():
    truth = random_keypoints(2000)
    variety = DetectorVariety(with_confidence=1.0)
    noisy = DetectorNoise(variety=variety)(**truth, generator=torch.Generator().manual_seed(0))
    distance = (noisy.points - truth["points"]).norm(dim=-1)
    known = noisy.confidence.isfinite()
    sure, unsure = noisy.confidence > 0.8, noisy.confidence < 0.6
    assert distance[known & sure].median() < 0.7 * distance[known & unsure].median()


def test_definition_offsets_move_the_wrist_towards_the_fingers():
    truth = random_keypoints(2000)
    errors = [
        (
            DetectorNoise(definition_offsets=offsets, variety=NO_VARIETY)(
                **truth, generator=torch.Generator().manual_seed(0)
            ).points
            - truth["points"]
        )[:, hand.WRIST, 1].median()
        for offsets in (False, True)
    ]
    assert errors[1] < errors[0] - 0.02  # up in the view, where the palm points


def test_single_precision_is_the_default_and_double_agrees():
    truth = random_keypoints(100)
    double = {name: value.double() if value.is_floating_point() else value for name, value in truth.items()}
    noise = DetectorNoise(variety=NO_VARIETY)
    single = noise(**truth, generator=torch.Generator().manual_seed(0))
    exact = noise(**double, generator=torch.Generator().manual_seed(0))
    assert single.points.dtype == torch.float32
    assert exact.points.dtype == torch.float64
    assert torch.allclose(single.points.double(), exact.points, atol=1e-4)


def test_bad_arguments_are_refused():
    truth = random_keypoints(3)
    with pytest.raises(ValueError, match="depth must have shape"):
        DetectorNoise()(**truth | {"depth": truth["depth"][:2]}, generator=torch.Generator())
    with pytest.raises(ValueError, match="scale"):
        DetectorNoise(scale=-1.0)
    with pytest.raises(ValueError, match="without_depth"):
        DetectorVariety(without_depth=1.5)


def test_no_hands_give_no_keypoints():
    truth = {name: value[:0] for name, value in random_keypoints(1).items()}
    noisy = DetectorNoise()(**truth, generator=torch.Generator())
    assert noisy.points.shape == (0, 21, 2)
    assert noisy.depth.shape == (0, 21)


def test_the_2_5d_network_errs_less_than_mediapipe():
    truth = random_keypoints(2000)
    read = DetectorNoise(variety=NO_VARIETY, statistics=load_statistics(STATISTICS["heatmap"]))
    first, second = (
        noise(**truth, generator=torch.Generator().manual_seed(0))
        for noise in (read, DetectorNoise(variety=NO_VARIETY))
    )
    depth = [(one.depth - truth["depth"]).abs().median() for one in (first, second)]
    points = [(one.points - truth["points"]).norm(dim=-1).median() for one in (first, second)]
    assert depth[0] < 0.7 * depth[1]
    assert points[0] < 0.9 * points[1]


def test_a_mixture_gives_each_hand_the_errors_of_one_detector():
    truth = random_keypoints(400)
    exact, nothing = DetectorNoise(scale=0.0, variety=NO_VARIETY), DetectorVariety(without_depth=1.0)
    noise = MixedNoise((exact, DetectorNoise(variety=nothing)), (0.75, 0.25))
    noisy = noise(**truth, generator=torch.Generator().manual_seed(0))
    without = noisy.depth.isnan().all(1)
    assert 0.18 < without.float().mean() < 0.32
    same = torch.isclose(noisy.points, truth["points"], atol=1e-6).all(-1).all(-1)
    assert same[~without].float().mean() > 0.85
    assert not same[without].any()
    again = noise(**truth, generator=torch.Generator().manual_seed(0))
    assert torch.equal(noisy.points.nan_to_num(), again.points.nan_to_num())
    one = {name: value[:1] for name, value in truth.items()}
    assert noise(**one, generator=torch.Generator()).points.shape == (1, 21, 2)


def test_the_anchor_in_half_extents():
    generator = torch.Generator().manual_seed(0)
    angles, proportions = PoseSampler().sample(200, generator)
    joints = forward_kinematics(angles, proportions).joints
    rotation = random_views(joints, generator).rotation
    joints = joints @ rotation.transpose(-1, -2)
    estimate = anchor_in_half_extents(0.37 * joints[..., :2], joints[..., 2])
    error = (estimate / 0.37 - 1).abs()
    assert error.median() < 0.04
    assert error.quantile(0.95) < 0.15


def test_confused_fingers_are_made_and_found_again():
    truth = random_keypoints(300)["points"]
    sources = torch.arange(5).repeat(300, 1)
    sources[100:200, 1], sources[100:200, 2] = 2, 1
    sources[200:, 3] = 2
    confused = confuse(truth, sources)
    assert torch.equal(confused[:100], truth[:100])
    assert torch.equal(confused[100:200, 6:9], truth[100:200, 10:13])
    assert torch.equal(confused[100:200, 10:13], truth[100:200, 6:9])
    assert torch.equal(confused[200:, 14:17], truth[200:, 10:13])
    assert torch.equal(confused[:, 1::4], truth[:, 1::4])  # knuckles stay

    found = find_confusion(truth, confused)
    assert not found.swapped[:100].any()
    assert not found.copied[:100].any()
    apart = (truth[:, 5:9] - truth[:, 9:13])[:, 1:].norm(dim=-1).mean(-1)[100:200] > 0.3
    assert apart.any()
    assert found.swapped[100:200, 1, 2][apart].all()


def test_confusion_is_drawn_with_its_probabilities():
    swapped, copied = torch.zeros(5, 5), torch.zeros(2, 5, 5)
    swapped[1, 2], copied[0, 3, 4], copied[1, 3, 4] = 0.2, 0.02, 0.1
    unseen = torch.zeros(20000, 5, dtype=torch.bool)
    unseen[:10000, 3] = True
    sources = random_sources(swapped, copied, unseen, torch.Generator().manual_seed(0))
    is_swapped = (sources == torch.tensor((0, 2, 1, 3, 4))).all(-1)
    is_copied = (sources == torch.tensor((0, 1, 2, 4, 4))).all(-1)
    none = (sources == torch.arange(5)).all(-1)
    assert 0.18 < is_swapped.float().mean() < 0.22
    assert 0.08 < is_copied[:10000].float().mean() < 0.12
    assert 0.01 < is_copied[10000:].float().mean() < 0.03
    assert (is_swapped | is_copied | none).all()


def test_relative_depth_has_the_detectors_own_scale_and_wrist():
    generator = torch.Generator().manual_seed(0)
    joints = forward_kinematics(*PoseSampler().sample(20, generator)).joints
    depth = relative_depth(joints * 0.07 + torch.tensor((0.3, -2.0, 5.0)))
    assert torch.allclose(depth, relative_depth(joints), atol=1e-4)
    assert torch.allclose(depth, joints[..., 2], atol=0.08, rtol=0.15)
    assert torch.equal(depth[:, hand.WRIST], torch.zeros(20))


def test_relative_depth_of_missing_joints_is_missing():
    joints = torch.randn(4, 21, 3, generator=torch.Generator().manual_seed(0))
    joints[0, 7], joints[1, 0], joints[2], joints[3, 5] = torch.nan, torch.nan, 0.0, torch.nan
    depth = relative_depth(joints)
    assert depth[0].isnan().sum() == 1
    assert depth[0, 7].isnan()
    assert depth[1].isnan().all()
    assert depth[2].isnan().all()
    assert depth[3].isnan().sum() == 1
    assert depth[3, 5].isnan()
    with pytest.raises(ValueError, match="landmarks must have shape"):
        relative_depth(torch.zeros(21, 2))
