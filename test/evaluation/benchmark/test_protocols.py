"""Every protocol gives known estimators their known figures, and agrees with the published scripts' rules."""

import numpy as np
import pytest
from helpers.hands import random_hands
from scipy.linalg import orthogonal_procrustes

from hand_pose_ros import hand
from hand_pose_ros.datasets.joint_orders import palm_centre_from_wrist
from hand_pose_ros.datasets.protocols import PROTOCOLS
from hand_pose_ros.datasets.registry import SETS
from hand_pose_ros.evaluation.benchmark.scoring import Estimates, Labels, score, view_errors

COUNT = 12
SHIFT = np.array((0.006, -0.008, 0.0))
SHIFT_MM = 10.0
SCALE = 1.1
FOCAL, MIDDLE = 600.0, 320.0
EVERY = [(name, protocol) for name, protocols in PROTOCOLS.items() for protocol in protocols]


def project(joints):
    return FOCAL * joints[..., :2] / joints[..., 2:] + MIDDLE


def labels_of(name, joints, tips_of=None):
    """Labels as the set gives them: palm centre of STB, tips of D+O and EgoDexter, pairs of InterHand2.6M."""
    count, joints = len(joints), joints.copy()
    points, palm = project(joints), name == "stb"
    if palm:
        joints = palm_centre_from_wrist(joints)
    if name in ("dexter_object", "ego_dexter"):
        hidden = [joint for joint in range(21) if joint not in hand.FINGERTIPS]
        joints[:, hidden], points[:, hidden] = np.nan, np.nan
    meshes = tuple(one[1:] for one in joints) if name in ("freihand", "ho3d") else (None,) * count
    rows = np.arange(count)
    return Labels(
        joints,
        points,
        np.ones((count, 21), bool),
        np.full(count, 50.0),
        meshes,
        palm,
        np.where(rows % 2 == 0, "left", "right"),
        np.where(rows < count // 2, "single", "interacting"),
        (rows // 2).astype(str),
    )


def estimates_of(joints, mesh=False):
    meshes = tuple(one[1:] for one in joints) if mesh else (None,) * len(joints)
    return Estimates(joints, project(joints), meshes)


@pytest.fixture(scope="module")
def joints():
    hands = random_hands(COUNT, 5)
    return hands.pose().joints.numpy() + (0, 0, 0.4)


def scored(name, protocol, labels, joints):
    return score(
        PROTOCOLS[name][protocol], estimates_of(joints, name in ("freihand", "ho3d")), labels
    ).figures


def with_longer_tips(joints, factor):
    joints = joints.copy()
    for tip in hand.FINGERTIPS:
        joints[:, tip] = joints[:, tip - 1] + factor * (joints[:, tip] - joints[:, tip - 1])
    return joints


def test_every_set_has_a_protocol():
    assert set(PROTOCOLS) == set(SETS)
    for protocols in PROTOCOLS.values():
        assert next(iter(protocols)) == "paper"


@pytest.mark.parametrize(("name", "protocol"), EVERY)
def test_a_perfect_estimator_has_no_error(name, protocol, joints):
    truth = labels_of(name, joints)
    estimate = joints
    if (name, protocol) == (
        "dexter_object",
        "paper",
    ):  # its last bones are shortened to 0.9 before the comparison
        estimate = with_longer_tips(joints, 1 / 0.9)
    figures = scored(name, protocol, truth, estimate)
    for figure, value in figures.items():
        expected, slack = (1.0, 1e-9) if "AUC" in figure or "F@" in figure else (0.0, 1e-9)
        if (name, protocol) == ("dexter_object", "paper") and "2D" in figure:
            slack = 0.1  # perspective does not shorten a bone in the image as it does in space
        elif figure.startswith("PA AUC") or (name, protocol) == ("dexter_object", "paper"):
            slack = 0.5 / 99  # at the threshold of zero, rounding errors count
        assert value == pytest.approx(expected, abs=slack), figure


ABSOLUTE = {
    "freihand": ("absolute MPJPE mm", "absolute MPVPE mm"),
    "ho3d": ("absolute MPJPE mm", "absolute MPVPE mm"),
    "dexycb": ("absolute MPJPE mm",),
    "dexter_object": ("EPE mean mm", "EPE median mm"),
    "ego_dexter": ("EPE mean mm", "EPE median mm"),
    "coco": ("absolute MPJPE mm",),
    "samples": ("absolute MPJPE mm",),
}
"""Figures that a shift of the whole estimate must show; every other length in millimetres must not."""


@pytest.mark.parametrize(("name", "protocol"), [one for one in EVERY if one[0] != "hand_labels"])
def test_a_shifted_estimator_has_its_shift_where_the_protocol_is_absolute(name, protocol, joints):
    truth = labels_of(name, joints)
    shifted = joints + SHIFT
    if (name, protocol) == ("dexter_object", "paper"):
        shifted = with_longer_tips(joints, 1 / 0.9) + SHIFT
    for figure, value in scored(name, protocol, truth, shifted).items():
        if figure.endswith("mm") and "AUC" not in figure and "F@" not in figure:
            expected = SHIFT_MM if figure in ABSOLUTE.get(name, ()) else 0.0
            assert value == pytest.approx(expected, abs=1e-6), figure


def test_a_shift_of_one_hand_is_the_mrrpe(joints):
    truth = labels_of("interhand26m", joints)
    moved = joints + np.where((truth.sides == "left")[:, None, None], SHIFT, 0.0)
    figures = scored("interhand26m", "paper", truth, moved)
    assert figures["MRRPE mm"] == pytest.approx(SHIFT_MM)
    assert figures["MPJPE all mm"] == pytest.approx(0, abs=1e-9)


def test_a_shift_in_the_image_is_counted_in_head_sizes(joints):
    truth = labels_of("hand_labels", joints)
    estimates = Estimates(joints, truth.points_px + (3.0, 4.0), (None,) * COUNT)
    figures = score(PROTOCOLS["hand_labels"]["paper"], estimates, truth).figures
    assert figures["EPE mean heads"] == pytest.approx(5 / 50)
    assert figures["AUC 0-0.5 heads"] == pytest.approx(1 - 0.1 / 0.5, abs=0.01)


def distances(joints, root):
    return 1e3 * np.linalg.norm(joints - root, axis=-1)


@pytest.mark.parametrize(("name", "protocol"), EVERY)
def test_a_scaled_estimator_has_what_the_protocol_says(name, protocol, joints):
    """Scaled by 1.1 about the wrist: zero where the protocol gives scale, else a tenth of each distance."""
    truth = labels_of(name, joints)
    wrist = joints[:, :1]
    scaled = wrist + SCALE * (joints - wrist)
    figures = scored(name, protocol, truth, scaled)
    from_wrist = distances(joints, wrist).mean() * (SCALE - 1)
    if name in ("rhd", "stb"):
        knuckle = "middle_mcp" if name == "rhd" else "ring_mcp"
        palm = palm_centre_from_wrist(joints, knuckle)
        expected = 0.0 if protocol == "paper" else distances(palm, palm[:, :1]).mean() * (SCALE - 1)
        assert figures["EPE mean mm"] == pytest.approx(expected, abs=1e-6)
    elif name == "interhand26m":
        assert figures["MPJPE all mm"] == pytest.approx(from_wrist)
        single = distances(joints, wrist)[: COUNT // 2].mean() * (SCALE - 1)
        assert figures["MPJPE single mm"] == pytest.approx(single)
        assert figures["MRRPE mm"] == pytest.approx(0, abs=1e-9)
    elif name in ("freihand", "ho3d", "dexycb", "samples", "coco"):
        assert figures["absolute MPJPE mm"] == pytest.approx(from_wrist)
        assert figures["PA-MPJPE mm"] == pytest.approx(0, abs=1e-6)
        if name == "ho3d":
            assert figures["MPJPE mm"] == pytest.approx(0, abs=1e-6)
        else:
            assert figures["MPJPE mm"] == pytest.approx(from_wrist)
    elif name == "ego_dexter":
        tips = distances(joints, wrist)[:, hand.FINGERTIPS].mean() * (SCALE - 1)
        assert figures["EPE mean mm"] == pytest.approx(tips)


def test_joints_that_the_set_calls_hidden_do_not_count(joints):
    truth = labels_of("rhd", joints)
    truth.visible[:, 8] = False
    moved = joints.copy()
    moved[:, 8, 0] += 0.1
    assert scored("rhd", "paper", truth, moved)["EPE mean mm"] == pytest.approx(0, abs=1e-9)
    truth.visible[:, 8] = True
    assert scored("rhd", "paper", truth, moved)["EPE mean mm"] == pytest.approx(100 / 21)


def test_missing_estimates_enter_no_mean_but_every_curve(joints):
    truth = labels_of("samples", joints)
    failed = joints.copy()
    failed[:3] = np.nan
    result = score(PROTOCOLS["samples"]["paper"], estimates_of(failed), truth)
    assert result.figures["MPJPE mm"] == pytest.approx(0, abs=1e-9)
    assert result.figures["AUC 0-50 mm"] == pytest.approx(1 - 3 / COUNT)
    assert np.isinf(result.worst[:3]).all()
    assert estimates_of(failed).found.sum() == COUNT - 3


class PublishedRules:
    """The published scripts' rules, written again in the slowest and most obvious way.

    Distances are kept for each keypoint; every measure is a mean over keypoints (EvalUtil of Zimmermann).
    """

    def __init__(self):
        self.distances = {}

    def feed(self, truth, seen, predicted):
        for keypoint in range(len(truth)):
            if seen[keypoint]:
                gap = sum(
                    (float(a) - float(b)) ** 2
                    for a, b in zip(truth[keypoint], predicted[keypoint], strict=True)
                )
                self.distances.setdefault(keypoint, []).append(gap**0.5)

    def measures(self, lowest, highest, steps):
        thresholds = [lowest + (highest - lowest) * step / (steps - 1) for step in range(steps)]
        means, medians, curves = [], [], []
        for gaps in self.distances.values():
            means.append(sum(gaps) / len(gaps))
            medians.append(float(np.median(gaps)))
            curves.append([sum(gap <= threshold for gap in gaps) / len(gaps) for threshold in thresholds])
        curve = np.mean(curves, axis=0)
        return float(np.mean(means)), float(np.mean(medians)), curve, np.array(thresholds)


def area(curve, thresholds):
    return float(
        np.trapezoid(curve, thresholds) if hasattr(np, "trapezoid") else np.trapz(curve, thresholds)
    ) / (thresholds[-1] - thresholds[0])


@pytest.fixture
def noisy(joints):
    generator = np.random.default_rng(3)
    return generator, joints + 0.02 * generator.normal(size=joints.shape)


def test_rhd_agrees_with_the_rules_of_zimmermann_and_spurr(joints, noisy):
    """Their networks give root-relative joints of unit bone length, which the label's length multiplies."""
    generator, predicted = noisy
    truth = labels_of("rhd", joints)
    truth.visible[:] = generator.random((COUNT, 21)) < 0.7
    rules = PublishedRules()
    for row in range(COUNT):
        points, estimate = joints[row].copy(), predicted[row].copy()
        for one in (points, estimate):
            one[0] = 0.5 * (one[0] + one[9])
        seen = truth.visible[row].copy()
        seen[0] = seen[0] or seen[9]
        network = (estimate - estimate[0]) / np.linalg.norm(estimate[9] - estimate[10])
        length = np.linalg.norm(points[9] - points[10])
        rules.feed(points - points[0], seen, network * length)
    mean, median, curve, thresholds = rules.measures(0.0, 0.050, 20)
    figures = scored("rhd", "paper", truth, predicted)
    assert figures["EPE mean mm"] == pytest.approx(1e3 * mean, abs=1e-6)
    assert figures["EPE median mm"] == pytest.approx(1e3 * median, abs=1e-6)
    assert figures["AUC 0-50 mm"] == pytest.approx(area(curve, thresholds), abs=1e-6)
    assert figures["AUC 20-50 mm"] == pytest.approx(area(curve[8:], thresholds[8:]), abs=1e-6)


def test_stb_agrees_with_the_rules_of_zimmermann_and_spurr(joints, noisy):
    """The set's root is the palm's centre, which an estimate has half way to the ring finger's knuckle."""
    _, predicted = noisy
    truth = labels_of("stb", joints)
    rules = PublishedRules()
    for points, estimate in zip(truth.joints_m, predicted.copy(), strict=True):
        estimate[0] = 0.5 * (estimate[0] + estimate[13])
        network = (estimate - estimate[0]) / np.linalg.norm(estimate[9] - estimate[10])
        length = np.linalg.norm(points[9] - points[10])
        rules.feed(points - points[0], np.ones(21, bool), network * length)
    mean, median, curve, thresholds = rules.measures(0.0, 0.050, 20)
    figures = scored("stb", "paper", truth, predicted)
    assert figures["EPE mean mm"] == pytest.approx(1e3 * mean, abs=1e-6)
    assert figures["EPE median mm"] == pytest.approx(1e3 * median, abs=1e-6)
    assert figures["AUC 0-50 mm"] == pytest.approx(area(curve, thresholds), abs=1e-6)
    assert figures["AUC 20-50 mm"] == pytest.approx(area(curve[8:], thresholds[8:]), abs=1e-6)


def test_interhand_agrees_with_the_official_rules(joints, noisy):
    generator, predicted = noisy
    truth = labels_of("interhand26m", joints)
    valid = generator.random((COUNT, 21)) < 0.8
    truth.joints_m[~valid] = np.nan
    errors = {"single": {}, "interacting": {}, "all": {}}
    for row in range(COUNT):
        if not valid[row, 0]:
            continue  # without a root no joint of the hand is valid
        for joint in np.flatnonzero(valid[row]):
            gap = (predicted[row, joint] - predicted[row, 0]) - (joints[row, joint] - joints[row, 0])
            for group in (truth.groups[row], "all"):
                errors[group].setdefault((truth.sides[row], joint), []).append(np.linalg.norm(gap))
    figures = scored("interhand26m", "paper", truth, predicted)
    for group, of_joints in errors.items():
        expected = 1e3 * np.mean([np.mean(one) for one in of_joints.values()])
        assert figures[f"MPJPE {group} mm"] == pytest.approx(expected, abs=1e-6)


def aligned_as_freihand(truth, predicted):
    """Center both, scale both to norm one, rotate by scipy's orthogonal Procrustes, which may mirror."""
    middles = truth.mean(0), predicted.mean(0)
    centred = truth - middles[0], predicted - middles[1]
    norms = [np.linalg.norm(one) for one in centred]
    rotation, scale = orthogonal_procrustes(centred[0] / norms[0], centred[1] / norms[1])
    return (centred[1] / norms[1]) @ rotation.T * scale * norms[0] + middles[0]


@pytest.mark.parametrize("kind", ["noise", "nothing in common"])
def test_freihand_ho3d_and_dexycb_agree_with_the_official_rules(joints, noisy, kind):
    generator, predicted = noisy
    if kind == "nothing in common":  # half of such pairs are closest after mirroring
        predicted = generator.normal(size=joints.shape)
    rules = {name: PublishedRules() for name in ("absolute", "PA", "root", "scale and root", "PA mesh")}
    seen = np.ones(21, bool)
    for points, estimate in zip(joints, predicted, strict=True):
        rules["absolute"].feed(points, seen, estimate)
        rules["PA"].feed(points, seen, aligned_as_freihand(points, estimate))
        rules["root"].feed(points - points[0], seen, estimate - estimate[0])
        # HO-3D's joint 4, of MANO's order, is the middle finger's MCP.
        scaled = estimate / np.linalg.norm(estimate[9] - estimate[0]) * np.linalg.norm(points[9] - points[0])
        rules["scale and root"].feed(points, seen, scaled - scaled[0] + points[0])
        rules["PA mesh"].feed(points[1:], seen[1:], aligned_as_freihand(points[1:], estimate[1:]))
    expected = {name: one.measures(0.0, 0.05, 100) for name, one in rules.items()}

    def check(name, mean, auc, rule):
        figures = scored(name, "paper", labels_of(name, joints), predicted)
        average, _, curve, thresholds = expected[rule]
        assert figures[mean] == pytest.approx(1e3 * average, abs=1e-6)
        if auc:
            assert figures[auc] == pytest.approx(area(curve, thresholds), abs=1e-6)

    for name in ("freihand", "ho3d", "dexycb"):
        check(name, "absolute MPJPE mm", "absolute AUC 0-50 mm", "absolute")
        check(name, "PA-MPJPE mm", "PA AUC 0-50 mm", "PA")
    for name in ("freihand", "dexycb"):
        check(name, "MPJPE mm", "AUC 0-50 mm", "root")
    check("ho3d", "MPJPE mm", "AUC 0-50 mm", "scale and root")
    check("freihand", "PA-MPVPE mm", "PA AUC vertices 0-50 mm", "PA mesh")


def test_f_scores_agree_with_the_official_rule(joints, noisy):
    _, predicted = noisy
    predicted = joints + 0.3 * (predicted - joints)
    truth = labels_of("freihand", joints)
    for threshold in (0.005, 0.015):
        expected, aligned = [], []
        for points, estimate in zip(joints[:, 1:], predicted[:, 1:], strict=True):
            for kind, vertices in ((expected, estimate), (aligned, aligned_as_freihand(points, estimate))):
                gaps = np.linalg.norm(points[:, None] - vertices[None], axis=-1)
                precision, recall = ((gaps.min(axis) < threshold).mean() for axis in (1, 0))
                total = precision + recall
                kind.append(2 * precision * recall / total if total else 0.0)
        figures = scored("freihand", "paper", truth, predicted)
        assert figures[f"F@{1e3 * threshold:g} mm"] == pytest.approx(np.mean(expected), abs=1e-6)
        assert figures[f"PA F@{1e3 * threshold:g} mm"] == pytest.approx(np.mean(aligned), abs=1e-6)


def test_thresholds_agree_with_the_figures_that_the_papers_print():
    """An AUC from 0 to T is 1 - mean / T, and more by what lies beyond T: so T follows from Table 1."""
    for auc, mean, highest in ((0.69, 31.86, 100), (0.76, 7.97, 30)):
        assert 0 <= auc - (1 - mean / highest) < 0.05
    (first, second) = PROTOCOLS["dexter_object"]["paper"].views
    assert (1e3 * first.aucs[0].highest, second.aucs[0].highest) == (100, 30)


def test_errors_are_nan_unlabelled_and_infinite_unestimated(joints):
    truth = labels_of("samples", joints)
    truth.joints_m[0, 5] = np.nan
    failed = joints.copy()
    failed[1] = np.nan
    view = PROTOCOLS["samples"]["paper"].views[0]
    errors = view_errors(view, estimates_of(failed), truth)
    assert np.isnan(errors[0, 5])
    assert np.isinf(errors[1]).all()
    assert np.isfinite(errors[2:]).all()
