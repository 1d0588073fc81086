"""Scores of meshes, on cases whose values are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hand_pose_ros.evaluation.mesh_scores import mesh_scores
from hand_pose_ros.mesh.template import load_template

TRUTH = np.stack([load_template().vertices.double().numpy()] * 2)


def test_a_shift_counts_before_alignment_only():
    scores = mesh_scores(TRUTH + [0.0, 0.0, 0.1], TRUTH)
    assert scores["MPVPE mm"] == pytest.approx(100)
    assert scores["AUC vertices"] == 0
    assert scores["F@5"] < 0.5
    assert scores["PA-MPVPE mm"] == pytest.approx(0, abs=1e-9)
    assert scores["PA AUC vertices"] == pytest.approx(1, abs=0.006)  # rounding misses the threshold 0
    assert scores["PA F@5"] == scores["PA F@15"] == 1


def test_alignment_undoes_any_similarity_and_a_reflection_only_if_it_may():
    moved = 1.3 * TRUTH @ Rotation.random(random_state=1).as_matrix().T + 0.2
    assert mesh_scores(moved, TRUTH)["PA-MPVPE mm"] == pytest.approx(0, abs=1e-9)
    mirrored = TRUTH * [1, -1, 1]
    assert mesh_scores(mirrored, TRUTH)["PA-MPVPE mm"] > 3
    assert mesh_scores(mirrored, TRUTH, reflection=True)["PA-MPVPE mm"] == pytest.approx(0, abs=1e-9)


def test_the_area_is_that_under_the_curve_of_vertices():
    scores = mesh_scores(TRUTH + [0.010, 0.0, 0.0], TRUTH)
    assert scores["AUC vertices"] == pytest.approx(0.8, abs=0.01)


def test_a_missing_mesh_is_not_hidden():
    predicted = TRUTH.copy()
    predicted[1, 7] = np.nan
    scores = mesh_scores(predicted, TRUTH)
    assert np.isnan(scores["MPVPE mm"])
    assert np.isnan(scores["PA F@15"])
    assert scores["PA AUC vertices"] == pytest.approx(0.5, abs=0.006)


@pytest.mark.parametrize("predicted", [TRUTH[:, :778], TRUTH[:1], TRUTH[0]])
def test_meshes_of_other_shapes_are_refused(predicted):
    with pytest.raises(ValueError, match="meshes must have one shape"):
        mesh_scores(predicted, TRUTH)
    with pytest.raises(ValueError, match="n > 0"):
        mesh_scores(TRUTH[:0], TRUTH[:0])
