"""A user's MANO file is read without running it, and its mesh follows our hands."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.mano_files import LONGER_M, hand_pose, mano_arrays, posed_frames, write_npz, write_pickle
from helpers.pickles import hostile

from hand_pose_ros import hand
from hand_pose_ros.kinematics.forward import HandFrames
from hand_pose_ros.kinematics.mirror import mirror_across_camera_x
from hand_pose_ros.mesh.mano import MANO, MANO_PARENTS, load_mano
from hand_pose_ros.mesh.mano_pose import fit_shape, mano_mesh, mano_pose, mano_vertices
from hand_pose_ros.mesh.skinning import regress_joints, skin
from hand_pose_ros.pose import HandPose
from hand_pose_ros.rotations import rotation_from_vector, vector_from_rotation


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_mano(write_npz(tmp_path_factory.mktemp("mano") / "MANO_RIGHT.npz"))


def of_one(frames):
    return HandFrames(frames.joints[None], frames.rotations[None])


def without_corrections(model):
    return replace(model, corrections=torch.zeros_like(model.corrections))


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_the_makers_pickle_gives_what_the_arrays_give(model, tmp_path, protocol):
    read = load_mano(write_pickle(tmp_path / "MANO_RIGHT.pkl", protocol))
    for name in ("vertices", "weights", "shapes", "corrections", "regressor", "rest"):
        torch.testing.assert_close(getattr(read, name), getattr(model, name))
    assert read.template.name == MANO


def test_the_mesh_is_that_of_our_skinning_where_both_can_be(model):
    """Lengths and knuckles are the file's own, so MANO's layer and our skinning move every vertex alike."""
    frames = posed_frames(model.template)
    plain = without_corrections(model)
    pose = mano_pose(of_one(frames), plain)
    torch.testing.assert_close(pose.shape, torch.zeros_like(pose.shape), atol=1e-3, rtol=0)
    (vertices,) = mano_vertices(pose, plain)
    own = skin(HandFrames(*(one.float() for one in frames)), "right", plain.template)
    torch.testing.assert_close(vertices.float(), own, atol=1e-4, rtol=0)
    torch.testing.assert_close(
        regress_joints(vertices.float(), plain.template), frames.joints.float(), atol=4e-3, rtol=0
    )


def test_the_layer_is_the_models_equations(model):
    """Every vertex alone, by homogeneous transforms."""
    pose = mano_pose(of_one(posed_frames(model.template, 1.03)), model)
    (found,) = mano_vertices(pose, model)
    shaped = model.vertices + model.shapes @ pose.shape[0]
    local = rotation_from_vector(torch.cat((pose.orientation, pose.pose[0].reshape(15, 3))))
    bent = shaped + model.corrections @ (local[1:] - torch.eye(3)).flatten()
    arrays = mano_arrays()
    joints = torch.from_numpy(arrays["J_regressor"]) @ shaped
    transforms = []
    for joint, parent in enumerate(MANO_PARENTS):
        own = torch.eye(4, dtype=torch.float64)
        own[:3, :3] = local[joint]
        own[:3, 3] = joints[joint] - (joints[parent] if joint else 0.0)
        transforms.append(transforms[parent] @ own if joint else own)
    for vertex in range(0, 778, 37):
        moved = torch.zeros(3, dtype=torch.float64)
        for joint, transform in enumerate(transforms):
            relative = torch.cat((bent[vertex] - joints[joint], torch.ones(1)))
            moved += model.weights[vertex, joint] * (transform @ relative)[:3]
        torch.testing.assert_close(moved + pose.translation[0], found[vertex])


def test_a_hand_at_rest_has_no_corrections(model):
    rest = HandFrames(model.template.joints.double(), model.template.rotations.double())
    pose = mano_pose(of_one(rest), model)
    assert pose.pose.abs().max() < 1e-5
    torch.testing.assert_close(
        mano_vertices(pose, model), mano_vertices(pose, without_corrections(model)), atol=1e-6, rtol=0
    )


def test_the_shape_follows_the_lengths(model):
    template = model.template
    lengths = (template.joints[1:] - template.joints[list(hand.PARENTS[1:])]).norm(dim=-1).double()
    (shape,) = fit_shape(1.05 * lengths[None], model)
    torch.testing.assert_close(shape, torch.tensor((1.0, 0.0), dtype=torch.float64), atol=0.05, rtol=0)
    of_fingers = [end not in hand.LEVELS[0] for _, end in hand.BONES]
    longer = torch.where(torch.tensor(of_fingers), (1 + LONGER_M) * lengths, lengths)
    (shape,) = fit_shape(longer[None], model)
    assert 0.3 < shape[1] < 1.1
    assert shape[0].abs() < 0.2


def test_left_hands_are_mirror_images(model):
    right = posed_frames(model.template)
    left = HandFrames(*mirror_across_camera_x(*right))
    one, other = mano_mesh(hand_pose(right), model), mano_mesh(hand_pose(left, "left"), model)
    np.testing.assert_allclose(other.vertices_m, one.vertices_m * (-1.0, 1.0, 1.0), atol=1e-9)
    assert one.template == other.template == MANO
    for mesh in (one, other):
        a, b, c = (mesh.vertices_m[mesh.faces[:, corner]] - mesh.vertices_m.mean(0) for corner in range(3))
        assert (a * np.cross(b, c)).sum() > 0  # counter-clockwise seen from outside
    unknown = replace(hand_pose(right), valid=False, reason="no hand")
    with pytest.raises(ValueError, match="no hand"):
        mano_mesh(unknown, model)
    assert isinstance(unknown, HandPose)


def test_rotation_vectors_go_there_and_back():
    vectors = torch.randn(50, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    vectors[:3] = torch.tensor(((0.0, 0.0, 0.0), (1e-9, 0.0, 0.0), (0.0, 3.1, 0.0)))
    vectors = vectors / (vectors.norm(dim=-1, keepdim=True) / 3.1).clamp(min=1.0)
    torch.testing.assert_close(
        vector_from_rotation(rotation_from_vector(vectors)), vectors, atol=1e-7, rtol=0
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"posedirs": None}, "it has no posedirs"),
        ({"v_template": np.zeros((700, 3))}, "v_template must have shape"),
        ({"shapedirs": np.zeros((778, 10))}, "shapedirs must have shape"),
        ({"f": np.full((4, 3), 778)}, "indices of 778 vertices"),
        ({"weights": np.full((778, 16), np.nan)}, "weights must be finite"),
        ({"kintree_table": np.zeros((2, 16))}, "not connected as MANO's"),
    ],
)
def test_other_files_are_refused(tmp_path, changes, reason):
    path = write_npz(tmp_path / "mano.npz", **changes)
    with pytest.raises(ValueError, match=f"is not MANO's right hand: .*{reason}"):
        load_mano(path)


def test_a_left_hand_is_refused(tmp_path):
    with pytest.raises(ValueError, match="it is a left hand"):
        load_mano(write_npz(tmp_path / "MANO_LEFT.npz", **mano_arrays("left")))


@pytest.mark.parametrize("attack", hostile("x"))
def test_hostile_pickles_are_refused_and_do_nothing(tmp_path, attack):
    marker, path = tmp_path / "marker", tmp_path / "MANO_RIGHT.pkl"
    path.write_bytes(pickle.dumps({"f": hostile(marker)[attack]}, protocol=2))
    with pytest.raises(ValueError, match="is not MANO's right hand"):
        load_mano(path)
    assert not marker.exists()
