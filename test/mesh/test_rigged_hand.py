"""Rigged meshes on our skeleton: read from glTF, their rest pose is kept, their joints go where ours are."""

import json
from dataclasses import replace

import pytest
import torch
from helpers.rigged_meshes import write_gltf

from hand_pose_ros import hand
from hand_pose_ros.hand_images.rendered.wardrobe import hand_surfaces
from hand_pose_ros.kinematics.forward import forward_kinematics
from hand_pose_ros.mesh.rigged_hand import load_rigged_hand, rest_frames
from hand_pose_ros.mesh.skinning import skin
from hand_pose_ros.mesh.template import HandTemplate
from hand_pose_ros.rotations import rotation_from_quaternion
from hand_pose_ros.synthetic.poses.sampler import PoseSampler

FILES = ("godot_xr_tools/hands/model/Hand_Nails_R.gltf",
         "webxr_generic_hand/packages/assets/profiles/generic-hand/right.glb")  # fmt: skip


def assert_joints_land(template: HandTemplate) -> None:
    """What moves with a bone and is at its start or end is at our joints, in any pose and on both sides."""
    starts = torch.tensor([max(parent, 0) for parent in hand.PARENTS])
    bones = torch.eye(hand.NUM_JOINTS)
    # One vertex at the start and one at the end of every bone, moved by that bone alone.
    markers = replace(
        template,
        vertices=torch.cat((template.joints[starts], template.joints)),
        weights=torch.cat((bones, bones)),
    )
    angles, proportions = PoseSampler().sample(8, torch.Generator().manual_seed(0))
    for side in hand.SIDES:
        frames = forward_kinematics(angles, proportions, None, None, 0.08, side)
        found = skin(frames, side, markers)
        torch.testing.assert_close(found[:, : hand.NUM_JOINTS], frames.joints[:, starts], atol=1e-5, rtol=0)
        torch.testing.assert_close(found[:, hand.NUM_JOINTS :], frames.joints, atol=1e-5, rtol=0)


def test_reads_a_rig_in_any_frame(tmp_path):
    turn = rotation_from_quaternion(torch.tensor((0.3, -0.5, 0.2, 0.7)))
    template = write_gltf(tmp_path / "hand.gltf", turn, torch.tensor((0.1, -0.2, 0.3)))
    rigged = load_rigged_hand(tmp_path / "hand.gltf")
    found = rigged.template
    # Fingertips are put a fixed depth into the flesh, which is ours within some millimetres.
    tips = list(hand.FINGERTIPS)
    others = [joint for joint in range(hand.NUM_JOINTS) if joint not in tips]
    torch.testing.assert_close(found.joints[others], template.joints[others], atol=2e-3, rtol=0)
    torch.testing.assert_close(found.joints[tips], template.joints[tips], atol=6e-3, rtol=0)
    assert rigged.corner_uv.shape == (len(found.faces), 3, 2)
    assert float(found.vertices[:, 0].min()) == pytest.approx(-0.045, abs=1e-3)
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(len(found.weights)))
    torch.testing.assert_close(skin(rest_frames(found), "right", found), found.vertices, atol=1e-6, rtol=0)
    assert_joints_land(found)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "empty.gltf").write_text(json.dumps({"buffers": []}))
    with pytest.raises(ValueError, match="no rigged right hand"):
        load_rigged_hand(tmp_path / "empty.gltf")
    write_gltf(tmp_path / "hand.gltf", torch.eye(3), torch.zeros(3))
    document = json.loads((tmp_path / "hand.gltf").read_text())
    document["nodes"][8]["name"] = "Index_Nail_R"
    (tmp_path / "hand.gltf").write_text(json.dumps(document))
    with pytest.raises(ValueError, match="unknown bone"):
        load_rigged_hand(tmp_path / "hand.gltf")


@pytest.mark.parametrize("file", FILES)
def test_free_meshes(shared_data, file):
    rigged = load_rigged_hand(shared_data / "rigged_mesh" / file)
    template = rigged.template
    torch.testing.assert_close(
        skin(rest_frames(template), "right", template), template.vertices, atol=1e-6, rtol=0
    )
    assert_joints_land(template)
    # Every fingertip is a few millimetres inside the skin's end.
    for tip in hand.FINGERTIPS:
        distance = (template.vertices - template.joints[tip]).norm(dim=-1).min()
        assert 1e-3 < float(distance) < 0.012


def test_surfaces_of_a_folder(shared_data):
    rigged = shared_data / "rigged_mesh"
    surfaces = hand_surfaces(rigged)
    assert len(surfaces) == 3
    assert [len(surface.painted) for surface in surfaces] == [0, 4, 0]
    with pytest.raises(ValueError, match="no rigged right hand"):
        hand_surfaces(rigged / "godot_xr_tools" / "hands" / "textures")
