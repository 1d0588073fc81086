"""Reading pose files, and the ``hand_pose limits`` command on top of it."""

import json

import numpy as np
import pytest
import torch
from helpers.hands import random_hands

from hand_pose_ros import hand
from hand_pose_ros.datasets.joint_orders import to_order
from hand_pose_ros.synthetic.poses.extract_limits import main, pose_statistics
from hand_pose_ros.synthetic.poses.pose_files import WEBXR_NAMES, read_poses


@pytest.fixture
def joints():
    return random_hands(40, seed=0).pose().joints.numpy()


def test_arrays_are_read_in_any_order_and_unit(tmp_path, joints):
    np.savez(tmp_path / "poses.npz", xyz_mm=1e3 * to_order(joints, "mano"), other=np.zeros(3))
    read = read_poses(tmp_path / "poses.npz", order="mano", key="xyz_mm", unit_m=1e-3)
    np.testing.assert_allclose(read, joints)


def test_a_folder_is_read_file_by_file(tmp_path, joints):
    for i, pose in enumerate(joints[:3]):
        np.save(tmp_path / f"joints_{i}.npy", pose)
    np.save(tmp_path / "other.npy", np.zeros(61))
    np.testing.assert_allclose(read_poses(tmp_path, pattern="joints_*"), joints[:3])


def test_webxr_poses_are_read(tmp_path, joints):
    pose = {}
    for name, position in zip(WEBXR_NAMES, joints[0], strict=True):
        matrix = np.eye(4)
        matrix[:3, 3] = position
        pose[name] = {"matrix_colmajor": matrix.T.ravel().tolist()}
    (tmp_path / "poses.json").write_text(json.dumps({"relaxed": pose}))
    np.testing.assert_allclose(read_poses(tmp_path / "poses.json"), joints[:1])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("poses.npy", np.zeros((4, 20, 3)), "must hold"),
        ("poses.txt", None, "must be a folder or"),
        ("poses.json", "{}", "must hold at least one pose"),
        ("poses.json", '{"relaxed": {"wrist": {}}}', "no WebXR pose file"),
        ("broken.json", "{", "no WebXR pose file"),
        ("broken.npy", "no numbers", "broken.npy is not a NumPy file"),
        ("broken.npz", "PK\x03\x04 cut short", "broken.npz is not an npz file"),
        ("empty", None, "no .npy, .npz or .json file"),
    ],
)
def test_unreadable_files_are_refused_with_a_reason(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, np.ndarray):
        np.save(path, content)
    elif content is not None:
        path.write_text(content)
    elif path.suffix:
        path.touch()
    else:
        path.mkdir()
    with pytest.raises(ValueError, match=message):
        read_poses(path)


def test_an_npz_with_several_arrays_needs_a_key(tmp_path):
    np.savez(tmp_path / "poses.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(ValueError, match="name one by key"):
        read_poses(tmp_path / "poses.npz")
    with pytest.raises(ValueError, match="no array 'c'"):
        read_poses(tmp_path / "poses.npz", key="c")


def test_statistics_recover_what_the_poses_were_made_of():
    hands = random_hands(300, seed=1)
    joints = hands.pose().joints
    joints[0] = torch.nan
    statistics = pose_statistics(joints, "right", noise_m=3e-4)
    assert (statistics["poses"], statistics["left_out"]) == (299, 1)
    assert statistics["mean_residual_mm"] < 0.1
    column = hand.ANGLE_INDEX["index_pip_flexion"]
    expected = torch.rad2deg(hands.angles[1:, column]).quantile(0.5)
    assert abs(statistics["angles_deg"]["index_pip_flexion"][2] - expected) < 3


def test_the_command_prints_a_table_and_writes_json(tmp_path, joints, capsys):
    np.save(tmp_path / "poses.npy", joints)
    assert main([str(tmp_path / "poses.npy"), "--output", str(tmp_path / "limits.json"), "--most", "10"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("10 poses")
    assert all(name in printed for name in hand.ANGLE_NAMES)
    written = json.loads((tmp_path / "limits.json").read_text())
    assert set(written["proportions"]) == set(hand.BONE_NAMES)


def test_the_command_names_what_is_wrong(tmp_path, joints, capsys):
    poses = tmp_path / "poses.npy"
    np.save(poses, joints)
    for arguments, message in (
        ([str(tmp_path / "absent.npy")], "absent.npy"),
        ([str(poses), "--most", "0"], "--most must be at least 1"),
        ([str(poses), "--output", str(tmp_path / "nowhere" / "limits.json")], "nowhere"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
        assert message in capsys.readouterr().err
