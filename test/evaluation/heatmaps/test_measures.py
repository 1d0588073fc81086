"""Figures of 2.5D networks: a perfect network has no error, whichever bone normalises its depths."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.image_networks import drawn_hands

from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.evaluation.heatmaps.measures import FIGURES, heatmap_errors, pose_figures
from hand_pose_ros.evaluation.images.estimates import jittered_views
from hand_pose_ros.hand_images.augmentation.view_jitter import change_labels

SIZE_PX, MARGIN, COUNT = 64, 1.5, 24
OTHER_BONE = hand.BONES.index((5, 6))


class _Perfect:
    """Returns the truth, hand after hand, with its points shifted by ``shift`` pixels of a 128 px crop."""

    def __init__(self, images, bone=hand.ANCHOR_BONE, shift=0.0):
        self.config = SimpleNamespace(image_size=SIZE_PX, margin=MARGIN, bone=bone)
        views = jittered_views(images, Seed.IMAGE_VIEWS)
        turned = change_labels(images, views)
        joints = images.joints.astype(np.float64) @ views.rotation.transpose(0, 2, 1)
        length = 1.0 if bone == hand.ANCHOR_BONE else images.proportions[:, bone, None]
        self.points = torch.from_numpy(np.float32(turned.points / MARGIN)) + shift / 64
        self.depth = torch.from_numpy(np.float32(joints[..., 2] / length))
        self.start = 0

    def __call__(self, crops):
        rows = slice(self.start, self.start + len(crops))
        self.start += len(crops)
        return SimpleNamespace(points=self.points[rows], depth=self.depth[rows])


def perfect(images, **options) -> Any:
    """Such a network; it has of one only what is measured."""
    return _Perfect(images, **options)


@pytest.fixture(scope="module")
def images():
    return drawn_hands(COUNT)


@pytest.mark.parametrize("bone", [hand.ANCHOR_BONE, OTHER_BONE])
def test_a_perfect_network_has_no_error(images, bone):
    errors = heatmap_errors(perfect(images, bone=bone), images)
    by_bone = errors.closed_form
    assert by_bone.mean() > 0.5
    figures = pose_figures(errors)
    assert figures.keys() == FIGURES.keys()
    assert figures["EPE px, mean"] < 1e-3
    assert figures["AUC 0-30 px"] == pytest.approx(1, abs=0.01)
    assert np.nanmax(errors.relative_mm[by_bone]) < 0.1  # least squares assume mean proportions
    assert np.nanmax(errors.aligned_mm[by_bone]) < 0.1


def test_shifted_points_have_their_shift(images):
    errors = heatmap_errors(perfect(images, shift=3.0), images)
    extent = jittered_views(images, Seed.IMAGE_VIEWS).half_extent / images.half_extent
    expected = (
        3 * np.sqrt(2) * np.asarray(extent)
    )  # the crops are larger and smaller than the labelled hand's
    np.testing.assert_allclose(errors.points_px.mean(1), expected, rtol=0.1)


def test_hands_without_a_solution_count_as_wrong(images):
    network = perfect(images)
    network.depth[:] = torch.nan
    figures = pose_figures(heatmap_errors(network, images))
    assert figures["solved %"] == 0
    assert figures["AUC 20-50 mm"] == 0
    assert np.isnan(figures["3D EPE mm, mean"])
    assert figures["EPE px, mean"] < 1e-3
