"""Meshes of another topology or order, without a hand, or with NaN are refused."""

from __future__ import annotations

import pytest
import torch

from hand_pose_ros.mesh.skinning import pose_mesh
from hand_pose_ros.mesh.topology import check_meshes
from hand_pose_ros.synthetic.poses.sampler import PoseSampler


@pytest.fixture(scope="module")
def meshes():
    return pose_mesh(*PoseSampler().sample(20, torch.Generator().manual_seed(2)))


def test_posed_hands_of_any_unit_pass(meshes):
    check_meshes(meshes)
    check_meshes(1000 * meshes + 3)


def test_wrong_meshes_are_refused(meshes):
    order = torch.randperm(2270, generator=torch.Generator().manual_seed(0))
    mixed = meshes.clone()
    mixed[7] = mixed[7, order]
    with pytest.raises(ValueError, match="hand 7 are not in the order of template 'hand_pose_ros'"):
        check_meshes(mixed)
    with pytest.raises(ValueError, match=r"vertices must have shape \(\.\.\., 2270, 3\)"):
        check_meshes(meshes[:, :778])
    with pytest.raises(ValueError, match=r"vertices must have shape \(n, V, 3\)"):
        check_meshes(meshes[0])
    with pytest.raises(ValueError, match="the batch has no hand"):
        check_meshes(meshes[:0])
    broken = meshes.clone()
    broken[3, 5:7, 1] = torch.nan
    with pytest.raises(ValueError, match="2 vertices of hand 3 are not finite"):
        check_meshes(broken)
    with pytest.raises(ValueError, match="not in the order"):
        check_meshes(torch.zeros_like(meshes))
