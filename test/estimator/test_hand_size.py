"""The size of a hand and the length that people measure."""

import numpy as np
import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.estimator.hand_size import LENGTH_PER_SIZE, LENGTH_SPREAD, POPULATION_SPREAD, HandSize
from hand_pose_ros.mesh.template import load_template
from hand_pose_ros.synthetic.poses.sampler import PoseSampler


def test_the_mean_adult_has_the_mean_size():
    """Men measure 193 mm and women 181 in the mean; the mean of both gives the mean size within 1 %."""
    mean = HandSize.of_length(0.187)
    assert mean.factor == pytest.approx(1.0, abs=0.01)
    assert mean.length_m == pytest.approx(0.187)


def test_length_and_size_are_proportional():
    for length_m in (0.12, 0.19, 0.22):
        size = HandSize.of_length(length_m)
        assert size.size_m * LENGTH_PER_SIZE == pytest.approx(length_m)
        assert size.spread == pytest.approx(LENGTH_SPREAD)
        assert size.sigma_m == pytest.approx(LENGTH_SPREAD * size.size_m)


def test_the_flesh_of_the_tip_is_the_mesh_s():
    """Bones of mean proportions plus the flesh beyond the tip joint, without the part between crease and wrist."""
    template = load_template()
    tip = hand.JOINT_INDEX["middle_tip"]
    along = template.bone_coordinates(tip)[template.bones == tip][:, 0].max()
    flesh = float(along - (template.joints[tip] - template.joints[tip - 1]).norm())
    chain = sum(mean for _, mean, _ in hand.PROPORTIONS[hand.MIDDLE_FINGER])
    crease = LENGTH_PER_SIZE - chain - flesh / hand.MEAN_ANCHOR_LENGTH_M
    assert 0.003 < crease * hand.MEAN_ANCHOR_LENGTH_M < 0.012


def test_a_length_says_more_than_nothing_and_no_more_than_proportions_allow():
    _, proportions = PoseSampler().sample(2000, torch.Generator().manual_seed(Seed.ARBITRARY))
    chain = proportions[:, hand.MIDDLE_FINGER].sum(-1)
    scatter = float(chain.std() / chain.mean())
    assert 0.025 < scatter < LENGTH_SPREAD < POPULATION_SPREAD


@pytest.mark.parametrize("values", [(0.0, 0.01), (-0.1, 0.01), (np.nan, 0.0), (0.09, -1e-3), (0.09, np.inf)])
def test_sizes_that_no_hand_has_are_refused(values):
    with pytest.raises(ValueError, match="positive and finite"):
        HandSize(*values)
