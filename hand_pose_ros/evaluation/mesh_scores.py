"""Scores meshes of one topology: MPVPE, PA-MPVPE, F-scores and areas under the curve of correct vertices."""

from __future__ import annotations

from typing import Final

import numpy as np

from hand_pose_ros.evaluation import metrics

F_THRESHOLDS_M: Final = (0.005, 0.015)
AUC_HIGHEST_M: Final = 0.050


def mesh_scores(predicted: np.ndarray, truth: np.ndarray, reflection: bool = False) -> dict[str, float]:
    """Return means over hands of meshes in the same frame, such as both relative to the wrist.

    *PA*: after the similarity transform that fits each mesh best. *F@5*, *F@15*: F-scores at 5 and 15 mm. *AUC*:
    of vertices within 0 to 50 mm. A hand with a value that is not finite gives NaN; in areas it counts as wrong.

    Args:
        predicted, truth: (n, V, 3) metres. reflection: the transform may mirror, as in the scripts of FreiHAND and
            HO-3D.

    Raises:
        ValueError: no hand, or shapes that differ: the vertices of different meshes do not correspond.
    """
    if predicted.shape != truth.shape or truth.ndim != 3 or truth.shape[-1] != 3 or not len(truth):
        raise ValueError(
            f"meshes must have one shape (n, V, 3) with n > 0, got {predicted.shape} and {truth.shape}"
        )
    aligned = np.full_like(predicted, np.nan, dtype=np.float64)
    for row in np.flatnonzero(np.isfinite(predicted).all((1, 2))):
        aligned[row] = metrics.best_similarity(predicted[row], truth[row], reflection).apply(predicted[row])
    scores = {}
    for prefix, name, meshes in (("", "MPVPE mm", predicted), ("PA ", "PA-MPVPE mm", aligned)):
        errors = metrics.joint_errors(meshes, truth)
        scores[name] = 1e3 * float(errors.mean())
        for threshold in F_THRESHOLDS_M:
            each = [
                metrics.f_score(one, true, threshold) if np.isfinite(one).all() else float("nan")
                for one, true in zip(meshes, truth, strict=True)
            ]
            scores[f"{prefix}F@{1e3 * threshold:g}"] = float(np.mean(each))
        wrong = np.where(np.isnan(errors), np.inf, errors)
        scores[f"{prefix}AUC vertices"] = metrics.pck_auc(wrong.ravel(), 0.0, AUC_HIGHEST_M)
    return scores
