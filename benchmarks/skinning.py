"""Skinning of two hands, beside a loop over the vertices: ``python -m benchmarks.skinning``."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.timing import median_seconds, print_header, print_row
from hand_pose_ros import hand
from hand_pose_ros.common.seeds import Seed
from hand_pose_ros.kinematics.forward import HandFrames, forward_kinematics
from hand_pose_ros.kinematics.limits import angle_bounds, proportion_bounds
from hand_pose_ros.mesh.skinning import skin, vertex_normals
from hand_pose_ros.mesh.template import load_template


def naive_skin(joints: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Linear blend skinning of one right hand of the template's size, vertex by vertex and bone by bone."""
    template = load_template()
    rest, weights = template.vertices.numpy(), template.weights.numpy()
    rest_joints, rest_rotations = template.joints.numpy(), template.rotations.numpy()
    starts = [max(parent, 0) for parent in hand.PARENTS]
    lengths, rest_lengths = (
        np.linalg.norm(nodes - nodes[starts], axis=1) + (np.arange(hand.NUM_JOINTS) == 0)
        for nodes in (joints, rest_joints)
    )
    vertices = np.zeros_like(rest)
    for vertex, position in enumerate(rest):
        for bone in np.flatnonzero(weights[vertex]):
            local = rest_rotations[bone].T @ (position - rest_joints[starts[bone]])
            local[0] *= lengths[bone] / rest_lengths[bone]
            vertices[vertex] += weights[vertex, bone] * (rotations[bone] @ local + joints[starts[bone]])
    return vertices


def main() -> None:
    torch.set_num_threads(2)
    generator = torch.Generator().manual_seed(Seed.ARBITRARY)
    bounds = angle_bounds()
    angles = bounds.minimum + torch.rand(2, hand.NUM_ANGLES, generator=generator) * (
        bounds.maximum - bounds.minimum
    )
    proportions = proportion_bounds().neutral.expand(2, -1)
    sides = torch.tensor((1.0, -1.0))
    frames = forward_kinematics(angles, proportions, anchor_length=hand.MEAN_ANCHOR_LENGTH_M, side=sides)

    one = HandFrames(frames.joints[0], frames.rotations[0])
    slow = naive_skin(one.joints.numpy(), one.rotations.numpy())
    np.testing.assert_allclose(skin(one).numpy(), slow, atol=1e-6)
    naive = 2 * median_seconds(
        lambda: naive_skin(one.joints.numpy(), one.rotations.numpy()), repeats=3, warm_up=0
    )

    print_header()
    with torch.inference_mode():
        vertices = skin(frames, sides)
        print_row("skinning, 2 hands", median_seconds(lambda: skin(frames, sides), 200), naive)
        print_row("vertex normals, 2 hands", median_seconds(lambda: vertex_normals(vertices, sides), 200))
        print_row(
            "skinning + normals, 2 hands",
            median_seconds(lambda: vertex_normals(skin(frames, sides), sides), 200),
        )


if __name__ == "__main__":
    main()
