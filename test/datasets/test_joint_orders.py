"""Joint order conversions: both ways, and on the sets' own annotation files."""

import json

import numpy as np
import pytest
import torch

from hand_pose_ros import hand
from hand_pose_ros.datasets.joint_orders import (
    JOINT_ORDERS,
    from_order,
    join_hands,
    palm_centre_from_wrist,
    split_hands,
    to_order,
    wrist_from_palm_centre,
)

BOTH_HANDS = {"interhand26m": 42, "rhd": 42, "coco_wholebody": 133}


@pytest.mark.parametrize("order", JOINT_ORDERS)
def test_every_order_names_every_joint_once(order):
    assert sorted(JOINT_ORDERS[order]) == sorted(hand.JOINT_NAMES)


@pytest.mark.parametrize("order", JOINT_ORDERS)
@pytest.mark.parametrize(
    ("shape", "axis"), [((21, 3), -2), ((2, 5, 21, 3), -2), ((4, 21), -1), ((21, 4, 2), 0)]
)
def test_round_trip_both_ways(order, shape, axis):
    joints = np.random.default_rng(0).normal(size=shape)
    for there, back in ((from_order, to_order), (to_order, from_order)):
        np.testing.assert_array_equal(back(there(joints, order, axis), order, axis), joints)
        tensor = torch.from_numpy(joints)
        assert torch.equal(back(there(tensor, order, axis), order, axis), tensor)
        np.testing.assert_array_equal(there(tensor, order, axis).numpy(), there(joints, order, axis))


@pytest.mark.parametrize("order", JOINT_ORDERS)
def test_joints_land_where_their_names_say(order):
    names = np.array(JOINT_ORDERS[order])
    assert tuple(from_order(names, order, axis=-1)) == hand.JOINT_NAMES
    assert tuple(to_order(np.array(hand.JOINT_NAMES), order, axis=-1)) == JOINT_ORDERS[order]


def test_known_places():
    """Index of the source's joint for some of ours, as the sources' own documents give them."""
    places = {
        "mano": {"wrist": 0, "index_mcp": 1, "little_mcp": 7, "ring_mcp": 10, "thumb_cmc": 13, "little_tip": 20},
        "ho3d": {"thumb_tip": 16, "index_tip": 17, "middle_tip": 18, "ring_tip": 19, "thumb_ip": 15},
        "interhand26m": {"thumb_tip": 0, "thumb_cmc": 3, "index_tip": 4, "little_mcp": 19, "wrist": 20},
        "rhd": {"wrist": 0, "thumb_tip": 1, "thumb_cmc": 4, "middle_mcp": 12, "little_mcp": 20},
        "stb": {"wrist": 0, "little_mcp": 1, "little_tip": 4, "index_mcp": 13, "thumb_cmc": 17, "thumb_tip": 20},
        "dexycb": {"thumb_cmc": 1, "little_tip": 20},
    }  # fmt: skip
    for order, joints in places.items():
        for joint, index in joints.items():
            assert JOINT_ORDERS[order][index] == joint


def test_reordered_tensors_carry_gradients_and_flags():
    joints = torch.randn(2, 21, 3, requires_grad=True)
    from_order(joints, "rhd").sum().backward()
    assert torch.equal(joints.grad, torch.ones_like(joints))
    valid = np.zeros((5, 42), dtype=bool)
    valid[:, :21] = True  # InterHand2.6M: the right hand
    hands = split_hands(valid, "interhand26m", axis=-1)
    assert hands["right"].all()
    assert not hands["left"].any()


@pytest.mark.parametrize(("order", "count"), BOTH_HANDS.items())
@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_both_hands_round_trip(order, count, convert):
    whole = convert(np.random.default_rng(1).normal(size=(3, count, 2)))
    hands = split_hands(whole, order)
    assert {side: tuple(joints.shape) for side, joints in hands.items()} == dict.fromkeys(
        hand.SIDES, (3, 21, 2)
    )
    joined = join_hands(hands, order)
    assert joined.shape == whole.shape
    np.testing.assert_array_equal(joined[:, -42:], whole[:, -42:])
    assert np.isnan(np.asarray(joined[:, :-42])).all()


def test_empty_batch():
    assert from_order(np.zeros((0, 21, 3)), "mano").shape == (0, 21, 3)
    assert split_hands(torch.zeros(0, 42, 3), "rhd")["left"].shape == (0, 21, 3)


def test_stb_palm_centre_and_wrist():
    joints = np.random.default_rng(2).normal(size=(4, 21, 3))
    for knuckle, index in (("ring_mcp", 13), ("middle_mcp", 9)):
        palm = palm_centre_from_wrist(joints, knuckle)
        np.testing.assert_allclose(palm[:, 0], (joints[:, 0] + joints[:, index]) / 2)
        np.testing.assert_array_equal(palm[:, 1:], joints[:, 1:])
        np.testing.assert_allclose(wrist_from_palm_centre(palm, knuckle), joints, atol=1e-15)
    moved = wrist_from_palm_centre(torch.from_numpy(joints).movedim(1, 0), axis=0)
    np.testing.assert_allclose(moved.movedim(0, 1).numpy(), wrist_from_palm_centre(joints), atol=1e-15)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_order(np.zeros((20, 3)), "rhd"), "expected 21 joints"),
        (lambda: from_order(np.zeros((42, 3)), "rhd"), "expected 21 joints"),
        (lambda: to_order(torch.zeros(21, 3), "mano", axis=-1), "expected 21 joints"),
        (lambda: from_order(np.zeros(21), "mano"), "no axis -2"),
        (lambda: from_order(np.zeros((21, 3)), "smpl"), "unknown joint order 'smpl'"),
        (lambda: split_hands(np.zeros((21, 3)), "rhd"), "expected 42 joints"),
        (lambda: split_hands(np.zeros((42, 3)), "mano"), "does not hold both hands"),
        (lambda: join_hands({"left": np.zeros((21, 3))}, "rhd"), "must have the keys"),
        (lambda: join_hands({"left": np.zeros((21, 3)), "right": np.zeros((1, 21, 3))}, "rhd"), "one shape"),
        (lambda: join_hands(dict.fromkeys(hand.SIDES, np.zeros((21, 2), int)), "coco_wholebody"), "NaN"),
        (lambda: join_hands(dict.fromkeys(hand.SIDES, torch.zeros(21, 2).int()), "coco_wholebody"), "NaN"),
        (lambda: wrist_from_palm_centre(np.zeros((21, 3)), "index_mcp"), "knuckle"),
    ],
)
def test_bad_input_is_refused_with_a_reason(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def _annotations(folder, file):
    path = folder / file
    if not path.is_file():
        pytest.skip(f"needs {path}")
    return json.loads(path.read_text())


def _samples(folder):
    """The uniform samples of a folder by image and side, joints in our order."""
    return {(s["image"], s["hand"]): s for s in _annotations(folder, "samples.json")["samples"]}


def test_interhand26m_annotation_file(shared_data):
    folder = shared_data / "mmpose_interhand26m"
    data = _annotations(folder, "test_interhand2.6m_data.json")
    world = _annotations(folder, "test_interhand2.6m_joint_3d.json")
    cameras = _annotations(folder, "test_interhand2.6m_camera.json")
    images = {image["file_name"]: image for image in data["images"]}
    compared = 0
    for (file, side), sample in _samples(folder).items():
        image = images[file]
        capture, camera = str(image["capture"]), image["camera"]
        frame = world[capture][str(image["frame_idx"])]
        valid = split_hands(np.array(frame["joint_valid"], dtype=bool), "interhand26m")[side]
        position, rotation = (np.array(cameras[capture][key][camera]) for key in ("campos", "camrot"))
        joints_m = (np.array(frame["world_coord"]) - position) @ rotation.T / 1000
        ours = split_hands(joints_m, "interhand26m")[side]
        expected = np.array(sample["xyz_m"], dtype=float)
        seen = valid[:, 0]
        np.testing.assert_allclose(ours[seen], expected[seen], atol=1e-6)
        compared += seen.sum()
    assert compared >= 42


def test_rhd_annotation_file(shared_data):
    folder = shared_data / "mmpose_rhd_synthetic"
    data = _annotations(folder, "test_rhd.json")
    samples = _samples(folder)
    files = {image["id"]: image["file_name"] for image in data["images"]}
    for label in data["annotations"]:
        sample = samples[files[label["image_id"]], label["hand_type"]]
        joints_m = from_order(np.array(label["joint_cam"]) / 1000, "rhd")
        np.testing.assert_allclose(joints_m, np.array(sample["xyz_m"]), atol=1e-6)
        pixels = from_order(np.array(label["keypoints"])[:, :2], "rhd")
        np.testing.assert_allclose(pixels, np.array(sample["uv"]), atol=1e-4)
        _assert_fingers_are_chains(joints_m)


@pytest.mark.parametrize(
    ("order", "folder", "file"),
    [
        ("freihand", "mmpose_freihand_2d", "test_freihand.json"),
        ("panoptic", "mmpose_panoptic_2d", "test_panoptic.json"),
    ],
)
def test_annotation_files_in_our_order(shared_data, order, folder, file):
    data = _annotations(shared_data / folder, file)
    samples = {s["image"]: s for s in _annotations(shared_data / folder, "samples.json")["samples"]}
    files = {image["id"]: image["file_name"] for image in data["images"]}
    fingers = [name.rstrip("1234").removesuffix("_finger") for name in data["categories"][0]["keypoints"]]
    same = {"forefinger": "index", "pinky": "little"}
    ours = [name.split("_")[0] for name in hand.JOINT_NAMES]
    assert [same.get(finger, finger) for finger in fingers] == list(to_order(np.array(ours), order, axis=-1))
    for label in data["annotations"]:
        sample = samples[files[label["image_id"]]]
        pixels = from_order(np.reshape(label["keypoints"], (21, 3))[:, :2], order)
        valid = np.array(sample["uv_valid"], dtype=bool)
        np.testing.assert_allclose(pixels[valid], np.array(sample["uv"])[valid], atol=1e-4)


def test_coco_wholebody_annotation_file(shared_data):
    data = _annotations(shared_data / "mmpose_coco_wholebody_2d", "test_coco_wholebody.json")
    hands = 0
    for label in data["annotations"]:
        if "lefthand_kpts" not in label:
            continue
        parts = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
        whole = np.concatenate([np.reshape(label[part], (count, 3)) for part, count in parts.items()])
        for side, joints in split_hands(whole, "coco_wholebody").items():
            if not label[f"{side}hand_valid"]:
                continue
            hands += 1
            np.testing.assert_array_equal(joints, np.reshape(label[f"{side}hand_kpts"], (21, 3)))
            # The body's own wrists (COCO 9 left, 10 right) show that the sides are not swapped.
            wrist, other = (whole[i] for i in ((9, 10) if side == "left" else (10, 9)))
            if wrist[2] and other[2] and joints[0, 2]:
                near, far = (np.linalg.norm(joints[0, :2] - point[:2]) for point in (wrist, other))
                assert near < far
    assert hands >= 10


@pytest.mark.parametrize("folder", ["calibrated_left24", "hankpan_multiview", "mmpose_interhand26m"])
def test_real_hands_have_their_fingers_in_our_order(shared_data, folder):
    """Not an order of its own to convert: the joints are where a hand in our order has them."""
    samples = _annotations(shared_data / folder, "samples.json")["samples"]
    for sample in samples[:: max(1, len(samples) // 20)]:
        joints_m = np.array(sample["xyz_m"], dtype=float)
        if np.isfinite(joints_m).all():
            _assert_fingers_are_chains(joints_m)


def _assert_fingers_are_chains(joints_m):
    """Bones of plausible length, the knuckles in a row, and the thumb on the index finger's side of it."""
    for start, end in hand.BONES:
        length_m = np.linalg.norm(joints_m[end] - joints_m[start])
        limits_m = (0.03, 0.13) if start == hand.WRIST else (0.008, 0.075)
        assert limits_m[0] * (end != 1) <= length_m <= limits_m[1], (hand.JOINT_NAMES[end], length_m)
    knuckles = joints_m[[5, 9, 13, 17]]
    across = knuckles[-1] - knuckles[0]
    assert (np.diff(knuckles @ across) > 0).all()
    assert (joints_m[2] - joints_m[13]) @ across < 0
