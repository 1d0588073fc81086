"""Skinning weights by heat diffusion over the surface, and the regressor that reads joints off the vertices."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.mesh.shape import FINGER_RADII_MM, STUMP_LENGTH_MM
from hand_pose_ros.mesh.surface import neighbour_mean

MAX_BONES_PER_VERTEX = 4
_STIFFNESS = 3.0  # a transition between two bones is as long as the flesh is thick / sqrt(this)
_REGRESSOR_SUPPORT = 120


def skinning_weights(vertices_mm: np.ndarray, faces: np.ndarray, frames: HandFrames) -> np.ndarray:
    """Weights (V, 21) of the wrist and the 20 bones: at most four per vertex, each row sums to 1.

    Bone heat (Baran and Popovic 2007): every vertex is held at its own bone's temperature with a conductance
    of 1 / distance^2, and heat flows along the surface. So transitions are smooth, as wide as the flesh is
    thick, and do not jump between neighbouring fingers.
    """
    distance, radius = _bone_distances(vertices_mm, frames)
    nearest = (distance - radius).argmin(axis=1)
    own = np.eye(hand.NUM_JOINTS)[nearest]
    depth = np.take_along_axis(distance, nearest[:, None], axis=1)[:, 0].clip(min=4.0)

    # On an even triangle mesh of edge e, (mean of the neighbours - value) is e^2 / 4 times the Laplacian.
    edge_squared = np.zeros(len(vertices_mm))
    counts = np.zeros(len(vertices_mm))
    for a, b in ((0, 1), (1, 2), (2, 0)):
        squared = ((vertices_mm[faces[:, a]] - vertices_mm[faces[:, b]]) ** 2).sum(axis=1)
        np.add.at(edge_squared, faces[:, a], squared)
        np.add.at(counts, faces[:, a], 1)
    edge_squared /= counts
    identity = scipy.sparse.identity(len(vertices_mm), format="csr")
    flow = scipy.sparse.diags(4 / edge_squared) @ (identity - neighbour_mean(len(vertices_mm), faces))
    held = scipy.sparse.diags(_STIFFNESS / depth**2)
    weights = scipy.sparse.linalg.spsolve(
        (flow + held).tocsc(), scipy.sparse.csc_matrix(held @ own)
    ).toarray()
    return _keep_largest(weights)


def _keep_largest(weights: np.ndarray) -> np.ndarray:
    """The four largest weights of each row, cut softly so that none jumps, renormalised."""
    threshold = -np.sort(-weights, axis=1)[:, MAX_BONES_PER_VERTEX]
    weights = (weights - np.maximum(threshold, 0.005)[:, None]).clip(min=0)
    return weights / weights.sum(axis=1, keepdims=True)


def _bone_distances(points: np.ndarray, frames: HandFrames) -> tuple[np.ndarray, np.ndarray]:
    """Distance (N, 21) of points to each bone, and how much flesh (N, 21) that bone carries there."""
    joints = frames.joints.numpy() * 1e3
    dorsal = frames.rotations.numpy()[:, :, 2]
    segments = [(np.array((-STUMP_LENGTH_MM, 0, -4.0)), np.array((6.0, 0, -4.0)), 22.0, 22.0)]
    for node in range(1, hand.NUM_JOINTS):
        finger, place = divmod(node - 1, 4)
        start, end = joints[hand.PARENTS[node]], joints[node]
        if place:
            near, far = FINGER_RADII_MM[hand.FINGERS[finger]][place - 1 : place + 1]
            shift = -1.0 * dorsal[node]
        elif finger == 0:
            near, far, shift = 18.0, 15.0, -3.0 * dorsal[node]
        else:
            near, far, shift = 14.0, 12.0, -5.0 * dorsal[node]
            start = start + 0.3 * (end - start)  # the wrist moves the carpus
        segments.append((start + shift, end + shift, near, far))
    distances, radii = [], []
    for start, end, near, far in segments:
        axis = end - start
        along = np.clip((points - start) @ axis / (axis @ axis), 0, 1)
        distances.append(np.linalg.norm(points - start - along[:, None] * axis, axis=1))
        radii.append(near + along * (far - near))
    return np.stack(distances, axis=1), np.stack(radii, axis=1)


def joint_regressor(
    rest_vertices: np.ndarray, rest_joints: np.ndarray, posed_vertices: np.ndarray, posed_joints: np.ndarray
) -> np.ndarray:
    """Rows (21, V) that sum to 1, reproduce the joints at rest and follow them as closely as possible when posed.

    Each joint is a combination of the vertices nearest to it; among those that are exact at rest, the one
    with the least squared error over the posed examples (P, V, 3), (P, 21, 3), kept even by a small ridge.
    """
    regressor = np.zeros((hand.NUM_JOINTS, len(rest_vertices)))
    for joint in range(hand.NUM_JOINTS):
        offset = rest_vertices - rest_joints[joint]
        support = np.argsort(np.linalg.norm(offset, axis=1), kind="stable")[:_REGRESSOR_SUPPORT]
        deviation = (posed_vertices[:, support] - posed_joints[:, joint, None]).transpose(0, 2, 1)
        deviation = deviation.reshape(-1, len(support))
        normal = deviation.T @ deviation / len(deviation)
        normal += np.identity(len(support)) * (1e-3 * np.trace(normal) / len(support))
        constraints = np.concatenate((np.ones((1, len(support))), offset[support].T * 1e2))
        system = np.block([[normal, constraints.T], [constraints, np.zeros((4, 4))]])
        target = np.concatenate((np.zeros(len(support)), (1.0, 0.0, 0.0, 0.0)))
        regressor[joint, support] = np.linalg.solve(system, target)[: len(support)]
    return regressor
